"""What training says of itself, epoch by epoch."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfvae.errors import DataError
from tfvae.plots.drawing import GRID, TEXT, TRAIN, VALID, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_METRICS = {
    "loss": "Loss",
    "elbo": "ELBO",
    "log_likelihood": "Log-likelihood",
    "kl": "KL divergence",
}


def training_curves(history: Mapping[str, Sequence[float]]) -> "Figure":
    """Draws the loss and the parts of the ELBO over the epochs of training.

    Early epochs that would squeeze the others flat leave the frame.

    Args:
        history: As `fit(...).history`: any of loss, elbo, log_likelihood and kl, in nats per
            example, one value an epoch, and any of them with the prefix `val_`. Other entries,
            such as a learning rate, are not nats and are left out.

    Returns:
        The figure, with a panel for each metric.

    Raises:
        DataError: `history` has none of these metrics.
        ImportError: matplotlib is absent.

    Example:
    >>> figure = training_curves({"elbo": [-30.0, -21.5], "val_elbo": [-27.0, -22.0]})
    """
    curves = {}
    for metric in _METRICS:
        train, valid = (np.ravel(history.get(name, ())) for name in (metric, f"val_{metric}"))
        if len(train) or len(valid):
            curves[metric] = train, valid
    if not curves:
        raise DataError(
            f"`history` must have at least one of {', '.join(_METRICS)}, with values. "
            f"Received: history={list(history)}. Fix: pass `model.fit(...).history`."
        )
    rows, columns = (2, 2) if len(curves) == 4 else (1, len(curves))
    figure = new_figure(1.0 + 3.5 * columns, 0.5 + 2.5 * rows, layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    lines = {}
    for axes, (metric, (train, valid)) in zip(grid.flat, curves.items(), strict=True):
        # With `validation_freq=k`, only every k-th epoch has a validation value.
        every = max(1, len(train) // max(1, len(valid)))
        for label, values, step, style in (
            ("training", train, 1, {"color": TRAIN, "lw": 2.2}),
            ("validation", valid, every, {"color": VALID, "lw": 1.2, "mfc": "white"}),
        ):
            if len(values):
                epochs = step * np.arange(1, len(values) + 1)
                marker = "o" if len(values) <= 30 else None
                lines[label] = axes.plot(epochs, values, marker=marker, ms=4, **style)[0]
        axes.set_ylim(_late_range(train, valid))
        axes.set_title(_METRICS[metric], loc="left", fontsize=11, color=TEXT)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(color=GRID, lw=0.6)
        tidy(axes)
    for axes in grid[:, 0]:
        axes.set_ylabel("nats per example", color=TEXT)
    figure.align_ylabels(grid[:, 0])
    for axes in grid[-1]:
        axes.set_xlabel("epoch", color=TEXT)
    figure.legend(lines.values(), lines.keys(), loc="outside upper right", ncols=2, frameon=False)
    return figure


def _late_range(*curves: np.ndarray) -> tuple[float, float] | None:
    """Limits for all but the first fifth, if that would squeeze the rest flat; None: all fit."""
    finite = [np.where(np.isfinite(curve), curve, np.nan) for curve in curves if len(curve)]
    late = np.concatenate([curve[len(curve) // 5 :] for curve in finite])
    if np.isnan(late).all():
        return None
    low, high = np.nanmin(late), np.nanmax(late)
    whole = np.nanmax(np.concatenate(finite)) - np.nanmin(np.concatenate(finite))
    margin = 0.1 * (high - low)
    return (low - margin, high + margin) if 0 < high - low < whole / 3 else None
