"""Residual networks of dense blocks."""

from typing import Any

import keras

from tfvae import checks
from tfvae.layers import ResidualBlock


def residual(units: int, num_blocks: int = 2, activation: Any = "relu") -> keras.Sequential:
    """Returns a dense layer and residual blocks of the same width, after a `Flatten`.

    Args:
        units: Width of the features.
        num_blocks: Number of residual blocks.
        activation: A Keras activation.

    Returns:
        A model [B, ...] -> [B, units].

    Example:
    >>> residual(256, num_blocks=3)(tf.zeros([8, 784])).shape
    TensorShape([8, 256])
    """
    checks.positive_integer("units", units)
    blocks = range(checks.positive_integer("num_blocks", num_blocks))
    return keras.Sequential(
        [
            keras.layers.Flatten(),
            keras.layers.Dense(units),
            *(ResidualBlock(units, activation) for _ in blocks),
            keras.layers.Activation(activation),
        ],
        name="residual",
    )
