"""Pictures of what a model does; arrays in, matplotlib figures out.

The figures belong to nobody's global state: show them in a notebook or call `savefig`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tfvae.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Okabe & Ito (2008): blue and vermilion stay apart for every kind of colour vision.
_TRAIN, _VALID = "#0072B2", "#D55E00"
# Ten colours, one a class (Petroff, 2021, arXiv:2107.02270).
_CLASSES = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
_TEXT, _GRID = "#333333", "#E5E5E5"
_METRICS = {
    "loss": "Loss",
    "elbo": "ELBO",
    "log_likelihood": "Log-likelihood",
    "kl": "KL divergence",
}


def reconstructions(
    x: npt.ArrayLike, x_reconstructed: npt.ArrayLike, *, num: int = 10, columns: int = 10
) -> "Figure":
    """Draws images above their reconstructions.

    Both have the grey scale of `x`, so that a faint reconstruction looks faint.

    Args:
        x: Images, [N, H, W] or [N, H, W, 1 or 3].
        x_reconstructed: Their reconstructions, of the same shape.
        num: Pairs to show, at most: the first ones.
        columns: Pairs side by side, before a new pair of rows begins.

    Returns:
        The figure.

    Raises:
        DataError: The arrays are not images, not finite, or differ in shape.
        ValueError: `num` or `columns` is not positive.
        ImportError: matplotlib is absent.

    Example:
    >>> figure = reconstructions(np.eye(8)[None], np.full((1, 8, 8), 0.1))
    >>> figure.savefig("reconstructions.png")  # doctest: +SKIP
    """
    x, x_reconstructed = _images(x, "x"), _images(x_reconstructed, "x_reconstructed")
    if x.shape != x_reconstructed.shape:
        raise DataError(
            f"`x_reconstructed` must have the shape of `x`, {x.shape}. "
            f"Received: x_reconstructed={x_reconstructed.shape}. "
            f"Fix: give the same examples in the same order."
        )
    num, columns = min(_positive(num, "num"), len(x)), _positive(columns, "columns")
    columns = min(columns, num)
    tiles = [_rows(images[:num], columns) for images in (x, x_reconstructed)]
    tiles = np.stack(tiles, axis=1).reshape(-1, columns, *x.shape[1:])  # originals above
    return _mosaic(
        tiles,
        "Data and reconstructions",
        limits=_limits(x),
        row_labels=["data", "model"] * (len(tiles) // 2),
        group=2,
    )


def samples(
    images: npt.ArrayLike, *, columns: int = 10, limits: tuple[float, float] | None = None
) -> "Figure":
    """Draws images in rows.

    Args:
        images: [N, H, W] or [N, H, W, 1 or 3].
        columns: Images side by side.
        limits: Values drawn black and white; 0 and 1 by default, or further where `images` go.

    Returns:
        The figure.

    Raises:
        DataError: `images` are not images, or not finite.
        ValueError: `columns` is not positive.
        ImportError: matplotlib is absent.

    Example:
    >>> figure = samples(np.random.default_rng(0).random((20, 8, 8)))
    """
    images = _images(images, "images")
    columns = min(_positive(columns, "columns"), len(images))
    return _mosaic(_rows(images, columns), "Samples", limits=limits or _limits(images))


def traversal(
    images: npt.ArrayLike,
    *,
    latents: Sequence[str | int] | None = None,
    values: Sequence[float] | None = None,
    limits: tuple[float, float] | None = None,
) -> "Figure":
    """Draws what changes when one latent moves and the others rest.

    Args:
        images: [rows, columns, H, W] or [rows, columns, H, W, 1 or 3], one latent a row.
        latents: The name or index of each row's latent; 0, 1, ... by default.
        values: The latent's value in each column, to be written below it.
        limits: Values drawn black and white; 0 and 1 by default, or further where `images` go.

    Returns:
        The figure.

    Raises:
        DataError: `images` are not a grid of images, or not finite.
        ValueError: `latents` or `values` does not fit the grid.
        ImportError: matplotlib is absent.

    Example:
    >>> figure = traversal(np.zeros((2, 5, 8, 8)), values=[-2, -1, 0, 1, 2])
    """
    images = _images(images, "images", is_grid=True)
    latents = range(images.shape[0]) if latents is None else latents
    _check_length(latents, "latents", images.shape[0], "row")
    names = [
        f"$z_{{{name}}}$" if isinstance(name, int | np.integer) else str(name) for name in latents
    ]
    return _mosaic(
        images,
        "Latent traversals",
        limits=limits or _limits(images),
        row_labels=names,
        column_labels=_numbers(values, "values", images.shape[1], "column"),
        column_title="value of the latent",
    )


def manifold(
    images: npt.ArrayLike,
    *,
    values: tuple[Sequence[float], Sequence[float]] | None = None,
    limits: tuple[float, float] | None = None,
) -> "Figure":
    """Draws the images that a plane of latents decodes to, as one sheet.

    Args:
        images: [rows, columns, H, W] or [rows, columns, H, W, 1 or 3]; the first latent changes
            along a row, the second from row to row.
        values: The first latent's value in each column, and the second's in each row.
        limits: Values drawn black and white; 0 and 1 by default, or further where `images` go.

    Returns:
        The figure; row 0 is at the top.

    Raises:
        DataError: `images` are not a grid of images, or not finite.
        ValueError: `values` do not fit the grid.
        ImportError: matplotlib is absent.

    Example:
    >>> figure = manifold(np.zeros((5, 5, 8, 8)))
    """
    images = _images(images, "images", is_grid=True)
    first, second = (None, None) if values is None else values
    return _mosaic(
        images,
        "Latent manifold",
        limits=limits or _limits(images),
        row_labels=_numbers(second, "values[1]", images.shape[0], "row"),
        column_labels=_numbers(first, "values[0]", images.shape[1], "column"),
        row_title="$z_1$",
        column_title="$z_0$",
        gap=0.0,
    )


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
    figure = _figure(1.0 + 3.5 * columns, 0.5 + 2.5 * rows, layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    lines = {}
    for axes, (metric, (train, valid)) in zip(grid.flat, curves.items(), strict=True):
        # With `validation_freq=k`, only every k-th epoch has a validation value.
        every = max(1, len(train) // max(1, len(valid)))
        for label, values, step, style in (
            ("training", train, 1, {"color": _TRAIN, "lw": 2.2}),
            ("validation", valid, every, {"color": _VALID, "lw": 1.2, "mfc": "white"}),
        ):
            if len(values):
                epochs = step * np.arange(1, len(values) + 1)
                marker = "o" if len(values) <= 30 else None
                lines[label] = axes.plot(epochs, values, marker=marker, ms=4, **style)[0]
        axes.set_ylim(_late_range(train, valid))
        axes.set_title(_METRICS[metric], loc="left", fontsize=11, color=_TEXT)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(color=_GRID, lw=0.6)
        _tidy(axes)
    for axes in grid[:, 0]:
        axes.set_ylabel("nats per example", color=_TEXT)
    figure.align_ylabels(grid[:, 0])
    for axes in grid[-1]:
        axes.set_xlabel("epoch", color=_TEXT)
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
    z = _finite(z, "z")
    if z.ndim != 2 or z.shape[1] < 2:
        raise DataError(
            f"`z` must have the shape [N, D] with D at least 2. Received: z={z.shape}. "
            f"Fix: flatten the latents, or draw a histogram of a single one."
        )
    points, names = _plane(z)
    figure = _figure(6.0, 5.0, layout="constrained")
    axes = figure.subplots()
    style = {"s": float(np.clip(12_000 / len(z), 4, 24)), "alpha": 0.8, "linewidths": 0}
    if labels is None:
        axes.scatter(*points.T, color=_TRAIN, **style)
    else:
        _scatter_by_label(figure, axes, points, np.asarray(labels), style)
    axes.set_title("Latent space", loc="left", fontsize=11, color=_TEXT)
    axes.set_xlabel(names[0], color=_TEXT)
    axes.set_ylabel(names[1], color=_TEXT)
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(color=_GRID, lw=0.6)
    axes.set_axisbelow(True)
    _tidy(axes)
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
        text = axes.annotate(
            str(name), centre, ha="center", va="center", weight="bold", color=_TEXT
        )
        text.set_path_effects([withStroke(linewidth=3, foreground="white")])
    figure.legend(handles=handles, loc="outside right center", frameon=False, handletextpad=0.1)


def _mosaic(
    tiles: np.ndarray,
    title: str,
    *,
    limits: tuple[float, float],
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    row_title: str = "",
    column_title: str = "",
    gap: float = 0.06,
    group: int = 1,
) -> "Figure":
    """Draws tiles [rows, columns, H, W, C] as one picture; NaN is left white.

    `gap` is a part of a tile's height; `group` rows stay close and their groups apart.
    """
    low, high = limits
    if not low < high:
        raise ValueError(
            f"`limits` must be two numbers, black's below white's. Received: limits={limits}. "
            f"Fix: give (0, 1), or leave it out."
        )
    rows, columns, height, width, channels = tiles.shape
    zoom = -(-48 // min(height, width))  # small images in whole multiples, so that gaps stay thin
    tiles = tiles.repeat(zoom, axis=2).repeat(zoom, axis=3)
    height, width, space = height * zoom, width * zoom, round(gap * height * zoom)
    tops = [r * (height + space) + (r // group) * (group > 1) * 3 * space for r in range(rows)]
    lefts = [c * (width + space) for c in range(columns)]
    picture = np.full((tops[-1] + height, lefts[-1] + width, channels), np.nan)
    for top, row in zip(tops, tiles, strict=True):
        for left, tile in zip(lefts, row, strict=True):
            picture[top : top + height, left : left + width] = tile
    picture = np.clip((picture - low) / (high - low), 0, 1)
    picture = np.where(np.isnan(picture), 1.0, picture)
    picture = np.broadcast_to(picture, (*picture.shape[:2], 3))

    # All sizes in inches; the axes are placed exactly, so that nothing is left over.
    tile = float(np.clip(7.5 / columns, 0.3, 0.8))
    scale = tile / width
    size = scale * picture.shape[1], scale * picture.shape[0]
    longest = max(map(len, row_labels), default=0)
    left = 0.15 + (0.1 + 0.075 * longest) * bool(longest) + 0.22 * bool(row_title)
    bottom = 0.15 + 0.2 * bool(len(column_labels)) + 0.22 * bool(column_title)
    top, right = 0.4, 0.15
    total = left + max(size[0] + right, 2.4), bottom + size[1] + top
    figure = _figure(*total)
    axes = figure.add_axes(
        (left / total[0], bottom / total[1], size[0] / total[0], size[1] / total[1])
    )
    axes.imshow(picture, aspect="auto")
    axes.set_title(title, loc="left", fontsize=11, color=_TEXT)
    axes.set_xlabel(column_title, color=_TEXT)
    axes.set_ylabel(row_title, color=_TEXT)
    _label_tiles(axes.xaxis, lefts, width, column_labels, math.ceil(0.45 / tile))
    _label_tiles(axes.yaxis, tops, height, row_labels, math.ceil(0.2 / (scale * height)))
    axes.spines[:].set_visible(False)
    return figure


def _label_tiles(
    axis: "Axis", starts: Sequence[int], extent: int, labels: Sequence[str], every: int
) -> None:
    shown = slice(None, None, every)
    centres = [start + (extent - 1) / 2 for start in starts] if len(labels) else []
    axis.set_ticks(centres[shown], list(labels)[shown])
    axis.set_tick_params(length=0, labelsize=9, labelcolor=_TEXT)


def _rows(images: np.ndarray, columns: int) -> np.ndarray:
    """[N, H, W, C] -> [rows, columns, H, W, C], the last row filled up with NaN."""
    missing = -len(images) % columns
    blank = np.full((missing, *images.shape[1:]), np.nan)
    return np.concatenate([images, blank]).reshape(-1, columns, *images.shape[1:])


def _limits(images: np.ndarray) -> tuple[float, float]:
    """Values drawn black and white: 0 and 1, unless the images go beyond."""
    return min(0.0, float(images.min())), max(1.0, float(images.max()))


def _images(images: npt.ArrayLike, name: str, *, is_grid: bool = False) -> np.ndarray:
    images = _finite(images, name)
    lead = 2 if is_grid else 1
    if images.ndim == lead + 2 and not (is_grid and images.shape[-1] in (1, 3)):
        images = images[..., np.newaxis]
    if images.ndim != lead + 3 or images.shape[-1] not in (1, 3):
        start = "rows, columns" if is_grid else "N"
        side = math.isqrt(images.shape[-1]) if images.ndim == 2 else 0
        event = f"{side}, {side}" if side and side**2 == images.shape[-1] else "height, width"
        target = f"rows, columns, {event}" if is_grid else f"-1, {event}"
        raise DataError(
            f"`{name}` must be images, [{start}, H, W] or [{start}, H, W, 1 or 3]. "
            f"Received: {name}={images.shape}. Fix: {name}.reshape({target})."
        )
    return images


def _finite(array: npt.ArrayLike, name: str) -> np.ndarray:
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


def _numbers(values: Sequence[float] | None, name: str, size: int, place: str) -> list[str]:
    if values is None:
        return []
    _check_length(values, name, size, place)
    return [f"{value:.2g}".replace("-", "\N{MINUS SIGN}") for value in values]


def _check_length(values: Sequence, name: str, size: int, place: str) -> None:
    if len(values) != size:
        raise ValueError(
            f"`{name}` must have {size} entries, one for each {place}. "
            f"Received: {name}={list(values)}. Fix: leave it out, or give one for each {place}."
        )


def _positive(number: int, name: str) -> int:
    if number < 1:
        raise ValueError(
            f"`{name}` must be a positive integer. Received: {name}={number}. Fix: give 10."
        )
    return number


def _tidy(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")
    axes.tick_params(color="#999999", labelcolor=_TEXT, labelsize=9)


def _figure(width: float, height: float, **options) -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "`plots` must have matplotlib to draw with. Received: matplotlib=None. "
            'Fix: pip install "tfvae[plots]".'
        ) from error
    return Figure((width, height), dpi=100, facecolor="white", **options)
