"""The data of a fit: arrays as they are, or minibatches of a dataset."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae import checks
from tfvae.errors import DataError
from tfvae.models.arrays import as_array, check_dtype, is_sparse

MOST_NUMBERS, MOST_DRAWS = 2**23, 1_000


class Feed:
    """Observed values and covariates in variables, which a program reads and refills.

    Args:
        joint: The joint, or a function of covariates that returns it.
        data: Values by name, or a dataset of such dictionaries, each a batch [B, ...].
        num_examples: N, the number of examples that the dataset goes through.

    Raises:
        TypeError: If the data are neither.
        DataError: If the dataset's batches have no one size, or names are missing.
        ValueError: If `num_examples` does not go with the data.
    """

    def __init__(self, joint: Any, data: Any, num_examples: int | None = None):
        self.dataset, self.scale = None, 1.0
        if isinstance(data, tf.data.Dataset):
            first, batch_size = _first_batch(data)
            self.num_examples = _checked_size(num_examples, batch_size)
            self.dataset, self.scale = data, self.num_examples / batch_size
            self.num_batches = self.num_examples // batch_size
            self._iterator = iter(data.repeat())
        elif isinstance(data, Mapping):
            if num_examples is not None:
                raise ValueError(
                    "`num_examples` must be left out where the data are arrays. "
                    f"Received: num_examples={num_examples}. Fix: pass a `tf.data.Dataset`."
                )
            first = {name: _array(name, value) for name, value in data.items()}
        else:
            raise TypeError(
                "`data` must be a dictionary of values by name, or a `tf.data.Dataset` of such "
                f"dictionaries. Received: data of type {type(data).__name__}. "
                "Fix: pass {'y': y}."
            )
        wanted = covariate_names(joint)
        if missing := [n for n in wanted if n not in first]:
            raise DataError(
                f"`data` must hold the joint's arguments {', '.join(wanted)}. "
                f"Received: {', '.join(first)}. Fix: add {', '.join(missing)}."
            )
        self._variables = {n: tf.Variable(v, trainable=False) for n, v in first.items()}
        self.values = {n: v for n, v in self._variables.items() if n not in wanted}
        self.covariates = {n: self._variables[n] for n in wanted}

    @property
    def chunk(self) -> int:
        """Draws that are held at a time: a likelihood keeps several numbers a datum and draw."""
        largest = max([1, *(v.shape.num_elements() for v in self._variables.values())])
        return int(np.clip(MOST_NUMBERS // largest, 16, MOST_DRAWS))

    @property
    def next_batch(self) -> Callable[[], None] | None:
        """Puts the dataset's next batch into the variables; None where the data are arrays."""
        return None if self.dataset is None else lambda: self.put(next(self._iterator))

    def put(self, batch: Mapping[str, Any]) -> None:
        """Puts values into the variables."""
        for name, variable in self._variables.items():
            variable.assign(tf.cast(batch[name], variable.dtype))

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the present values and covariates by name."""
        return {n: v.numpy() for n, v in self._variables.items()}


def covariate_names(joint: Any) -> list[str]:
    """Returns the arguments of a function that makes a joint; a joint itself has none."""
    if hasattr(joint, "experimental_pin") or not callable(joint):
        return []
    return list(inspect.signature(joint).parameters)


def _array(name: str, value: Any) -> np.ndarray:
    """Returns a number or an array of numbers; lists, data frames and sparse ones become one."""
    name = f"data[{name!r}]"
    if np.isscalar(value) or getattr(value, "shape", None) == ():
        array = np.asarray(value)
        check_dtype(name, array.dtype)
        return array
    array = as_array(name, value)
    return array.toarray() if is_sparse(array) else np.asarray(array)


def _first_batch(dataset: tf.data.Dataset) -> tuple[dict[str, Any], int]:
    """Returns the first batch and the size that all have."""
    spec = dataset.element_spec
    if not isinstance(spec, Mapping):
        raise DataError(
            "`data` must be a dataset of dictionaries of values by name. "
            f"Received: elements {spec}. Fix: `dataset.map(lambda y: {{'y': y}})`."
        )
    sizes = {n: s.shape[0] if s.shape.rank else None for n, s in spec.items()}
    if None in sizes.values() or len(set(sizes.values())) != 1:
        raise DataError(
            "`data` must be a dataset of batches of one size. "
            f"Received: batch sizes {sizes}. Fix: `.shuffle(N).batch(B, drop_remainder=True)`."
        )
    return next(iter(dataset)), next(iter(sizes.values()))


def _checked_size(num_examples: Any, batch_size: int) -> int:
    if num_examples is None:
        raise ValueError(
            "`num_examples` must be the number of examples of the whole data where they come in "
            "batches, for the likelihood is scaled to it. Received: num_examples=None. "
            "Fix: pass num_examples=N."
        )
    return checks.integer("num_examples", num_examples, batch_size)
