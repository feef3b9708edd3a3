"""A watch on posteriors that fall back to the prior."""

import logging
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae import checks
from tfvae.evaluation.latents import (
    active_units,
    aggregate_posterior,
    is_hierarchy,
    kl_by_dimension,
)

log = logging.getLogger("tfvae")

PATIENCE = 3  # evaluations in a row
NO_NATS = 1e-3


class PosteriorCollapse(keras.callbacks.Callback):
    """Measures at the end of epochs how much the latents say about the data, and speaks up.

    It adds to the logs, and so to the history: `active_units`, the number of latent dimensions that
    the data move; `mutual_information` of x and z, in nats; and `aggregate_gap`, the KL of the mean
    posterior to the prior, in nats. Their sum is the KL. If no dimension is active, or the KL is
    zero, for three evaluations in a row, it logs a line of advice, once. `records` has the KL of
    each dimension as well. Of a hierarchy there are the active units of all levels and the KL of
    each level, top first; it speaks up if that of any level is zero.

    Args:
        data: Inputs to measure on; by default the arrays of `validation_data`.
        every_n_epochs: Epochs between two measurements.
        num_examples: Rows that are used, the first ones.

    Raises:
        TypeError, ValueError: If an argument is out of range, or there are no arrays to measure on.

    Example:
    >>> watch = tfvae.callbacks.PosteriorCollapse()
    >>> vae.fit(x, validation_data=x_valid, epochs=20, callbacks=[watch]).history["active_units"]
    """

    def __init__(self, data: Any = None, every_n_epochs: int = 1, num_examples: int = 1000):
        super().__init__()
        self.every_n_epochs = checks.positive_integer("every_n_epochs", every_n_epochs)
        self.num_examples = checks.positive_integer("num_examples", num_examples)
        self.data = data
        self.records: list[dict[str, Any]] = []
        self._collapsed, self._has_spoken = 0, False

    def on_train_begin(self, logs: Any = None) -> None:
        self.records, self._collapsed, self._has_spoken = [], 0, False
        data, progress = self.data, getattr(self.model, "_progress", None)
        if data is None and progress is not None:
            data = progress.setup["validation_data"]
        if data is None or not all(hasattr(a, "shape") for a in tf.nest.flatten(data)):
            raise ValueError(
                "`data` must be given where `validation_data` is no array. "
                f"Received: data of type {type(data).__name__}. Fix: PosteriorCollapse(x_valid)."
            )
        self._rows = tf.nest.map_structure(lambda a: a[: self.num_examples], data)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if (epoch + 1) % self.every_n_epochs:
            return
        record = {"active_units": active_units(self.model, self._rows)}
        if is_hierarchy(self.model):
            kl = kl_by_dimension(self.model, self._rows)
            nothing = np.min(kl) < NO_NATS
        else:
            aggregate = aggregate_posterior(self.model, self._rows)
            record["mutual_information"] = float(aggregate.mutual_information)
            record["aggregate_gap"] = float(aggregate.gap)
            kl = aggregate.kl_by_dimension
            nothing = aggregate.mutual_information + aggregate.gap < NO_NATS
        if logs is not None:
            logs.update(record)
        kl = None if kl is None else [float(v) for v in kl]
        self.records.append({"epoch": epoch, "kl_by_dimension": kl} | record)
        self._collapsed = self._collapsed + 1 if nothing or not record["active_units"] else 0
        if self._collapsed >= PATIENCE and not self._has_spoken:
            self._has_spoken = True
            log.warning(
                "The posterior has collapsed to the prior: %d of %d latent dimensions are active. "
                "Warm beta up from 0 (schedules.Linear), use free_bits, or a weaker decoder.",
                record["active_units"],
                self.model.num_latents,
            )
