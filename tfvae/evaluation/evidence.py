"""The evidence log p(x) by importance sampling (Burda et al., 2015, arXiv:1509.00519)."""

import logging
import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae import checks
from tfvae.evaluation.bound import chunks
from tfvae.models.rows import Batch, over_rows

tfd = tfp.distributions
log = logging.getLogger("tfvae")

TOO_FEW = 10  # effective draws


class Evidence(NamedTuple):
    """Estimates by row, numpy [N].

    Attributes:
        log_evidence: log p(x) in nats; a lower bound in expectation.
        standard_error: Of `log_evidence`, in nats, by the delta method.
        effective_sample_size: (sum w)**2 / sum w**2, between 1 and `num_samples`; below 10 the
            estimate rests on a handful of draws and is too low.
    """

    log_evidence: np.ndarray
    standard_error: np.ndarray
    effective_sample_size: np.ndarray


def log_evidence(model: Any, inputs: Any, num_samples: int = 5000, seed: int = 0) -> Evidence:
    """Returns log (1/S) sum_s p(x, z_s) / q(z_s | x) of each row, with its error.

    Memory does not grow with `num_samples`: draws are taken in chunks. From 100 draws on, rows
    whose effective sample size is below 10 are reported in a warning of the log "tfvae".

    Args:
        model: A `LatentVariableModel`.
        inputs: Examples [N, ...], or a dictionary of arrays.
        num_samples: S, draws per row.
        seed: Seed of the draws; the same seed gives the same numbers for the same data and S.

    Raises:
        TypeError: If the posterior is a point mass, as that of codes that x determines.
        ValueError: If an argument is out of range or the data do not fit the model.

    Example:
    >>> evaluation.log_evidence(vae, x_test[:1000]).log_evidence.mean()
    """
    num_samples = checks.positive_integer("num_samples", num_samples)
    checks.seed(seed)
    per_chunk, batch_size = chunks(model, num_samples)
    whole, rest = divmod(num_samples, per_chunk)

    def log_weights(batch: Batch, number: tf.Tensor, chunk: Any, size: int) -> tf.Tensor:
        with model.noise.stream(f"evidence/{seed}", number * (whole + 1) + chunk):
            draws = model(batch, num_samples=size, training=False)
        if is_point_mass(draws.posterior):
            raise TypeError(
                "`model` must have a posterior with a density: of all z but one, a point mass "
                f"says nothing of their share in p(x). Received: a {type(model).__name__} with "
                f"posterior {draws.posterior.name}. Fix: `evaluation.elbo`, a lower bound."
            )
        return draws.log_weight  # [size, B]

    def evidence(batch: Batch, number: tf.Tensor) -> Evidence:
        rows = tf.shape(batch["x"])[0]
        state = (tf.fill([rows], -math.inf), tf.zeros([rows]), tf.zeros([rows]))

        def body(chunk: tf.Tensor, state: tuple) -> tuple:
            return chunk + 1, _add(state, log_weights(batch, number, chunk, per_chunk))

        _, state = tf.while_loop(
            lambda chunk, _: chunk < whole, body, (tf.constant(0), state), parallel_iterations=1
        )
        if rest:
            state = _add(state, log_weights(batch, number, whole, rest))
        largest, first, second = state  # sums of w and w**2, relative to the largest weight
        inverse_size = second / first**2
        return Evidence(
            largest + tf.math.log(first) - math.log(num_samples),
            tf.sqrt(tf.maximum(inverse_size - 1.0 / num_samples, 0.0)),
            1.0 / inverse_size,
        )

    estimates = over_rows(
        model, ("evidence", num_samples, seed), evidence, inputs, batch_size, num_samples
    )
    _warn_of_few(estimates.effective_sample_size, num_samples)
    return estimates


def is_point_mass(posterior: Any) -> bool:
    """Returns whether a posterior gives one z always, as that of codes that x determines."""
    return isinstance(getattr(posterior, "distribution", posterior), tfd.Deterministic)


def _warn_of_few(effective_sample_size: np.ndarray, num_samples: int) -> None:
    """Says how many rows rest on a handful of draws, unless few draws were asked for."""
    few = int(np.sum(~(effective_sample_size >= TOO_FEW)))
    if few and num_samples >= 10 * TOO_FEW:
        log.warning(
            "The evidence of %d of %d rows rests on an effective sample size below %d: it is too "
            "low, and its standard error too small. Take more than num_samples=%d, or train the "
            "posterior longer.",
            few,
            len(effective_sample_size),
            TOO_FEW,
            num_samples,
        )


def _add(state: tuple, log_weight: tf.Tensor) -> tuple:
    """Adds log weights [S, B] to running sums kept relative to the largest weight so far."""
    largest, first, second = state
    new = tf.maximum(largest, tf.reduce_max(log_weight, axis=0))
    new = tf.where(tf.math.is_finite(new), new, 0.0)  # no weight yet: exp(-inf - 0) = 0
    shrink, weight = tf.exp(largest - new), tf.exp(log_weight - new)
    return (
        new,
        first * shrink + tf.reduce_sum(weight, axis=0),
        second * shrink**2 + tf.reduce_sum(weight**2, axis=0),
    )
