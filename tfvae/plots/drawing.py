"""What all pictures share: figures, axes and colours."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tfvae.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito (2008): blue and vermilion stay apart for every kind of colour vision.
TRAIN, VALID = "#0072B2", "#D55E00"
TEXT, GRID = "#333333", "#E5E5E5"


def tidy(axes: "Axes") -> None:
    """Takes away the lines that say nothing."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")
    axes.tick_params(color="#999999", labelcolor=TEXT, labelsize=9)


def new_figure(width: float, height: float, **options: Any) -> "Figure":
    """Returns an empty figure, in inches.

    Raises:
        ImportError: matplotlib is absent.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "`plots` must have matplotlib to draw with. Received: matplotlib=None. "
            'Fix: pip install "tfvae[plots]".'
        ) from error
    return Figure((width, height), dpi=100, facecolor="white", **options)


def finite(array: npt.ArrayLike, name: str) -> np.ndarray:
    """Returns an array as float64.

    Raises:
        DataError: It is empty, or has something that is no finite real number.
    """
    array = np.asarray(array)
    if array.dtype.kind not in "biuf" or array.size == 0:
        raise DataError(
            f"`{name}` must be a non-empty array of real numbers. "
            f"Received: {name}={array.dtype} {list(array.shape)}. Fix: pass numbers."
        )
    array = array.astype("float64")
    if not np.isfinite(array).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise DataError(
            f"`{name}` must be finite. Received: {name}[{', '.join(map(str, index))}]="
            f"{array[index]}. Fix: look for what made it so, often a diverged model."
        )
    return array
