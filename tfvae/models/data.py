"""What `fit` and `evaluate` take, looked at before anything is trained."""

import os
from collections.abc import Iterator, Mapping
from types import GeneratorType
from typing import Any, NoReturn

import keras
import numpy as np
import tensorflow as tf

from tfvae.errors import DataError
from tfvae.models.arrays import as_array, check_dtype, is_sparse
from tfvae.models.feed import are_arrays
from tfvae.models.inputs import (
    as_dictionary,
    check_condition_shape,
    check_keys,
    refuse_labels,
    split_batch,
)
from tfvae.models.observation import check_observation
from tfvae.models.value_checks import batch_of_arrays


def prepare(name: str, x: Any, y: Any, sample_weight: Any, steps: int | None) -> tuple[Any, Any]:
    """Returns data that Keras iterates, with weights inside, and one input to check shapes on.

    Args:
        name: Name of the argument in errors.
        x: Array, list of rows, dictionary of arrays, `tf.data.Dataset`, generator or `PyDataset`.
        y: To be None.
        sample_weight: Weight of each row, or None.
        steps: Batches per epoch, or None for all.

    Returns:
        The data, and an array, spec or dictionary of them, with a batch axis; None where Keras
        alone knows how to read the data.

    Raises:
        ValueError: If labels are given, weights are given twice, or the data never end.
        DataError: If the data are empty, or no arrays of numbers with equally many rows.
    """
    refuse_labels(x, y)
    if x is None:
        raise DataError(f"`{name}` must be given. Received: {name}=None.")
    check_ends(name, x, steps)
    if isinstance(x, tf.data.Dataset):
        _refuse_weights(sample_weight)
        return x, _checked_batch(x.element_spec)
    if isinstance(x, keras.utils.PyDataset):
        _refuse_weights(sample_weight)
        return x, _checked_arrays(x[0])
    if isinstance(x, GeneratorType):
        _refuse_weights(sample_weight)
        first, batches = peek(name, x)
        return batches, _checked_arrays(first)
    if isinstance(x, str | bytes | os.PathLike):
        raise DataError(
            f"`{name}` must be data, not the name of a file. Received: {name}={x!r}. "
            "Fix: load it, `tfvae.data.load(path).x_train`."
        )
    if isinstance(x, tuple):
        raise DataError(
            f"`{name}` must be one array or a dictionary of arrays. Received: a tuple of {len(x)}. "
            "Fix: pass x alone, without labels."
        )
    if not (isinstance(x, Mapping | list) or hasattr(x, "shape")):
        _refuse_weights(sample_weight)
        if not hasattr(x, "__iter__") or isinstance(x, Iterator | set | frozenset | range):
            raise DataError(
                f"`{name}` must be an array, a dictionary of arrays, a `tf.data.Dataset`, a "
                f"generator or a `keras.utils.PyDataset`. Received: {name} of type "
                f"{type(x).__name__}."
            )
        return x, None
    inputs = as_dictionary(x, sample_weight)
    if not isinstance(inputs, Mapping):
        inputs = as_array("x", inputs)
        if inputs.shape[0] == 0:
            _refuse_empty(name)
        return inputs, inputs
    check_keys(inputs)
    arrays = {k: as_array(k, v) for k, v in inputs.items() if v is not None}
    rows = {k: v.shape[0] for k, v in arrays.items()}
    if len(set(rows.values())) > 1:
        raise DataError(
            f"`{name}` must have equally many rows in all its arrays. "
            f"Received: {', '.join(f'{k} with {n}' for k, n in rows.items())}."
        )
    if rows["x"] == 0:
        _refuse_empty(name)
    if "condition" in arrays:
        check_condition_shape(arrays["condition"].shape)
    check_observation(arrays)
    if "sample_weight" in arrays:
        _check_weights(np.asarray(arrays["sample_weight"]))
    return arrays, arrays


