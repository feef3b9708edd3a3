"""What counts as data: finite real numbers, one row for each example."""

import numpy as np
import numpy.typing as npt

from tfvae.errors import DataError


def as_float32(x: npt.ArrayLike, name: str = "x") -> np.ndarray:
    """Checks that an array holds finite real numbers [N, ...], and makes them float32.

    Args:
        x: Booleans, integers or floats with at least two axes.
        name: What error messages call the array.

    Returns:
        float32 of the same shape.

    Raises:
        DataError: Another type, no examples or columns, or a number that float32 cannot hold.

    Example:
    >>> as_float32(np.array([[0, 255]], "uint8"))
    array([[  0., 255.]], dtype=float32)
    """
    x = np.asarray(x)
    if x.dtype.kind not in "biuf":
        raise DataError(
            f"`{name}` must be an array of real numbers. Received: {name}={x.dtype}. "
            f"Fix: encode it as numbers, categories as one column each."
        )
    if x.ndim < 2 or x.size == 0:
        raise DataError(
            f"`{name}` must have the shape [N, ...] with at least one example and one column. "
            f"Received: {name}={x.shape}. Fix: give one row for each example."
        )
    with np.errstate(over="ignore"):  # too large becomes inf, which the next check names
        numbers = x.astype("float32", copy=False)
    is_bad = ~np.isfinite(numbers)
    if is_bad.any():
        index = tuple(int(i) for i in np.argwhere(is_bad)[0])
        raise DataError(
            f"`{name}` must be finite in float32. Received: {name}[{', '.join(map(str, index))}]="
            f"{x[index]}, the first of {is_bad.sum()}. Fix: remove or impute these values."
        )
    return numbers


def as_labels(labels: npt.ArrayLike, name: str = "labels") -> np.ndarray:
    """Checks that an array holds integers [N], and makes them int64.

    Args:
        labels: Integers with one axis.
        name: What error messages call the array.

    Returns:
        int64 [N].

    Raises:
        DataError: Another type or number of axes.

    Example:
    >>> as_labels(np.array([3, 1], "uint8"))
    array([3, 1])
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise DataError(
            f"`{name}` must be integers of shape [N]. "
            f"Received: {name}={labels.dtype} {list(labels.shape)}. "
            f"Fix: number the classes from 0."
        )
    return labels.astype("int64", copy=False)
