"""Latents as points in a plane."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tfvae.errors import DataError
from tfvae.plots.drawing import GRID, TEXT, TRAIN, finite, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Ten colours, one a class (Petroff, 2021, arXiv:2107.02270).
_CLASSES = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip


def latent_map(z: npt.ArrayLike, labels: npt.ArrayLike | None = None) -> "Figure":
    """Draws latents as points in a plane: their two axes, or their first two principal components.

    Args:
        z: Latents, [N, D] with D at least 2, such as `vae.embed(x)`.
        labels: [N], to colour by: up to ten classes, or numbers on a scale.

    Returns:
        The figure; its axes say what they show and, of components, how much of the variance.

    Raises:
        DataError: `z` is not [N, D] and finite, or `labels` do not fit it.
        ImportError: matplotlib is absent.

    Example:
    >>> z = np.random.default_rng(0).normal(size=(100, 16))
    >>> figure = latent_map(z, labels=z[:, 0] > 0)
    """
    z = finite(z, "z")
    if z.ndim != 2 or z.shape[1] < 2:
        raise DataError(
            f"`z` must have the shape [N, D] with D at least 2. Received: z={z.shape}. "
            f"Fix: flatten the latents, or draw a histogram of a single one."
        )
    points, names = _plane(z)
    figure = new_figure(6.0, 5.0, layout="constrained")
    axes = figure.subplots()
    style = {"s": float(np.clip(12_000 / len(z), 4, 24)), "alpha": 0.8, "linewidths": 0}
    if labels is None:
        axes.scatter(*points.T, color=TRAIN, **style)
    else:
        _scatter_by_label(figure, axes, points, np.asarray(labels), style)
    axes.set_title("Latent space", loc="left", fontsize=11, color=TEXT)
    axes.set_xlabel(names[0], color=TEXT)
    axes.set_ylabel(names[1], color=TEXT)
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(color=GRID, lw=0.6)
    axes.set_axisbelow(True)
    tidy(axes)
    return figure


def _plane(z: np.ndarray) -> tuple[np.ndarray, list[str]]:
    if z.shape[1] == 2:
        return z, ["$z_0$", "$z_1$"]
    centred = z - z.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred / len(z))  # ascending
    directions = directions[:, :-3:-1]
    # An eigenvector's sign is arbitrary; its largest entry is made positive.
    directions = directions * np.sign(directions[np.abs(directions).argmax(axis=0), [0, 1]])
    shares = variances[:-3:-1] / max(variances.sum(), np.finfo("float64").tiny)
    names = [
        f"{order} principal component of {z.shape[1]} ({share:.0%} of variance)"
        for order, share in zip(("first", "second"), shares, strict=True)
    ]
    return centred @ directions, names


def _scatter_by_label(
    figure: "Figure", axes: "Axes", points: np.ndarray, labels: np.ndarray, style: dict[str, float]
) -> None:
    if labels.shape != points.shape[:1]:
        raise DataError(
            f"`labels` must have the shape [{len(points)}], one for each of `z`. "
            f"Received: labels={labels.shape}. Fix: give the labels of the same examples."
        )
    classes, index = np.unique(labels, return_inverse=True)
    if labels.dtype.kind in "iuf" and (labels.dtype.kind == "f" or len(classes) > len(_CLASSES)):
        dots = axes.scatter(*points.T, c=labels, cmap="viridis", **style)
        figure.colorbar(dots, ax=axes, label="label", fraction=0.05).outline.set_visible(False)
        return
    if len(classes) > len(_CLASSES):
        raise DataError(
            f"`labels` must have at most {len(_CLASSES)} classes, or be numbers. "
            f"Received: labels with {len(classes)} classes. Fix: join or leave out classes."
        )
    from matplotlib.patheffects import withStroke

    colors = np.array(_CLASSES)
    axes.scatter(*points.T, c=colors[index], **style)
    handles = [
        axes.plot([], [], "o", ms=6, color=color, label=str(name))[0]
        for name, color in zip(classes, _CLASSES, strict=False)
    ]
    for k, name in enumerate(classes):  # so that colours need not be told apart
        centre = np.median(points[index == k], axis=0)
        text = axes.annotate(str(name), centre, ha="center", va="center", weight="bold", color=TEXT)
        text.set_path_effects([withStroke(linewidth=3, foreground="white")])
    figure.legend(handles=handles, loc="outside right center", frameon=False, handletextpad=0.1)
