"""Multilayer perceptrons."""

from collections.abc import Sequence
from typing import Any

import keras

from tfvae import checks


def mlp(units: Sequence[int], activation: Any = "relu") -> keras.Sequential:
    """Returns dense layers after a `Flatten`; built from the data's shape at first use.

    Args:
        units: Width of each layer.
        activation: A Keras activation, after every layer.

    Returns:
        A model [B, ...] -> [B, units[-1]].

    Raises:
        TypeError, ValueError: If `units` is no sequence of positive integers.

    Example:
    >>> mlp([512, 512])(tf.zeros([8, 28, 28, 1])).shape
    TensorShape([8, 512])
    """
    widths = checks.shape("units", units)
    return keras.Sequential(
        [keras.layers.Flatten(), *(keras.layers.Dense(u, activation=activation) for u in widths)],
        name="mlp",
    )
