"""The VAE of heterogeneous, incomplete tables (Nazabal et al., 2020, arXiv:1807.03653)."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from tfvae import checks, networks
from tfvae.models import VAE
from tfvae.random import seeded_initializers
from tfvae.stochastic import Columns, Conditional, Head


def table_vae(
    event_shape: tuple[int, ...],
    *,
    families: Mapping[str, Sequence[int]],
    classes: Mapping[int, int] | None = None,
    latent_size: int = 8,
    units: Sequence[int] = (128, 128),
    objective: Any = None,
    seed: int | None = None,
) -> VAE:
    """Returns an uncompiled VAE of tables whose columns are real, counts, binary or classes.

    Missing cells go in a mask, {"x": x, "mask": mask}; `reconstruct` imputes them. Give every model
    of incomplete data its mask from the first call on. Inputs of the encoder are normalised over
    the batch; real columns should have a scale of about one. This is the paper's model with one
    standard normal latent in place of its mixture.

    Args:
        event_shape: (D,), the number of columns.
        families: The numbers of the columns of each family that `tfvae.Head` takes.
        classes: For columns of class numbers 0, 1, ...: how many classes each has.
        latent_size: Number of latent dimensions.
        units: Widths of the encoder's layers; the decoder has them in reverse.
        objective: An objective or a list of them; `ELBO()` by default.
        seed: Seed of the initial weights and of all noise; None draws one.

    Raises:
        TypeError, ValueError: If an argument is out of range, or the columns are not 0, ..., D - 1.

    Example: two real columns, a count, and one of five classes.
    >>> model = table_vae((4,), families={"Normal": [0, 1], "Poisson": [2]}, classes={3: 5})
    """
    checks.positive_integer("latent_size", latent_size)
    blocks = [(family, list(c), {}) for family, c in checks.mapping("families", families).items()]
    blocks += [
        ("Categorical", [_column(column)], {"num_classes": number})
        for column, number in checks.mapping("classes", classes).items()
    ]
    with seeded_initializers(checks.seed(seed)):
        row = Columns([_head(f, len(c), size) for f, c, size in blocks], [c for _, c, _ in blocks])
        if row.event_shape != checks.shape("event_shape", event_shape):
            raise ValueError(
                f"`families` and `classes` must have the columns of event_shape={event_shape}. "
                f"Received: {row.event_shape[0]} columns."
            )
        encoder = keras.Sequential(
            [keras.layers.BatchNormalization(momentum=0.9), *networks.mlp(units).layers],
            name="encoder",
        )
        return VAE(
            encoder=Conditional(encoder, Head("Normal", (latent_size,))),
            decoder=Conditional(networks.mlp(units[::-1]), row),
            objective=objective,
            seed=seed,
        )


def _head(family: str, number: int, size: dict[str, int]) -> Head:
    """Returns the head of a block; each real column has one scale, whatever z."""
    shared = {"scale": (number,)} if family == "Normal" else {}
    return Head(family, (number,), fixed=size, shared=shared)


def _column(key: Any) -> Any:
    """Returns a column number; in JSON, which the command line reads, keys are strings."""
    return int(key) if isinstance(key, str) and key.isdecimal() else key