def one_batch(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Returns arrays with rows as one dense batch, an array or a dictionary.

    Raises:
        ValueError, DataError: As `prepare`, and if x is no array or dictionary of arrays.
    """
    arrays, _ = prepare("x", x, y, sample_weight, 1)
    if not are_arrays(arrays):
        raise DataError(
            "`x` must be an array or a dictionary of arrays, of one batch. Received: x of type "
            f"{type(x).__name__}. Fix: call it for one batch after the other."
        )
    return tf.nest.map_structure(lambda a: a.toarray() if is_sparse(a) else a, arrays)


def _checked_batch(batch: Any) -> Any:
    """Returns a batch, or its spec, as one input; labels and unknown keys are refused."""
    inputs = split_batch(batch)
    if isinstance(inputs, Mapping):
        check_keys(inputs)
    for key, part in (inputs if isinstance(inputs, Mapping) else {"x": inputs}).items():
        if isinstance(part, tf.RaggedTensorSpec | tf.SparseTensorSpec):
            kind = type(part).__name__.removesuffix("Spec")
            method = "x.to_tensor()" if "Ragged" in kind else "tf.sparse.to_dense(x)"
            raise DataError(
                f"`{key}` must be a dense array. Received: a dataset of {kind}. "
                f"Fix: `dataset.map(lambda x: {method})`."
            )
        if hasattr(part, "dtype"):
            check_dtype(key, part.dtype)
    return inputs


def _checked_arrays(batch: Any) -> Any:
    """Returns the first batch of a generator or `PyDataset` as one input of arrays."""
    _checked_batch(batch)
    return batch_of_arrays(batch)


def peek(name: str, generator: Iterator[Any]) -> tuple[Any, Iterator[Any]]:
    """Returns the first batch, and a generator of all of them as tuples.

    Keras refuses generators of bare arrays and dictionaries, which it takes from datasets.

    Raises:
        DataError: If there is none.
    """
    try:
        first = next(generator)
    except StopIteration:
        _refuse_empty(name)

    def batches() -> Iterator[Any]:
        yield first if isinstance(first, tuple) else (first,)
        for batch in generator:
            yield batch if isinstance(batch, tuple) else (batch,)

    return first, batches()


def check_ends(name: str, x: Any, steps: int | None) -> None:
    """Refuses a dataset or `PyDataset` without batches, and one that has no end, and no steps.

    Raises:
        ValueError: If it is one.
    """
    if isinstance(x, tf.data.Dataset):
        number, kind = int(x.cardinality().numpy()), "an infinite dataset"
        number = None if number == tf.data.INFINITE_CARDINALITY else number
    elif isinstance(x, keras.utils.PyDataset):
        number, kind = x.num_batches, "a PyDataset whose num_batches is None"
    else:
        return
    if number is None:
        _require_steps(name, steps, kind)
    if number == 0:
        _refuse_empty(name)


def check_passes(name: str, x: Any, steps: int | None, passes: int) -> None:
    """Refuses a generator that is to be read more than once.

    Of one that has run out, Keras repeats the first two batches in each further epoch.

    Raises:
        ValueError: If it is to be.
    """
    if isinstance(x, GeneratorType) and steps is None and passes > 1:
        raise ValueError(
            f"`{name}` must be data that each epoch can read again. Received: a generator, which "
            f"ends after one pass, for {passes} epochs. Fix: a `tf.data.Dataset`, or an endless "
            "generator with `steps_per_epoch` (`validation_steps`)."
        )


def check_callbacks(callbacks: Any) -> None:
    """Refuses what Keras would call as callbacks, and is none.

    Raises:
        TypeError: If there is any.
    """
    if callbacks is None or isinstance(callbacks, keras.callbacks.CallbackList):
        return
    for number, callback in enumerate(tf.nest.flatten(callbacks)):
        if isinstance(callback, type) or not hasattr(callback, "set_model"):
            fix = f"{callback.__name__}(...)" if isinstance(callback, type) else "keras.callbacks"
            raise TypeError(
                "`callbacks` must be Keras callbacks. "
                f"Received: callbacks[{number}]={callback!r}. Fix: `{fix}`."
            )


def _require_steps(name: str, steps: int | None, received: str) -> None:
    if steps is None:
        raise ValueError(
            f"`{name}` must end, or an epoch never does. Received: {received}. "
            "Fix: pass `steps_per_epoch` (`validation_steps` or `steps`)."
        )


def _refuse_empty(name: str) -> NoReturn:
    raise DataError(f"`{name}` must have at least one row. Received: empty data.")


def _check_weights(weights: np.ndarray) -> None:
    rule = "`sample_weight` must have shape [B], finite numbers >= 0."
    if weights.ndim != 1:
        raise DataError(f"{rule} Received: sample_weight of shape {weights.shape}.")
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if bad.size:
        raise DataError(f"{rule} Received: sample_weight[{bad[0]}]={weights[bad[0]]}.")
    if not weights.any():
        raise DataError(f"{rule} Received: zeros alone, by which nothing is learned.")


def _refuse_weights(sample_weight: Any) -> None:
    if sample_weight is not None:
        raise ValueError(
            "`sample_weight` must come with the batches of a dataset or generator. Received: the "
            "argument. "
            "Fix: yield {'x': x, 'sample_weight': w}."
        )
