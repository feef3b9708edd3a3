"""Arrays with rows, of whatever made them: numpy, TensorFlow, lists, pandas, scipy."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae.errors import DataError


def is_sparse(value: Any) -> bool:
    """Whether `value` is a sparse matrix of scipy."""
    return type(value).__module__.startswith("scipy.sparse")


def as_array(name: str, value: Any) -> Any:
    """Returns an array of real numbers with rows; nested lists and data frames become one.

    Args:
        name: Name of the array in errors.
        value: Array, nested list, data frame, or sparse matrix of scipy, which is left as it is.

    Raises:
        DataError: If it is none of them.
    """
    if isinstance(value, list | tuple):
        value = _from_lists(name, value)
    elif hasattr(value, "iloc"):
        value = _from_frame(name, value)
    if isinstance(value, tf.RaggedTensor | tf.SparseTensor):
        ragged = isinstance(value, tf.RaggedTensor)
        raise DataError(
            f"`{name}` must be a dense array. Received: {name} of type {type(value).__name__}. "
            f"Fix: {f'{name}.to_tensor()' if ragged else f'tf.sparse.to_dense({name})'}."
        )
    if isinstance(value, np.ma.MaskedArray):
        raise DataError(
            f"`{name}` must have no masked cells, whose values would be taken. "
            f"Received: {name} of type MaskedArray. Fix: {name}.filled(0.0)."
        )
    if not hasattr(value, "shape") or not hasattr(value, "dtype") or len(value.shape) == 0:
        raise DataError(f"`{name}` must be an array with one row an example. Received: {value!r}.")
    if isinstance(value, keras.KerasTensor):
        raise DataError(f"`{name}` must be an array with values. Received: a keras.Input.")
    check_dtype(name, value.dtype)
    if is_sparse(value):
        return value.tocsr()
    if isinstance(value, np.ndarray):
        if value.dtype == np.longdouble and np.longdouble != np.float64:
            return value.astype("float64")
        if not value.dtype.isnative:
            return value.astype(value.dtype.newbyteorder("="))
    return value


def check_dtype(name: str, dtype: Any) -> None:
    """Refuses types that are no real numbers, of numpy or TensorFlow.

    Raises:
        DataError: If it is one.
    """
    if isinstance(dtype, tf.DType):
        is_real = dtype.is_floating or dtype.is_integer or dtype.is_bool
        dtype = dtype.name
    else:
        # kind "V" is that of bfloat16, and of records, which have fields.
        kind, fields = getattr(dtype, "kind", "f"), getattr(dtype, "fields", None)
        is_real = kind not in "OSUcMmT" and not fields
    if not is_real:
        raise DataError(
            f"`{name}` must be an array of real numbers. Received: {name} of dtype {dtype}. "
            f"Fix: `{name}.astype('float32')`, categories as one column each."
        )


def _from_lists(name: str, value: Any) -> np.ndarray:
    lengths = [len(row) if hasattr(row, "__len__") else None for row in value]
    ragged = next((i for i, n in enumerate(lengths) if n != lengths[0]), None)
    if ragged is not None:
        raise DataError(
            f"`{name}` must be a rectangular array of numbers. Received: a list: {name}[{ragged}] "
            f"has {lengths[ragged]} entries, {name}[0] has {lengths[0]}."
        )
    try:
        return np.asarray(value, "float32")
    except (TypeError, ValueError) as error:
        raise DataError(
            f"`{name}` must be a rectangular array of numbers. Received: a list: {error}."
        ) from None


def _from_frame(name: str, frame: Any) -> np.ndarray:
    """Returns the numbers of a pandas data frame; missing ones are NaN."""
    is_frame = hasattr(frame, "columns")
    dtypes = zip(frame.columns, frame.dtypes, strict=True) if is_frame else [(name, frame.dtype)]
    for column, dtype in dtypes:
        if getattr(dtype, "kind", "O") not in "biuf":
            raise DataError(
                f"`{name}` must have columns of numbers. Received: column {column!r} of dtype "
                f"{dtype}. Fix: drop it, or encode it, categories as one column each."
            )
    return frame.to_numpy(dtype="float32", na_value=np.nan)
