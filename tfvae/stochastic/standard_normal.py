"""The usual prior."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae import checks
from tfvae.serialization import serializable
from tfvae.stochastic.stochastic_layer import StochasticLayer

tfd = tfp.distributions


@serializable
class StandardNormal(StochasticLayer):
    """N(0, I) over an event shape; it ignores any condition.

    Args:
        event_shape: Shape of one event.

    Example:
    >>> StandardNormal((32,))(None).sample().shape
    TensorShape([32])
    """

    def __init__(self, event_shape: tuple[int, ...], **kwargs: Any):
        super().__init__(**kwargs)
        self.event_shape, self.built = checks.shape("event_shape", event_shape), True

    def call(self, condition: tf.Tensor | None = None) -> Any:
        return tfd.Independent(tfd.Normal(tf.zeros(self.event_shape), 1.0), len(self.event_shape))
