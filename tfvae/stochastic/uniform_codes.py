"""The prior of quantised codes."""

from typing import Any

import tensorflow as tf

from tfvae import distributions
from tfvae.layers.building import Shape
from tfvae.serialization import serializable
from tfvae.stochastic.finite_scalar import FiniteScalar
from tfvae.stochastic.stochastic_layer import StochasticLayer
from tfvae.stochastic.vector_quantized import VectorQuantized


@serializable
class UniformCodes(StochasticLayer):
    """Every code of a quantiser is as likely at every position; it ignores any condition.

    Args:
        quantizer: The encoder's `VectorQuantized` or `FiniteScalar`, the same layer object.

    Raises:
        TypeError: If it is something else.
    """

    def __init__(self, quantizer: VectorQuantized | FiniteScalar, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(quantizer, VectorQuantized | FiniteScalar):
            raise TypeError(
                "`quantizer` must be the encoder's VectorQuantized or FiniteScalar. "
                f"Received: quantizer={quantizer!r} of type {type(quantizer).__name__}."
            )
        self.quantizer, self.event_shape = quantizer, quantizer.event_shape

    def build(self, condition_shape: Shape | None = None) -> None:
        if not self.quantizer.built:
            raise ValueError(
                "`quantizer` must be built before its prior is. Fix: make it part of the encoder."
            )
        self.built = True

    def call(self, condition: tf.Tensor | None = None) -> Any:
        return distributions.UniformCodes(self.quantizer.codes, self.event_shape[:-1])
