"""The calibrated Gaussian likelihood (Rybkin et al., 2021, arXiv:2006.13202)."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae import checks
from tfvae.distributions.optimal_scale_normal import OptimalScaleNormal
from tfvae.families import SCALE_FLOOR
from tfvae.layers.building import Shape, build_once
from tfvae.serialization import serializable
from tfvae.stochastic.head import Head
from tfvae.stochastic.stochastic_layer import StochasticLayer

tfd = tfp.distributions


@serializable
class CalibratedNormal(StochasticLayer):
    """Features -> N(x | f, s**2 I), with the scale s that fits the decoder's errors best.

    No scale is to be chosen, and none is learned by gradient steps: in training, s**2 is the mean
    square error of the batch, over all entries that are observed. Meanwhile a running mean of it
    is kept, as batch normalisation does, and outside of training that is the scale: a constant, so
    that an evaluation neither depends on its batches nor sees its own errors. Until the first
    training batch s is 1.

    The ELBO that `fit` shows is that of each batch's own scale, and lies slightly above the one
    that `evaluate` gives.

    Args:
        event_shape: Shape of one event.
        momentum: Weight of the past in the running mean, in [0, 1).

    Raises:
        ValueError: If an argument is out of range.

    Example:
    >>> decoder = Conditional(networks.mlp([512]), CalibratedNormal((28, 28, 1)))
    """

    def __init__(self, event_shape: tuple[int, ...], momentum: float = 0.9, **kwargs: Any):
        super().__init__(**kwargs)
        self.momentum = checks.finite_number("momentum", momentum, 0.0)
        if self.momentum >= 1.0:
            raise ValueError(f"`momentum` must be in [0, 1). Received: momentum={momentum}.")
        self.head = Head("Normal", event_shape, fixed={"scale": 1.0})
        self.event_shape = self.head.event_shape

    def build(self, features_shape: Shape) -> None:
        build_once(self.head, features_shape)
        # The running mean is total / weight, which is unbiased from the first batch on.
        self.total, self.weight = (
            self.add_weight(
                name=name, shape=(), initializer="zeros", trainable=False, aggregation="mean"
            )
            for name in ("total", "weight")
        )
        self.built = True

    def call(self, features: tf.Tensor, training: bool | None = None) -> Any:
        loc = self.head(features).mean()
        ndims = len(self.event_shape)
        if training:
            return OptimalScaleNormal(loc, ndims, SCALE_FLOOR, self._record)
        total, weight = tf.convert_to_tensor(self.total.value), tf.convert_to_tensor(self.weight)
        mean_square = tf.where(weight > 0.0, total / tf.maximum(weight, 1e-12), 1.0)
        scale = tf.sqrt(tf.maximum(mean_square, SCALE_FLOOR**2))
        return tfd.Independent(tfd.Normal(loc, scale), ndims)

    def _record(self, mean_square: tf.Tensor) -> None:
        past = self.momentum
        self.total.assign(past * self.total + (1.0 - past) * mean_square)
        self.weight.assign(past * self.weight + (1.0 - past))
