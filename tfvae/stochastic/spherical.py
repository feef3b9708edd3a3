"""Posterior and prior on the unit sphere."""

from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae import checks
from tfvae.families import positive
from tfvae.layers.building import Shape
from tfvae.serialization import serializable
from tfvae.stochastic.stochastic_layer import StochasticLayer

tfd = tfp.distributions

CONCENTRATION = (1e-3, 1e4)  # bounds; in float32 the density of sharper ones is noise


@serializable
class PowerSpherical(StochasticLayer):
    """Features -> power-spherical distribution on the unit sphere (De Cao and Aziz, 2020).

    Its draws are reparameterised and its KL to `SphericalUniform` is exact (arXiv:2006.04437).

    Args:
        event_shape: Shape (D,) of a unit vector, D >= 2.

    Raises:
        ValueError: If the event is no such vector; in `build`, if the features are not flat.

    Example: the posterior of a hyperspherical VAE (Davidson et al., 2018, arXiv:1804.00891).
    >>> encoder = Conditional(networks.mlp([400]), PowerSpherical((10,)))
    >>> vae = VAE(encoder, decoder, prior=SphericalUniform((10,)))
    """

    def __init__(self, event_shape: tuple[int, ...], **kwargs: Any):
        super().__init__(**kwargs)
        self.event_shape = _checked_sphere(event_shape)
        self._kernel_initializer = keras.initializers.GlorotUniform()
        self._positive = positive(*CONCENTRATION)

    def build(self, features_shape: Shape) -> None:
        if len(features_shape) != 2:
            raise ValueError(
                "`features` of a PowerSpherical must be flat. Received: features of shape "
                f"{tuple(features_shape[1:])}. Fix: end the network with `keras.layers.Flatten()`."
            )
        self.projection = keras.layers.Dense(
            self.event_shape[0] + 1,
            kernel_initializer=self._kernel_initializer,
            bias_initializer="normal",  # features of zeros have a direction too
            dtype="float32",
            trainable=self.trainable,
            name="projection",
        )
        self.projection.build((None, features_shape[-1]))
        self.built = True

    def call(self, features: tf.Tensor) -> Any:
        outputs = self.projection(tf.cast(features, tf.float32))
        direction = tf.math.l2_normalize(outputs[..., :-1], axis=-1)
        return tfd.PowerSpherical(direction, self._positive.forward(outputs[..., -1]))


@serializable
class SphericalUniform(StochasticLayer):
    """The uniform distribution on the unit sphere; it ignores any condition.

    Args:
        event_shape: Shape (D,) of a unit vector, D >= 2.

    Example:
    >>> SphericalUniform((10,))(None).sample(5).shape
    TensorShape([5, 10])
    """

    def __init__(self, event_shape: tuple[int, ...], **kwargs: Any):
        super().__init__(**kwargs)
        self.event_shape, self.built = _checked_sphere(event_shape), True

    def call(self, condition: tf.Tensor | None = None) -> Any:
        return tfd.SphericalUniform(self.event_shape[0], dtype=tf.float32)


def _checked_sphere(event_shape: Any) -> tuple[int, ...]:
    event_shape = checks.shape("event_shape", event_shape)
    if len(event_shape) != 1 or event_shape[0] < 2:
        raise ValueError(
            "`event_shape` must be (D,) with D >= 2, a vector on the sphere. "
            f"Received: event_shape={event_shape}."
        )
    return event_shape
