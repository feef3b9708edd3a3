"""The interface of all flows."""

from typing import Any

import keras

from tfvae import checks
from tfvae.layers.building import Shape, build_once


class Flow(keras.layers.Layer):
    """A layer whose call returns a `tfb.Bijector` from base to data. Abstract.

    The bijector holds the layer's weights as tensors, so that it can be stopped, stacked and traced
    like any TFP object. A context [B, F] (features of a network, or a condition) moves the first
    hidden layer of each conditioner, and makes the bijector another for each of B examples.

    Subclasses set `conditioners`, layers that are built from the context's shape.

    Args:
        event_shape: Shape (D,) of one event, D >= 2.

    Raises:
        ValueError: If the event is no vector of at least two numbers.
    """

    def __init__(self, event_shape: tuple[int, ...], **kwargs: Any):
        kwargs.pop("dtype", None)  # densities are float32, whatever the policy
        super().__init__(dtype="float32", **kwargs)
        self.event_shape = checks.shape("event_shape", event_shape)
        if len(self.event_shape) != 1 or self.event_shape[0] < 2:
            raise ValueError(
                "`event_shape` must be (D,) with D >= 2, for a flow transforms some dimensions by "
                f"the others. Received: event_shape={self.event_shape}."
            )

    def build(self, context_shape: Shape | None = None) -> None:
        if context_shape is not None and len(context_shape) != 2:
            raise ValueError(
                "`context` must be flat, [B, F]. Received: context of shape "
                f"{tuple(context_shape)}. Fix: end the network with `keras.layers.Flatten()`."
            )
        for conditioner in self.conditioners:
            build_once(conditioner, context_shape)
        self.built = True
