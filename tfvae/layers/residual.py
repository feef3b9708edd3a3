"""Residual blocks."""

from typing import Any

import keras
import tensorflow as tf

from tfvae import checks
from tfvae.layers.building import Shape
from tfvae.serialization import serializable


@serializable
class ResidualBlock(keras.layers.Layer):
    """x + W2 f(W1 f(LayerNorm(x))), dense, of constant width (He et al., 2016, arXiv:1603.05027).

    The last product starts at zero, so that a new block is the identity.

    Args:
        units: Width of the hidden layer.
        activation: A Keras activation.

    Example:
    >>> ResidualBlock(64)(tf.zeros([8, 32])).shape
    TensorShape([8, 32])
    """

    def __init__(self, units: int, activation: Any = "relu", **kwargs: Any):
        super().__init__(**kwargs)
        self.units = checks.positive_integer("units", units)
        self.activation = keras.activations.get(activation)
        self.normalize = keras.layers.LayerNormalization(dtype=self.dtype_policy)
        self.expand = keras.layers.Dense(units, dtype=self.dtype_policy)

    def build(self, inputs_shape: Shape) -> None:
        self.project = keras.layers.Dense(
            inputs_shape[-1],
            kernel_initializer="zeros",
            dtype=self.dtype_policy,
            trainable=self.trainable,  # the block may be frozen before it is built
        )
        self.normalize.build(inputs_shape)
        self.expand.build(inputs_shape)
        self.project.build((*inputs_shape[:-1], self.units))
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        hidden = self.expand(self.activation(self.normalize(inputs)))
        return inputs + self.project(self.activation(hidden))

    def compute_output_shape(self, inputs_shape: Shape) -> Shape:
        return inputs_shape
