"""What the latents carry: active units, KL by dimension, and the aggregate posterior."""

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfvae import checks
from tfvae.distributions import center
from tfvae.errors import DataError
from tfvae.models.inputs import unpack
from tfvae.models.rows import Batch, over_rows

ROWS = 256  # at a time


class Aggregate(NamedTuple):
    """The parts of the mean KL, in nats (Hoffman and Johnson, 2016, "ELBO surgery").

    Attributes:
        mutual_information: I(x; z) under q, at most the log of the number of rows.
        gap: KL[q(z) || p(z)] of the aggregate posterior, the mean of q(z | x) over the rows.
        kl_by_dimension: Mean KL[q(z | x) || p(z)] of each dimension, [D], or None where posterior
            or prior do not factorise.
    """

    mutual_information: float
    gap: float
    kl_by_dimension: np.ndarray | None


def active_units(model: Any, inputs: Any, threshold: float = 0.01) -> int:
    """Returns the number of latent dimensions whose posterior mean varies over the data.

    Active is a dimension with Var_x(E[z | x]) > `threshold` (Burda et al., 2015, arXiv:1509.00519);
    those of all levels count.

    Args:
        model: A `VAE` or a `LadderVAE`.
        inputs: Examples [N, ...], N at least 2, or a dictionary of arrays.
        threshold: Smallest variance that counts.

    Raises:
        DataError: If there are fewer than two rows, or they do not fit the model.

    Example:
    >>> evaluation.active_units(vae, x_test)
    """
    threshold = checks.finite_number("threshold", threshold, minimum=0.0)

    def centers(batch: Batch, number: tf.Tensor) -> tf.Tensor:
        levels = tf.nest.map_structure(center, model.encode(batch))
        flat = [tf.reshape(z, [tf.shape(z)[0], -1]) for z in tf.nest.flatten(levels)]
        return tf.concat(flat, axis=-1)

    means = over_rows(model, "posterior centers", centers, inputs, ROWS).astype("float64")
    _require_rows(len(means))
    return int(np.sum(means.var(axis=0) > threshold))


def kl_by_dimension(model: Any, inputs: Any) -> np.ndarray:
    """Returns the mean KL[q(z | x) || p(z)] of each latent dimension in nats, [D].

    Of a hierarchy it is the KL of each level, [L], top first, given draws of the levels above.

    Args:
        model: A `LatentVariableModel`.
        inputs: Examples [N, ...], or a dictionary of arrays.

    Raises:
        ValueError: If posterior and prior do not factorise.
        DataError: If the data do not fit the model.

    Example:
    >>> evaluation.kl_by_dimension(vae, x_test).round(2)
    """

    def parts_of(batch: Batch, number: tf.Tensor) -> tf.Tensor:
        with model.noise.stream("kl_by_dimension", number):
            return _kl_parts(model(batch, training=False))

    parts = over_rows(model, "kl_by_dimension", parts_of, inputs, ROWS)
    if parts.shape[1] == 0:
        raise ValueError(
            "`model` must have a posterior and a prior that factorise by dimension, alike. "
            f"Received: a {type(model).__name__} whose KL has no parts. "
            "Fix: `aggregate_posterior` gives the whole."
        )
    return parts.mean(axis=0, dtype="float64")


def aggregate_posterior(model: Any, inputs: Any, seed: int = 0) -> Aggregate:
    """Returns how the mean KL divides into information about x and distance to the prior.

    E_x KL[q(z | x) || p(z)] = I(x; z) + KL[q(z) || p(z)], where q(z) is the mixture of the rows'
    posteriors: one draw from each is compared with all of them, at N**2 densities.

    Args:
        model: A `VAE`.
        inputs: Examples [N, ...], N at least 2, or a dictionary of arrays.
        seed: Seed of the draws; the same seed gives the same numbers.

    Raises:
        TypeError: If the model is a hierarchy.
        DataError: If there are fewer than two rows, or they do not fit the model.

    Example:
    >>> evaluation.aggregate_posterior(vae, x_test[:2000]).gap
    """
    checks.seed(seed)
    if is_hierarchy(model):
        raise TypeError(
            "`model` must have one level of latents. "
            f"Received: {type(model).__name__}. Fix: `kl_by_dimension` gives the KL of each level."
        )

    def draw(batch: Batch, number: tf.Tensor) -> Any:
        with model.noise.stream(f"aggregate/{seed}", number):
            draws = model(batch, num_samples=1, training=False)
        return draws.z[0], draws.log_posterior[0], draws.log_prior[0], _kl_parts(draws)

    z, log_posterior, log_prior, parts = over_rows(model, ("aggregate", seed), draw, inputs, ROWS)
    _require_rows(len(z))
    log_mixture = _log_mixture(model, z, inputs)
    return Aggregate(
        mutual_information=float(np.mean(log_posterior - log_mixture)),
        gap=float(np.mean(log_mixture - log_prior)),
        kl_by_dimension=parts.mean(axis=0, dtype="float64") if parts.shape[1] else None,
    )


def is_hierarchy(model: Any) -> bool:
    """Returns whether a model's latents are a tuple, level by level."""
    return any(isinstance(level, tuple) for level in model.latent_shape)


def _log_mixture(model: Any, z: np.ndarray, inputs: Any) -> np.ndarray:
    """Returns log (1/N) sum_m q(z_n | x_m) for each of the latents, float64 [N]."""
    batch = {k: v for k, v in unpack(inputs, model.event_shape)._asdict().items() if v is not None}
    batch.pop("sample_weight", None)

    def log_sum(batch: Batch, z: tf.Tensor) -> tf.Tensor:
        densities = model.encode(batch).log_prob(z[:, None])  # [N, B]
        return tf.reduce_logsumexp(densities, axis=1)

    graph, total = model.graphs.get("aggregate/mixture", log_sum), np.full(len(z), -np.inf)
    size = int(np.clip(2**22 // z.size, 1, ROWS))
    for start in range(0, len(z), size):
        part = {k: v[start : start + size] for k, v in batch.items()}
        total = np.logaddexp(total, graph(part, tf.constant(z)).numpy().astype("float64"))
    return total - math.log(len(z))


def _kl_parts(draws: Any) -> tf.Tensor:
    """Returns KL by dimension, [B, D], with D = 0 where it has no parts."""
    parts = draws.kl_parts
    return tf.zeros([tf.shape(draws.log_prior)[1], 0]) if parts is None else parts


def _require_rows(number: int) -> None:
    if number < 2:
        raise DataError("`inputs` must have at least two rows, to vary over. Received: one row.")
