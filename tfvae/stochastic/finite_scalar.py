"""Finite scalar quantisation (Mentzer et al., 2023, arXiv:2309.15505)."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae import checks
from tfvae.layers.building import Shape, build_once
from tfvae.serialization import serializable
from tfvae.stochastic.head import Head
from tfvae.stochastic.quantized import point_mass
from tfvae.stochastic.stochastic_layer import StochasticLayer

MARGIN = 1e-3  # keeps the outermost levels in reach of tanh


@serializable
class FiniteScalar(StochasticLayer):
    """Features -> bounded numbers, each rounded to one of a few levels; a posterior without noise.

    There is no codebook to learn: a code is a combination of levels, K = prod(levels) of them for
    each position. As in `VectorQuantized`, log q(z | x) = 0 and with `UniformCodes` as prior the KL
    is exactly log K for each position; no loss is added.

    Args:
        positions: Shape of the positions, such as (7, 7); an event is (*positions, len(levels)).
        levels: Number of levels of each dimension of a code, each >= 2; z lies in [-1, 1].

    Raises:
        TypeError, ValueError: If an argument is out of range.

    Example: 1,000 codes a position.
    >>> codes = FiniteScalar((16,), levels=(8, 5, 5, 5))
    >>> vae = VAE(Conditional(networks.mlp([400]), codes), decoder, prior=UniformCodes(codes))
    """

    def __init__(self, positions: tuple[int, ...], levels: tuple[int, ...], **kwargs: Any):
        super().__init__(**kwargs)
        self.positions, self.levels = (
            checks.shape("positions", positions),
            checks.shape("levels", levels),
        )
        if not self.levels or min(self.levels) < 2:
            raise ValueError(
                "`levels` must be integers >= 2, one a dimension of a code. "
                f"Received: levels={self.levels}. Fix: pass (8, 5, 5, 5)."
            )
        self.event_shape = (*self.positions, len(self.levels))
        self.projection = Head("Normal", self.event_shape, fixed={"scale": 1.0})

    def build(self, features_shape: Shape) -> None:
        build_once(self.projection, features_shape)
        self.built = True

    @property
    def num_codes(self) -> int:
        """Number K of codes of a position."""
        return math.prod(self.levels)

    @property
    def codes(self) -> tf.Tensor:
        """All codes of a position, [K, D]."""
        axes = [(np.arange(n) - n // 2) / (n // 2) for n in self.levels]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        return tf.constant(grid.reshape(-1, len(self.levels)), tf.float32)

    def call(self, features: tf.Tensor) -> Any:
        levels = np.asarray(self.levels, "float32")
        half, even = (levels - 1.0) * (1.0 + MARGIN) / 2.0, (levels % 2 == 0) * 0.5
        z = self.projection(features).mean()
        bounded = tf.tanh(z + np.arctanh(even / half)) * half - even
        return point_mass(
            tf.round(bounded) / (levels // 2), bounded / (levels // 2), len(self.event_shape)
        )
