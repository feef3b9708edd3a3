"""Controlled capacity (Burgess et al., 2018, arXiv:1804.03599)."""

from typing import Any

import tensorflow as tf

from tfvae import checks
from tfvae.draws import Draws
from tfvae.objectives.objective import Objective
from tfvae.schedules import value_at
from tfvae.serialization import serializable


@serializable
class Capacity(Objective):
    """weight * |KL - capacity| - E_q[log p(x | z)]: the KL is held near a capacity that may grow.

    Use it in place of `ELBO(beta=...)` to choose how many nats the latents carry.

    Args:
        capacity: Target KL of each example in nats, >= 0; a float or a Keras schedule.
        weight: Price of a nat away from the target, > 0.
        num_samples: S, draws per example.

    Raises:
        TypeError, ValueError: If an argument is out of range.

    Example:
    >>> Capacity(schedules.Linear(0.0, 25.0, steps=100_000), weight=1_000.0)
    """

    weights_kl = True

    def __init__(
        self, capacity: Any = 25.0, weight: float = 100.0, num_samples: int = 1, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.capacity = checks.number_or_schedule("capacity", capacity, minimum=0.0)
        self.weight = checks.positive_number("weight", weight)
        self.num_samples = checks.positive_integer("num_samples", num_samples)

    def loss(self, draws: Draws, step: tf.Tensor) -> tf.Tensor:
        distance = tf.abs(draws.kl - value_at(self.capacity, step))
        return self.weight * distance - tf.reduce_mean(draws.log_likelihood, axis=0)
