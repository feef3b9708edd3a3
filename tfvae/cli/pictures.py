"""The pictures of a run: how it was trained and, of images, what the model makes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfvae import plots
from tfvae.cli.conditions import condition_of_samples
from tfvae.cli.terminal import Terminal
from tfvae.errors import DataError
from tfvae.models.saving import written_whole
from tfvae.runs import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS, COLUMNS = 5, 10


def draw(
    run: Run,
    model: Any,
    history: Mapping[str, Any],
    test_inputs: Mapping[str, Any],
    terminal: Terminal,
) -> None:
    """Writes `training.png` and, of images, `reconstructions.png` and `samples.png`.

    What cannot be drawn is a note: matplotlib may be absent, or a model give no finite numbers.
    """
    first = {name: rows[: ROWS * COLUMNS] for name, rows in test_inputs.items()}

    def training() -> Any:
        return plots.training_curves(history)

    def reconstructions() -> Any:
        return plots.reconstructions(first["x"], model.reconstruct(first).numpy(), num=2 * COLUMNS)

    def samples() -> Any:
        condition, rows = run.config["condition"], first.get("condition")
        if condition is None or "classes" in condition:
            rows = condition_of_samples(None, condition, ROWS * num_columns(condition))
        num = ROWS * COLUMNS if rows is None else len(rows)
        images = model.generate(num, condition=rows, seed=run.config["seed"])
        return samples_figure(images.numpy(), condition)

    figures = [training]
    if is_image(run.config["data"]["event_shape"]):
        figures += [reconstructions, samples]
    for figure in figures:
        name = f"{figure.__name__}.png"
        try:
            drawn = figure()
        except (ImportError, DataError) as error:
            terminal.note(f"there is no {name}: {error}")
            continue
        with written_whole(run.path(name)) as partial:
            drawn.savefig(partial, format="png")


def samples_figure(images: np.ndarray, condition: Mapping[str, Any] | None) -> "Figure":
    """Returns a picture of samples; if they are of each label in turn, a column is a label."""
    return plots.samples(images, columns=num_columns(condition))


def num_columns(condition: Mapping[str, Any] | None) -> int:
    """Returns how many samples to draw side by side."""
    classes = (condition or {}).get("classes", ())
    return len(classes) if 1 < len(classes) <= 2 * COLUMNS else COLUMNS


def is_image(event_shape: Sequence[int]) -> bool:
    """Returns whether `tfvae.plots` draws examples of that shape."""
    return len(event_shape) == 2 or (len(event_shape) == 3 and event_shape[-1] in (1, 3))
