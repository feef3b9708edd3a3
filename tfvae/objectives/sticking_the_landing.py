"""Sticking the landing (Roeder, Wu and Duvenaud, 2017, arXiv:1703.09194)."""

from typing import Any

import tensorflow as tf

from tfvae import checks
from tfvae.draws import Draws
from tfvae.objectives.objective import Objective
from tfvae.serialization import serializable


@serializable
class StickingTheLanding(Objective):
    """The negative ELBO over draws, with the posterior's gradient through `z` alone.

    The term left out has mean zero. Without it the gradient's noise goes to zero as q(z | x) nears
    p(z | x): choose it where the posterior can be exact or nearly so (VI with flows, full
    covariances). The KL is that of the draws even where there is a closed form. In a list it goes
    with regularisers, `TotalCorrelation`, `CriticTotalCorrelation`, `DIP` and `MMD`.

    Args:
        num_samples: S, draws per example.

    Raises:
        TypeError, ValueError: If it is no positive integer.

    Example:
    >>> StickingTheLanding(num_samples=10)
    """

    def __init__(self, num_samples: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        self.num_samples = checks.positive_integer("num_samples", num_samples)

    def loss(self, draws: Draws, step: tf.Tensor) -> tf.Tensor:
        return -tf.reduce_mean(draws.log_weight, axis=0)

    def path_weight(self, draws: Draws) -> tf.Tensor:
        return tf.ones_like(draws.log_weight)
