"""The importance-weighted bound, IWAE (Burda et al., 2015, arXiv:1509.00519)."""

from typing import Any

import tensorflow as tf

from tfvae import checks
from tfvae.draws import Draws
from tfvae.objectives.objective import Objective
from tfvae.serialization import serializable


def importance_bound(log_weight: tf.Tensor) -> tf.Tensor:
    """Returns log (1/S) sum_s w_s of log weights [S, B]: a lower bound of log p(x) in the mean."""
    size = tf.cast(tf.shape(log_weight)[0], log_weight.dtype)
    return tf.reduce_logsumexp(log_weight, axis=0) - tf.math.log(size)


@serializable
class ImportanceWeighted(Objective):
    """-log (1/S) sum_s p(x, z_s) / q(z_s | x): tighter than the ELBO, and the tighter the larger S.

    The gradient of the posterior gets noisier as S grows; from about ten draws on use `DReG`, the
    same bound. There is no beta and there are no free bits: a bound with them bounds nothing. In a
    list it goes with regularisers, `TotalCorrelation`, `CriticTotalCorrelation`, `DIP` and `MMD`.

    Args:
        num_samples: S, draws per example; 1 gives the ELBO.

    Raises:
        TypeError, ValueError: If it is no positive integer.

    Example:
    >>> ImportanceWeighted(num_samples=5)
    """

    weights_draws = True

    def __init__(self, num_samples: int = 50, **kwargs: Any):
        super().__init__(**kwargs)
        self.num_samples = checks.positive_integer("num_samples", num_samples)

    def loss(self, draws: Draws, step: tf.Tensor) -> tf.Tensor:
        return -importance_bound(draws.log_weight)
