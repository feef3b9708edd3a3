"""Maximum mean discrepancy: InfoVAE (Zhao et al., 2019, arXiv:1706.02262) and WAE.

WAE is that of Tolstikhin et al. (2018, arXiv:1711.01558), whose kernel this is.
"""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae import checks
from tfvae.draws import Draws
from tfvae.objectives.objective import Objective
from tfvae.random import seed_pair
from tfvae.schedules import value_at
from tfvae.serialization import serializable

tfd = tfp.distributions

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@serializable
class MMD(Objective):
    """weight * MMD**2[q(z), p(z)], q(z) being the mean of q(z | x) over the data.

    The kernel is a sum of inverse multiquadratics, sum_s c_s / (c_s + |z - z'|**2) with
    c_s = 2 D s, s from 0.1 to 10, for D latents on the scale of N(0, I). The estimate from a batch
    and as many draws of the prior is unbiased, so that it may come out negative; batches need two
    examples or more. The price of a batch is that of each of its examples.

    Add it to a bound: `[ELBO(beta=0.0), MMD(10.0)]` is a WAE, `[ELBO(beta=1 - a), MMD(a + w - 1)]`
    InfoVAE.

    Args:
        weight: Price of the squared discrepancy, >= 0; a float or a Keras schedule.
        seed: Seed of the prior's draws, which are a function of it and of the step. No gradient
            reaches a prior that is not reparameterised.

    Raises:
        TypeError, ValueError: If an argument is out of range.

    Example:
    >>> objective = [ELBO(beta=0.0), MMD(weight=100.0)]
    """

    takes_hierarchy = False

    def __init__(self, weight: Any, seed: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        self.weight = checks.number_or_schedule("weight", weight, minimum=0.0)
        self.seed = checks.integer("seed", seed, 0)

    def loss(self, draws: Draws, step: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(draws.log_likelihood)  # [S, B]
        prior = draws.prior
        of_each = prior.batch_shape.rank > 0
        y = prior.sample(shape[:1] if of_each else shape, seed=seed_pair(self.seed, "mmd", step))
        if prior.reparameterization_type != tfd.FULLY_REPARAMETERIZED:
            y = tf.stop_gradient(y)
        flat = tf.concat([shape, [prior.event_shape.num_elements()]], 0)
        discrepancy = squared_mmd(tf.reshape(draws.z, flat), tf.reshape(y, flat))
        return tf.fill(shape[1:], value_at(self.weight, step) * tf.reduce_mean(discrepancy))


def squared_mmd(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Returns the unbiased estimate of MMD**2 between samples [..., B, D], of shape [...]."""
    size = tf.cast(tf.shape(x)[-2], x.dtype)
    pairs = kernel(x, x) + kernel(y, y) - 2.0 * kernel(x, y)
    # Without i = j, also between x and y: of one condition, they are no independent pair.
    total = tf.reduce_sum(pairs, axis=[-2, -1]) - tf.linalg.trace(pairs)
    return total / tf.maximum(size * (size - 1.0), 1.0)


def kernel(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Returns the kernel of all pairs of two samples [..., B, D], of shape [..., B, B]."""
    distance = (
        tf.reduce_sum(x**2, axis=-1)[..., :, None]
        + tf.reduce_sum(y**2, axis=-1)[..., None, :]
        - 2.0 * tf.matmul(x, y, transpose_b=True)
    )
    distance = tf.maximum(distance, 0.0)  # rounding
    bases = [2.0 * s * x.shape[-1] for s in SCALES]
    return sum(c / (c + distance) for c in bases)
