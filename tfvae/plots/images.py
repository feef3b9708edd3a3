"""Images side by side: pairs, samples, traversals and manifolds."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tfvae.errors import DataError
from tfvae.plots.drawing import TEXT, finite, new_figure

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure


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
    figure = new_figure(*total)
    axes = figure.add_axes(
        (left / total[0], bottom / total[1], size[0] / total[0], size[1] / total[1])
    )
    axes.imshow(picture, aspect="auto")
    axes.set_title(title, loc="left", fontsize=11, color=TEXT)
    axes.set_xlabel(column_title, color=TEXT)
    axes.set_ylabel(row_title, color=TEXT)
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
    axis.set_tick_params(length=0, labelsize=9, labelcolor=TEXT)


def _rows(images: np.ndarray, columns: int) -> np.ndarray:
    """[N, H, W, C] -> [rows, columns, H, W, C], the last row filled up with NaN."""
    missing = -len(images) % columns
    blank = np.full((missing, *images.shape[1:]), np.nan)
    return np.concatenate([images, blank]).reshape(-1, columns, *images.shape[1:])


def _limits(images: np.ndarray) -> tuple[float, float]:
    """Values drawn black and white: 0 and 1, unless the images go beyond."""
    return min(0.0, float(images.min())), max(1.0, float(images.max()))


def _images(images: npt.ArrayLike, name: str, *, is_grid: bool = False) -> np.ndarray:
    images = finite(images, name)
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
