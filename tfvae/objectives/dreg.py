"""Doubly reparameterised gradients (Tucker et al., 2018, arXiv:1810.04152)."""

from typing import Any

import tensorflow as tf

from tfvae import checks
from tfvae.draws import Draws
from tfvae.objectives.importance_weighted import importance_bound
from tfvae.objectives.objective import Objective
from tfvae.serialization import serializable


@serializable
class DReG(Objective):
    """The bound of `ImportanceWeighted`; its gradient gets better, not worse, with more draws.

    The posterior's gradient is sum_s v_s**2 d log w_s / dz_s dz_s / dphi, with v the normalised
    weights, and has the same mean as IWAE's at a fraction of the variance. Likelihood and prior get
    IWAE's own gradient, weighted by v. In a list it goes with `DIP` alone: an objective that also
    needs the gradient through `z` would have it weighted too.

    Args:
        num_samples: S, draws per example.

    Raises:
        TypeError, ValueError: If it is no positive integer.

    Example:
    >>> DReG(num_samples=50)
    """

    weights_draws = True
    shares_path = False

    def __init__(self, num_samples: int = 50, **kwargs: Any):
        super().__init__(**kwargs)
        self.num_samples = checks.positive_integer("num_samples", num_samples)

    def loss(self, draws: Draws, step: tf.Tensor) -> tf.Tensor:
        return -importance_bound(draws.log_weight)

    def path_weight(self, draws: Draws) -> tf.Tensor:
        # The loss has sent v along the path already: this is the second factor.
        return tf.nn.softmax(draws.log_weight, axis=0)
