"""Total correlation by stratified minibatches, beta-TCVAE (Chen et al., 2018, arXiv:1802.04942)."""

import math
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae import checks
from tfvae.draws import Draws
from tfvae.objectives.objective import Objective
from tfvae.schedules import value_at
from tfvae.serialization import serializable

tfd = tfp.distributions


@serializable
class TotalCorrelation(Objective):
    """weight * KL[q(z) || prod_d q(z_d)], q(z) being the mean of q(z | x) over the training data.

    Add it to a bound: `[ELBO(), TotalCorrelation(5.0, num_examples=60_000)]` is beta-TCVAE with
    beta = 6. It is no use alone.

    q(z) is estimated from the batch: an example's own posterior counts 1/N and the B - 1 others
    share the rest, so that the estimate of q(z) is unbiased (the paper's stratified sampling,
    averaged over its arbitrary choice of one example). Its logarithm is not: log q(z) comes out too
    low by what the batch misses, more so than log q(z_d), and the total correlation with it. The
    error is gone where the batch is the data set, and grows with the latents' number and sharpness.
    (The paper's minibatch-weighted estimate is off by about (D - 1) log(N B) as well, D latents.)

    Args:
        weight: Price of a nat, >= 0; a float or a Keras schedule. The paper's beta - 1.
        num_examples: N, the number of training examples, at least 2.

    Raises:
        TypeError, ValueError: If an argument is out of range, or the posterior does not factorise.

    Example:
    >>> objective = [ELBO(), TotalCorrelation(weight=5.0, num_examples=len(x_train))]
    """

    takes_hierarchy = False

    def __init__(self, weight: Any, num_examples: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.weight = checks.number_or_schedule("weight", weight, minimum=0.0)
        self.num_examples = checks.integer("num_examples", num_examples, 2)

    def loss(self, draws: Draws, step: tf.Tensor) -> tf.Tensor:
        joint, marginals = log_aggregate(draws, self.num_examples)
        total_correlation = tf.reduce_mean(joint - tf.reduce_sum(marginals, axis=-1), axis=0)
        return value_at(self.weight, step) * total_correlation


def log_aggregate(draws: Draws, num_examples: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns estimates of log q(z), [S, B], and of log q(z_d), [S, B, D], at the draws.

    Args:
        draws: Draws of a batch, with a posterior that factorises.
        num_examples: N, the number of examples that q(z) is a mean over.

    Raises:
        ValueError: If the posterior does not factorise.
    """
    posterior = draws.posterior
    if not isinstance(posterior, tfd.Independent) or posterior.distribution.event_shape.rank:
        raise ValueError(
            "`objective` must do without the densities of single latents, for the posterior does "
            f"not factorise. Received: posterior {type(posterior).__name__}. "
            "Fix: use a factorised one, or `CriticTotalCorrelation`."
        )
    # Entry [s, i, j, d]: the density of draw i's latent d under the posterior of example j.
    parts = posterior.distribution.log_prob(draws.z[:, :, None])
    shape = tf.shape(parts)
    parts = tf.reshape(parts, tf.concat([shape[:3], [-1]], 0))
    weight = _log_stratified_weight(shape[2], num_examples)
    joint = tf.reduce_logsumexp(tf.reduce_sum(parts, axis=-1) + weight, axis=2)
    return joint, tf.reduce_logsumexp(parts + weight[..., None], axis=2)


def _log_stratified_weight(size: tf.Tensor, num_examples: int) -> tf.Tensor:
    """Returns log weights [B, B] of the posteriors j in q(z) at a draw of i; rows sum to one."""
    others = tf.math.log((num_examples - 1) / num_examples) - tf.math.log(
        tf.cast(tf.maximum(size - 1, 1), tf.float32)
    )
    return tf.where(tf.eye(size, dtype=tf.bool), -math.log(num_examples), others)
