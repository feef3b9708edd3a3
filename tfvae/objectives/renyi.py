"""Renyi divergence bounds (Li and Turner, 2016, arXiv:1602.02311)."""

from typing import Any

import tensorflow as tf

from tfvae import checks
from tfvae.draws import Draws
from tfvae.objectives.objective import Objective
from tfvae.serialization import serializable


@serializable
class Renyi(Objective):
    """-1 / (1 - alpha) log (1/S) sum_s w_s**(1 - alpha), w the importance weights.

    alpha = 1 is the ELBO, alpha = 0 the importance-weighted bound. Above 1 the bound is looser and
    q covers less of p(z | x); below 0 it tends to an upper bound of log p(x) as S grows, and with
    few draws is none. It goes with the regularisers that `ImportanceWeighted` goes with.

    Args:
        alpha: Order of the divergence, any finite number.
        num_samples: S, draws per example.

    Raises:
        TypeError, ValueError: If an argument is out of range.

    Example:
    >>> Renyi(alpha=0.5, num_samples=50)
    """

    weights_draws = True

    def __init__(self, alpha: float = 0.5, num_samples: int = 50, **kwargs: Any):
        super().__init__(**kwargs)
        self.alpha = checks.finite_number("alpha", alpha)
        self.num_samples = checks.positive_integer("num_samples", num_samples)

    def loss(self, draws: Draws, step: tf.Tensor) -> tf.Tensor:
        log_weight, power = draws.log_weight, 1.0 - self.alpha
        if power == 0.0:
            return -tf.reduce_mean(log_weight, axis=0)
        # Relative to the extreme weight all exponents are <= 0, and with `expm1` and `log1p` the
        # digits stay as alpha nears 1, where the plain form divides a rounding error by 1 - alpha.
        extreme = tf.reduce_max if power > 0.0 else tf.reduce_min
        largest = tf.stop_gradient(extreme(log_weight, axis=0))
        mean = tf.reduce_mean(tf.math.expm1(power * (log_weight - largest)), axis=0)
        return -(largest + tf.math.log1p(mean) / power)
