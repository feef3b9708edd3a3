"""Exact resume: a killed training goes on in a new process as if nothing had been."""

import logging
import os
from types import GeneratorType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae import checks
from tfvae.callbacks import csv_files, state
from tfvae.callbacks.fingerprint import differences, fingerprint, optimizer_of
from tfvae.callbacks.store import Store
from tfvae.errors import ArtifactError, ResumeMismatch
from tfvae.models.execution import state_of

log = logging.getLogger("tfvae")

SMALL = 16  # numbers in a variable that callbacks may change at the end of an epoch


class Checkpoint(keras.callbacks.Callback):
    """Saves all that training needs to go on, and goes on from there.

    Run the same program again, after whatever end: weights, optimizer, schedules, noise, order of
    the rows, metrics, history and other callbacks continue, and on the same machine every bit is
    that of a training that was never interrupted. `fit` returns the history of all epochs.
    `epochs` counts from the first start; with all of them done, `fit` returns at once.

    Checkpoints are written to a temporary directory, checked by SHA-256, and renamed; a damaged one
    is set aside as `bad-*` and the one before it is used. They hold no code. `KeyboardInterrupt`
    saves and is raised again; no signal handler is installed. If the disk is full, training stops
    with an `ArtifactError`, and earlier checkpoints are as they were.

    Data must be the same again: arrays, a `keras.utils.PyDataset` that is not shuffled by `fit`, or
    a `tf.data.Dataset` that gives the same batches at every start, such as one shuffled with a
    seed; batches already seen are drawn and dropped. Of other callbacks, attributes that are
    numbers, strings, arrays, and lists and dictionaries of them are kept; one with a true attribute
    `stateless` is left alone. The file of a `CSVLogger` has each epoch once. A model without a seed
    takes that of the checkpoint. The promise of equal bits is for one device; under a distribution
    strategy the last digits may differ.

    Args:
        directory: Where checkpoints are; it may be moved between two runs. One training at a time
            may have it.
        every_n_steps: Batches between two checkpoints. There is one at the end, too.
        keep: How many of the newest stay.
        resume: "auto": go on if there is a checkpoint; True: there must be one; False: start anew.

    Raises:
        TypeError, ValueError: If an argument is out of range.
        ResumeMismatch: In `fit`, if the checkpoint is of other data, arguments, model or optimizer,
            or another training has the directory.
        ArtifactError: In `fit`, if there is no checkpoint to go on from, or none that is whole, or
            one cannot be written.

    Example:
    >>> vae.fit(x, epochs=20, callbacks=[tfvae.callbacks.Checkpoint("checkpoints")])
    """

    comes_last = True  # so that it saves what other callbacks have made of an epoch

    def __init__(
        self,
        directory: str | os.PathLike,
        every_n_steps: int = 1000,
        keep: int = 3,
        resume: bool | str = "auto",
    ):
        super().__init__()
        if not isinstance(directory, str | os.PathLike):
            raise TypeError(
                "`directory` must be a path. Received: directory of type "
                f"{type(directory).__name__}."
            )
        if not isinstance(resume, bool) and resume != "auto":
            raise ValueError(
                f'`resume` must be "auto", True or False. Received: resume={resume!r}.'
            )
        self.directory = os.path.abspath(directory)
        self.every_n_steps = checks.positive_integer("every_n_steps", every_n_steps)
        self.keep, self.resume = checks.positive_integer("keep", keep), resume
        self._store = Store(self.directory, self.keep)
        self._stop_asked = False

    def stop(self) -> None:
        """Makes `fit` save and raise `KeyboardInterrupt` after the step that is running.

        It is safe in a signal handler.
        """
        self._stop_asked = True

    def on_train_begin(self, logs: Any = None) -> None:
        self._progress = progress = getattr(self.model, "_progress", None)
        if progress is None or self.model._progress.listener is not None:
            raise ValueError(
                "`callbacks` must have one Checkpoint, in the `fit` of a tfvae model. Received: "
                f"{'a second one' if progress else f'a model of type {type(self.model).__name__}'}."
            )
        _check_data(self.model, progress)
        self._stop_asked, self._target, self._epoch = False, None, None
        self._steps, self._point, self._boundary = 0, None, None
        self._store.lock()
        progress.listener = self
        self._others = progress.callbacks
        self._at_start, self._restored = state.states_of(self._others), {}
        self._identity = fingerprint(self.model, progress.setup)
        self._is_seed_drawn = getattr(self.model, "is_seed_drawn", False)
        found = None if self.resume is False else self._store.newest()
        if found is not None:
            self._go_on(*found)
            return
        if self.resume is True:
            raise ArtifactError(
                "`directory` must have a checkpoint with resume=True. Received: directory="
                f"{self.directory!r} without one. Fix: resume='auto' starts anew."
            )
        log.info("No checkpoint in %s is used: training starts anew.", self.directory)
        self._point = self._frozen(progress.setup["initial_epoch"], within=False)
        if self.resume is False and self._store.has_any():
            self._save()  # a crash before the first one would go on from another run's

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        if self._target is not None and self._target[1]["position"]["done"]:
            self._restore(*self._target)  # Keras has reset the metrics, and callbacks their epoch

    def before_batches(self) -> None:
        """Leaves the start of an epoch, or of the rest of one, behind."""
        self._boundary, self._point, self._target = self._point, None, None

    def after_block(self, steps: int) -> None:
        """Saves if it is time to; called when all callbacks have seen a block of batches."""
        self._steps += steps
        if self._steps >= self.every_n_steps:
            self._save()
        self._end_if_asked()

    def after_batches(self) -> None:
        """Keeps what validation and the end of an epoch will change."""
        self._point = self._frozen(self._epoch, within=True)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._end_if_asked()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._point = self._frozen(epoch + 1, within=False)
        if self._steps >= self.every_n_steps or epoch + 1 >= self.params["epochs"]:
            self._save()
        elif self.model.stop_training:
            self._save()
        self._end_if_asked()

    def interrupted(self) -> None:
        """Saves at a `KeyboardInterrupt`, unless it has torn a step in two."""
        if self._target is not None or (self._epoch is None and self._point is None):
            return  # nothing has been trained since the checkpoint, or at all
        swapped = any(getattr(c, "_ema_weights_in_model", False) for c in self._others)
        if (self.model.run_eagerly and self._point is None) or (swapped and self._point):
            log.warning("Interrupted within a step: the last checkpoint is the one before it.")
            return
        self._save()
        log.info("Interrupted; saved in %s.", self.directory)

    def closed(self) -> None:
        """Lets go of the directory at the end of `fit`, whatever happened."""
        self._store.unlock()
        self._progress = self._others = None
        self._target = self._point = self._boundary = None

    def _end_if_asked(self) -> None:
        if self._stop_asked:
            self._stop_asked = False
            raise KeyboardInterrupt("training was asked to stop")

    def _frozen(self, epoch: int, within: bool) -> dict[str, Any]:
        """Returns a place to go on from: position, callbacks, and the small variables."""
        return {
            "position": self._progress.position(epoch, within),
            "callbacks": state.states_of(self._others),
            "small": {
                i: v.numpy()
                for i, v in enumerate(state_of(self.model))
                if int(np.prod(v.shape)) <= SMALL
            },
        }

    def _save(self) -> None:
        """Saves the last place to go on from; within the batches of an epoch, the present one."""
        self._steps = 0
        point = self._point or self._frozen(self._epoch, within=True)
        if not self._point and not point["position"]["done"]:
            point = self._boundary  # callbacks will begin the epoch again
            if point is None:
                return  # nothing has been trained since the checkpoint that was resumed
        variables = [
            point["small"][i] if i in point["small"] else v.numpy()
            for i, v in enumerate(state_of(self.model))
        ]
        # What was restored is not at its start, whatever it is.
        callbacks, arrays = state.changed(point["callbacks"], self._at_start, self._restored)
        content = {
            "position": point["position"],
            "callbacks": callbacks,
            "num_variables": len(variables),
            "identity": self._identity,
            "is_seed_drawn": self._is_seed_drawn,
            "optimizer_now": optimizer_of(self.model),
            "surroundings": self._surroundings(),
        }
        self._store.save([*variables, *arrays], content)

    def _go_on(self, arrays: list[np.ndarray], content: dict[str, Any], name: str) -> None:
        """Continues a checkpoint, if it is one of this run."""
        self._adopt_seed(content)
        self._check_identity(content, name)
        self._identity = content["identity"]  # with the learning rate of the start
        other = differences(content["surroundings"], self._surroundings())
        if other:
            log.warning(
                "The checkpoint was made by other programs (%s): training goes on, but its bits "
                "may differ from those of an uninterrupted run.",
                "; ".join(other),
            )
        position = content["position"]
        self._restored = {key: list(names) for key, names in content["callbacks"].items()}
        self._restore(arrays, content)
        validation_freq = self._progress.setup["validation_freq"]
        csv_files.go_on(self._others, position["epoch"], validation_freq)
        self._progress.go_to(position)
        self._target, self._epoch = (arrays, content), position["epoch"]
        epochs = self.params["epochs"]
        ended = position["stopped"] and not position["done"]
        self.model._initial_epoch = epochs if ended else min(position["epoch"], epochs)
        log.info(
            "Going on from %s: epoch %d of %d, %d batches done.",
            os.path.join(self.directory, name), position["epoch"] + 1, epochs, position["done"],
        )  # fmt: skip

    def _restore(self, arrays: list[np.ndarray], content: dict[str, Any]) -> None:
        number = content["num_variables"]
        for variable, value in zip(state_of(self.model), arrays[:number], strict=True):
            variable.assign(value)
        values = [np.array(a) for a in arrays[number:]]  # which callbacks may change in place
        lost = state.restore(self._others, content["callbacks"], values)
        if lost and self._target is None:  # not a second time
            log.warning("The checkpoint has the state of callbacks that are absent: %s.", lost)
        self.model.stop_training = content["position"]["stopped"]

    def _adopt_seed(self, content: dict[str, Any]) -> None:
        seed = content["identity"]["model"].get("seed")
        if self._is_seed_drawn and content["is_seed_drawn"] and seed is not None:
            self.model.adopt_seed(seed)
            self._identity["model"]["seed"] = seed
            if self._progress.feed is not None:
                self._progress.feed.reseed(seed)

    def _check_identity(self, content: dict[str, Any], name: str) -> None:
        """Refuses a checkpoint of another run.

        Raises:
            ResumeMismatch: With all that differs.
        """
        found = differences(content["identity"], self._identity)
        # A callback may have changed the learning rate since the start: both are right.
        now = differences(content["optimizer_now"], self._identity["optimizer"], "optimizer")
        found = [
            line for line in found
            if "learning_rate:" not in line or line.split(":")[0] in {n.split(":")[0] for n in now}
        ]  # fmt: skip
        if found:
            shown = "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if found[5:] else "")
            raise ResumeMismatch(
                f"`fit` must go on with the run of {name}, checkpoint -> now. Received: {shown}. "
                "Fix: give what it was made with, or another directory."
            )

    def _surroundings(self) -> dict[str, Any]:
        device = tf.config.list_logical_devices()[-1].device_type
        return {
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
            "device": device,
            "jit_compile": self._progress.with_xla,
            "steps_per_execution": self.model.steps_per_execution,
        }


def _check_data(model: keras.Model, progress: Any) -> None:
    """Refuses data that cannot be given again from the middle.

    Raises:
        ValueError: If they cannot.
    """
    data, shuffle = progress.setup["x"], progress.setup["shuffle"]
    data = getattr(data, "watched", data)
    is_array = isinstance(data, dict) or hasattr(data, "shape")
    if isinstance(data, GeneratorType) or not (
        is_array or isinstance(data, tf.data.Dataset | keras.utils.PyDataset)
    ):
        raise ValueError(
            "`x` must be arrays, a tf.data.Dataset or a PyDataset for Checkpoint, which begins "
            f"them again. Received: x of type {type(data).__name__}. "
            "Fix: `tf.data.Dataset.from_generator(function, ...)`."
        )
    if shuffle and progress.feed is None and not isinstance(data, tf.data.Dataset):
        raise ValueError(
            "`shuffle` must be False for Checkpoint where Keras shuffles, by random numbers that "
            "are lost with the process. Received: shuffle=True with x of type "
            f"{type(data).__name__}. Fix: shuffle=False, and shuffle in the data by a seed."
        )
