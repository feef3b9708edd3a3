"""A Gaussian whose covariance is diagonal plus low rank."""

from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae import checks
from tfvae.families import SCALE_FLOOR, positive
from tfvae.layers.building import Shape
from tfvae.serialization import serializable
from tfvae.stochastic.stochastic_layer import StochasticLayer

tfd = tfp.distributions

FACTOR_BOUND = 10.0  # in units of the diagonal's scale: float32 still inverts the covariance


@serializable
class LowRankNormal(StochasticLayer):
    """Features -> N(m, diag(s**2) + F F'), with F of few columns.

    Correlated latents at a cost that is linear in their number; log-determinant and quadratic form
    come from matrices of the rank's size. The KL to a factorised Gaussian is exact.

    Args:
        event_shape: Shape (D,) of one event.
        rank: Number of columns of F, 1..D.

    Raises:
        ValueError: If event shape or rank do not fit; in `build`, if the features are not flat.

    Example:
    >>> encoder = Conditional(networks.mlp([400]), LowRankNormal((32,), rank=4))
    """

    def __init__(self, event_shape: tuple[int, ...], rank: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.event_shape = checks.shape("event_shape", event_shape)
        self.rank = checks.positive_integer("rank", rank)
        if len(self.event_shape) != 1 or rank > self.event_shape[0]:
            raise ValueError(
                "`rank` must be at most D of an event_shape (D,). Received: "
                f"rank={rank} with event_shape={self.event_shape}."
            )
        self._kernel_initializer = keras.initializers.GlorotUniform()
        self._positive = positive(SCALE_FLOOR)

    def build(self, features_shape: Shape) -> None:
        if len(features_shape) != 2:
            raise ValueError(
                "`features` of a LowRankNormal must be flat. Received: features of shape "
                f"{tuple(features_shape[1:])}. Fix: end the network with `keras.layers.Flatten()`."
            )
        self.projection = keras.layers.Dense(
            self.event_shape[0] * (2 + self.rank),
            kernel_initializer=self._kernel_initializer,
            dtype="float32",
            trainable=self.trainable,
            name="projection",
        )
        self.projection.build((None, features_shape[-1]))
        self.built = True

    def call(self, features: tf.Tensor) -> Any:
        outputs = self.projection(tf.cast(features, tf.float32))
        size = self.event_shape[0]
        loc, scale, factor = tf.split(outputs, [size, size, size * self.rank], axis=-1)
        scale = self._positive.forward(scale)
        lead = tf.shape(outputs)[:-1]
        factor = tf.reshape(factor, tf.concat([lead, [size, self.rank]], 0))
        factor.set_shape([*outputs.shape[:-1], size, self.rank])
        bounded = FACTOR_BOUND * tf.tanh(factor / FACTOR_BOUND)
        return tfd.MultivariateNormalDiagPlusLowRankCovariance(
            loc, tf.square(scale), scale[..., None] * bounded
        )
