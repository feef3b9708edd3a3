"""Variational inference for Monte Carlo objectives (Mnih and Rezende, 2016, arXiv:1602.06725)."""

from typing import Any

import tensorflow as tf

from tfvae import checks
from tfvae.draws import Draws
from tfvae.objectives.importance_weighted import importance_bound
from tfvae.objectives.objective import Objective
from tfvae.serialization import serializable


@serializable
class VIMCO(Objective):
    """The bound of `ImportanceWeighted` with a score-function gradient: any posterior will do.

    It is the objective of discrete latents. The signal of each draw is the bound less the bound in
    which that draw's weight is replaced by the geometric mean of the others', which makes it
    unbiased and tolerably quiet. In a list it goes with `DIP` alone.

    Args:
        num_samples: S, draws per example, at least 2; memory grows with S**2 numbers an example.

    Raises:
        TypeError, ValueError: If it is no integer of at least 2.

    Example:
    >>> VIMCO(num_samples=16)
    """

    weights_draws = True
    needs_reparameterization = False
    takes_hierarchy = False
    shares_path = False

    def __init__(self, num_samples: int = 16, **kwargs: Any):
        super().__init__(**kwargs)
        self.num_samples = checks.integer("num_samples", num_samples, 2)

    def loss(self, draws: Draws, step: tf.Tensor) -> tf.Tensor:
        # `draws.log_posterior` is at stopped parameters, because of the path's weight.
        z = tf.nest.map_structure(tf.stop_gradient, draws.z)
        log_posterior = draws.posterior.log_prob(z)
        log_weight = draws.log_likelihood + draws.log_prior - log_posterior
        bound = importance_bound(log_weight)
        signal = tf.stop_gradient(bound - leave_one_out_bound(log_weight))  # [S, B]
        # Zero in value: the loss that is reported is the bound.
        score = tf.reduce_sum(signal * (log_posterior - tf.stop_gradient(log_posterior)), axis=0)
        return -(bound + score)

    def path_weight(self, draws: Draws) -> tf.Tensor:
        return tf.zeros_like(draws.log_weight)


def leave_one_out_bound(log_weight: tf.Tensor) -> tf.Tensor:
    """Returns the bound without each draw: its weight is the geometric mean of the others'.

    Args:
        log_weight: [S, B], S at least 2.

    Returns:
        [S, B]; entry s does not depend on log_weight[s].
    """
    size = tf.shape(log_weight)[0]
    own = tf.eye(size, dtype=tf.bool)[..., None]  # [S, S, 1]
    others = tf.where(own, 0.0, log_weight[None])
    mean = tf.reduce_sum(others, axis=1) / tf.cast(size - 1, log_weight.dtype)  # [S, B]
    replaced = tf.where(own, mean[:, None], log_weight[None])  # [S, S, B]
    return tf.reduce_logsumexp(replaced, axis=1) - tf.math.log(tf.cast(size, log_weight.dtype))
