"""Constrained optimisation, GECO (Rezende and Viola, 2018, arXiv:1810.00597)."""

import math
from typing import Any

import tensorflow as tf

from tfvae import checks
from tfvae.draws import Draws
from tfvae.objectives.objective import Objective
from tfvae.serialization import serializable

LARGEST = math.log(1e6)  # of the multiplier's logarithm, either way
REACH = 10.0  # nats; an excess beyond it moves the multiplier no faster


@serializable
class Constrained(Objective):
    """Least KL at which the reconstruction error, -E_q[log p(x | z)], is at most `tolerance`.

    The loss is KL + multiplier * (error - tolerance). After each training batch the multiplier
    grows while the moving average of the error is above the tolerance, and shrinks while it is
    below. Where no model attains the tolerance it grows to its bound, 1e6: read it in
    `objective.multiplier`.

    Against the paper, the multiplier moves no faster for an average more than ten nats off: at
    first the error is often hundreds of nats above the tolerance, and exp of that overflows.

    Args:
        tolerance: Mean error per example in nats that is good enough; the error of a continuous
            likelihood, and so its tolerance, may be negative.
        rate: Change of the multiplier's logarithm in a step, for each nat of excess, > 0.
        decay: Of the moving average, in [0, 1).
        num_samples: S, draws per example.

    Raises:
        TypeError, ValueError: If an argument is out of range.

    Example:
    >>> Constrained(tolerance=80.0)
    """

    weights_kl = True

    def __init__(
        self,
        tolerance: float,
        rate: float = 0.001,
        decay: float = 0.99,
        num_samples: int = 1,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.tolerance = checks.finite_number("tolerance", tolerance)
        self.rate = checks.positive_number("rate", rate)
        self.decay = checks.finite_number("decay", decay, minimum=0.0)
        if self.decay >= 1.0:
            raise ValueError(f"`decay` must be in [0, 1). Received: decay={decay}.")
        self.num_samples = checks.positive_integer("num_samples", num_samples)
        self._log_multiplier = self._state("log_multiplier")
        self._total, self._mass = self._state("total"), self._state("mass")

    @property
    def multiplier(self) -> tf.Tensor:
        """Price of a nat of error, a scalar; 1 at the start."""
        return tf.exp(tf.convert_to_tensor(self._log_multiplier.value))

    def loss(self, draws: Draws, step: tf.Tensor) -> tf.Tensor:
        return draws.kl + tf.stop_gradient(self.multiplier) * self._excess(draws)

    def update(self, draws: Draws, weight: tf.Tensor) -> None:
        excess = tf.stop_gradient(self._excess(draws))
        mean = tf.math.divide_no_nan(tf.reduce_sum(weight * excess), tf.reduce_sum(weight))
        # The mass makes the first average that of the first batch, whatever the decay.
        total = self.decay * self._total + (1.0 - self.decay) * mean
        mass = self.decay * self._mass + (1.0 - self.decay)
        moved = self._log_multiplier + self.rate * tf.clip_by_value(total / mass, -REACH, REACH)
        self._total.assign(total)
        self._mass.assign(mass)
        self._log_multiplier.assign(tf.clip_by_value(moved, -LARGEST, LARGEST))

    def _excess(self, draws: Draws) -> tf.Tensor:
        return -tf.reduce_mean(draws.log_likelihood, axis=0) - self.tolerance

    def _state(self, name: str) -> Any:
        return self.add_weight(
            name=name, shape=(), initializer="zeros", trainable=False, aggregation="mean"
        )
