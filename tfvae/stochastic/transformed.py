"""A distribution moved by a flow."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.flows import Flow
from tfvae.layers.building import Shape, build_once
from tfvae.serialization import serializable
from tfvae.stochastic.stochastic_layer import StochasticLayer

tfd = tfp.distributions


@serializable
class Transformed(StochasticLayer):
    """Base -> flow: a flow prior, or a flow posterior as the head of a `Conditional`.

    What it is called with (a network's features, or the model's condition) goes to the base and, as
    context, to the flow; without it the flow depends on its weights alone.

    Its KL is estimated from the draws. Sampling gives the density of the own draws in the same
    pass, so that a flow that is slow to invert is cheap as a posterior.

    Args:
        base: A stochastic layer over the flow's event shape.
        flow: One of `tfvae.flows`.

    Raises:
        TypeError: If `base` returns no distribution or `flow` no bijector.
        ValueError: If their event shapes differ.

    Example: a prior, and a posterior whose flow sees the encoder's features.
    >>> prior = Transformed(StandardNormal((32,)), flows.RealNVP((32,)))
    >>> head = Transformed(Head("Normal", (32,)), flows.InverseAutoregressive((32,)))
    >>> encoder = Conditional(networks.mlp([400]), head)
    """

    def __init__(self, base: StochasticLayer, flow: Flow, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(base, StochasticLayer):
            raise TypeError(
                "`base` must be a stochastic layer, which returns a distribution. "
                f"Received: base={base!r} of type {type(base).__name__}. "
                "Fix: use `tfvae.StandardNormal(event_shape)`."
            )
        if not isinstance(flow, Flow):
            raise TypeError(
                "`flow` must be a flow, which returns a bijector. "
                f"Received: flow={flow!r} of type {type(flow).__name__}. "
                "Fix: use one of `tfvae.flows`."
            )
        if flow.event_shape != base.event_shape:
            raise ValueError(
                f"`flow` must have the base's event_shape {base.event_shape}. Received: flow with "
                f"event_shape {flow.event_shape}."
            )
        self.base, self.flow, self.event_shape = base, flow, base.event_shape

    @property
    def numbers_per_draw(self) -> int:
        return self.base.numbers_per_draw

    def build(self, features_shape: Shape | None = None) -> None:
        build_once(self.base, features_shape)
        build_once(self.flow, features_shape)
        self.built = True

    def call(self, features: tf.Tensor | None = None) -> Any:
        base = self.base(features)
        if features is not None and base.batch_shape.rank == 0:  # the flow is another for each row
            base = tfd.BatchBroadcast(base, tf.shape(features)[:-1])
        return tfd.TransformedDistribution(base, self.flow(features))
