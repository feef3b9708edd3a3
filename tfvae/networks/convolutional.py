"""Convolutional encoders and their mirror images."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from tfvae import checks


def convolutional(
    filters: Sequence[int], units: int | None = None, kernel_size: int = 3, activation: Any = "relu"
) -> keras.Sequential:
    """Returns convolutions that halve height and width each, then flat features.

    Args:
        filters: Number of filters of each convolution (stride 2, "same" padding).
        units: Width of a dense layer at the end, or None for none.
        kernel_size: Side of the kernels.
        activation: A Keras activation, after every layer.

    Returns:
        A model [B, H, W, C] -> [B, units], or [B, h * w * filters[-1]].

    Example:
    >>> convolutional([32, 64], units=128)(tf.zeros([8, 28, 28, 1])).shape
    TensorShape([8, 128])
    """
    depths = checks.shape("filters", filters)
    layers = [
        keras.layers.Conv2D(f, kernel_size, strides=2, padding="same", activation=activation)
        for f in depths
    ]
    dense = [] if units is None else [keras.layers.Dense(units, activation=activation)]
    return keras.Sequential([*layers, keras.layers.Flatten(), *dense], name="convolutional")


def deconvolutional(
    filters: Sequence[int], start: Sequence[int], kernel_size: int = 3, activation: Any = "relu"
) -> keras.Sequential:
    """Returns a dense layer and transposed convolutions that double a small image's sides.

    A `Head` over images of the resulting height and width is then projected pointwise.

    Args:
        filters: Number of filters of each transposed convolution (stride 2, "same" padding).
        start: Shape (height, width, channels) of the small image; height and width times
            2**len(filters) must be the event's.
        kernel_size: Side of the kernels.
        activation: A Keras activation, after every layer.

    Returns:
        A model [B, D] -> [B, H, W, filters[-1]].

    Raises:
        ValueError: If `start` has no three dimensions.

    Example:
    >>> deconvolutional([64, 32], start=(7, 7, 64))(tf.zeros([8, 16])).shape
    TensorShape([8, 28, 28, 32])
    """
    depths, start = checks.shape("filters", filters), checks.shape("start", start)
    if len(start) != 3:
        raise ValueError(f"`start` must be (height, width, channels). Received: start={start}.")
    layers = [
        keras.layers.Conv2DTranspose(
            f, kernel_size, strides=2, padding="same", activation=activation
        )
        for f in depths
    ]
    return keras.Sequential(
        [
            keras.layers.Flatten(),
            keras.layers.Dense(math.prod(start), activation=activation),
            keras.layers.Reshape(start),
            *layers,
        ],
        name="deconvolutional",
    )
