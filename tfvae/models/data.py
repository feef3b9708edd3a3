"""What `fit` and `evaluate` take, looked at before anything is trained."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.errors import DataError
from tfvae.models.inputs import as_dictionary, check_keys, refuse_labels, split_batch


def prepare(name: str, x: Any, y: Any, sample_weight: Any, steps: int | None) -> tuple[Any, Any]:
    """Returns data that Keras iterates, with sample weights inside, and one input to check shapes on.

    Args:
        name: Name of the argument in errors.
        x: Array, list of rows, dictionary of arrays, `tf.data.Dataset`, generator or `PyDataset`.
        y: To be None.
        sample_weight: Weight of each row, or None.
        steps: Batches per epoch, or None for all.

    Returns:
        The data, and an array, spec or dictionary of them, with a batch axis; None for generators, which
        show their shapes only as they are consumed.

    Raises:
        ValueError: If labels are given, weights are given twice, or the data never end.
        DataError: If the data are no arrays of numbers with equally many rows.
    """
    refuse_labels(x, y)
    if isinstance(x, tf.data.Dataset):
        _refuse_weights(sample_weight)
        if steps is None and int(x.cardinality().numpy()) == tf.data.INFINITE_CARDINALITY:
            raise ValueError(
                f"`{name}` must end, or an epoch never does. Received: an infinite dataset. "
                "Fix: pass `steps_per_epoch` (`validation_steps` or `steps`)."
            )
        example = split_batch(x.element_spec)
        if isinstance(example, Mapping):
            check_keys(example)
        return x, example
    if not (isinstance(x, Mapping | list) or hasattr(x, "shape")):
        _refuse_weights(sample_weight)
        return x, None
    inputs = as_dictionary(x, sample_weight)
    if not isinstance(inputs, Mapping):
        inputs = _as_array("x", inputs)
        return inputs, inputs
    check_keys(inputs)
    arrays = {k: _as_array(k, v) for k, v in inputs.items() if v is not None}
    rows = {k: v.shape[0] for k, v in arrays.items()}
    if len(set(rows.values())) > 1:
        raise DataError(
            f"`{name}` must have equally many rows in all its arrays. "
            f"Received: {', '.join(f'{k} with {n}' for k, n in rows.items())}."
        )
    return arrays, arrays


def _refuse_weights(sample_weight: Any) -> None:
    if sample_weight is not None:
        raise ValueError(
            "`sample_weight` must come with the batches of a dataset or generator. Received: the argument. "
            "Fix: yield {'x': x, 'sample_weight': w}."
        )


def _as_array(name: str, value: Any) -> Any:
    """Returns an array with rows; nested lists become one."""
    if isinstance(value, list | tuple):
        try:
            value = np.asarray(value, "float32")
        except (TypeError, ValueError) as error:
            raise DataError(
                f"`{name}` must be a rectangular array of numbers. Received: a list: {error}."
            ) from None
    if not hasattr(value, "shape") or len(value.shape) == 0:
        raise DataError(f"`{name}` must be an array with one row an example. Received: {value!r}.")
    return value
