"""Disentangled inferred priors, DIP-VAE (Kumar et al., 2018, arXiv:1711.00848)."""

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
class DIP(Objective):
    """Price of a covariance of the latents, over the data, that is not the identity.

    weight * sum_{i != j} C_ij**2 + diagonal_weight * sum_i (C_ii - 1)**2, where C is the covariance
    of q(z) (DIP-VAE-II) or of the posterior's means (DIP-VAE-I). The price of a batch is that of
    each of its examples. C is that of the batch: noise makes the price too high by terms of order
    1/B.

    Add it to any bound, `[ELBO(), DIP(10.0)]`; it is no use alone. It needs the posterior's moments
    and no gradient through `z`.

    Args:
        weight: Price off the diagonal, >= 0; a float or a Keras schedule.
        diagonal_weight: Price on the diagonal, likewise; `weight` by default. The paper takes ten
            times `weight` for DIP-VAE-I.
        of_means: Whether C is the covariance of the posterior's means alone (DIP-VAE-I).

    Raises:
        TypeError, ValueError: If an argument is out of range, or the posterior has no closed-form
            mean and covariance.

    Example:
    >>> objective = [ELBO(), DIP(weight=10.0, diagonal_weight=100.0, of_means=True)]
    """

    needs_reparameterization = False
    takes_hierarchy = False

    def __init__(
        self, weight: Any, diagonal_weight: Any = None, of_means: bool = False, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.weight = checks.number_or_schedule("weight", weight, minimum=0.0)
        self.diagonal_weight = diagonal_weight
        if diagonal_weight is not None:
            checks.number_or_schedule("diagonal_weight", diagonal_weight, minimum=0.0)
        self.of_means = checks.boolean("of_means", of_means)

    def loss(self, draws: Draws, step: tf.Tensor) -> tf.Tensor:
        mean, spread = _moments(draws.posterior)
        centred = mean - tf.reduce_mean(mean, axis=0)
        size = tf.shape(mean)[0]
        covariance = tf.matmul(centred, centred, transpose_a=True) / tf.cast(size, mean.dtype)
        if not self.of_means:
            covariance += tf.reduce_mean(spread, axis=0)
        diagonal = tf.linalg.diag_part(covariance)
        off_diagonal = covariance - tf.linalg.diag(diagonal)
        weight = value_at(self.weight, step)
        on = weight if self.diagonal_weight is None else value_at(self.diagonal_weight, step)
        price = weight * tf.reduce_sum(off_diagonal**2) + on * tf.reduce_sum((diagonal - 1.0) ** 2)
        return tf.fill([size], price)


def _moments(posterior: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the mean [B, D] and covariance [B, D, D] of each example's posterior."""
    try:
        mean = tf.reshape(posterior.mean(), [-1, posterior.event_shape.num_elements()])
        if isinstance(posterior, tfd.Independent):
            return mean, tf.linalg.diag(tf.reshape(posterior.variance(), tf.shape(mean)))
        return mean, posterior.covariance()
    except NotImplementedError:
        raise ValueError(
            "`objective` must do without the posterior's moments, for they have no closed form. "
            f"Received: DIP with posterior {type(posterior).__name__}. Fix: use `MMD`."
        ) from None
