"""The evidence lower bound by row."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfvae import checks
from tfvae.models.rows import Batch, over_rows


def elbo(model: Any, inputs: Any, num_samples: int = 1, seed: int = 0) -> np.ndarray:
    """Returns the ELBO of each row in nats (beta = 1), float32 [N].

    The KL is exact where there is a closed form; the log-likelihood is the mean over the draws.

    Args:
        model: A `LatentVariableModel`.
        inputs: Examples [N, ...], or a dictionary of arrays.
        num_samples: S, draws per row.
        seed: Seed of the draws; the same seed gives the same numbers for the same data and S.

    Raises:
        ValueError: If an argument is out of range or the data do not fit the model.

    Example:
    >>> evaluation.elbo(vae, x_test).mean()
    """
    num_samples = checks.positive_integer("num_samples", num_samples)
    checks.seed(seed)
    _, batch_size = chunks(model, num_samples)

    def bound(batch: Batch, number: tf.Tensor) -> tf.Tensor:
        with model.noise.stream(f"elbo/{seed}", number):
            return model(batch, num_samples=num_samples, training=False).elbo

    return over_rows(model, ("elbo", num_samples, seed), bound, inputs, batch_size, num_samples)


def chunks(model: Any, num_samples: int) -> tuple[int, int]:
    """Returns how many draws and rows to hold at a time, for about four million numbers."""
    size, draws = model.numbers_per_draw, min(num_samples, 100)
    return draws, int(np.clip(2**22 // (size * draws), 1, 1024))
