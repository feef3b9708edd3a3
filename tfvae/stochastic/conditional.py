"""Network then head: the encoder q(z | x) or the decoder p(x | z)."""

from typing import Any

import keras
import tensorflow as tf

from tfvae.layers.building import Shape, build_network, build_once
from tfvae.serialization import serializable
from tfvae.stochastic.stochastic_layer import StochasticLayer


@serializable
class Conditional(StochasticLayer):
    """Inputs -> network -> features -> head -> distribution.

    Leading sample axes are folded into the batch for the network, so that [S, B, ...] gives a
    distribution [S, B]. A condition [B, C] is broadcast over sample and spatial axes and joined to
    the last axis.

    Args:
        network: Any Keras model or layer from tensors to tensors; if not yet built, it is built
            from the data's shape.
        head: A stochastic layer that takes the network's features.

    Raises:
        TypeError: If `network` is no Keras layer or `head` returns no distribution.
        ValueError: If network and inputs do not fit.

    Example:
    >>> encoder = Conditional(networks.mlp([400]), Head("Normal", (32,)))
    >>> encoder(tf.zeros([8, 784])).batch_shape
    TensorShape([8])
    """

    def __init__(self, network: keras.layers.Layer, head: StochasticLayer, **kwargs: Any):
        super().__init__(**kwargs)
        check_network("network", network)
        if not isinstance(head, StochasticLayer):
            raise TypeError(
                "`head` must be a stochastic layer, which returns a distribution. "
                f"Received: head={head!r} of type {type(head).__name__}. "
                'Fix: use `tfvae.Head("Normal", event_shape)`.'
            )
        self.network, self.head = network, head
        self.event_shape = head.event_shape

    @property
    def numbers_per_draw(self) -> int:
        return self.head.numbers_per_draw

    def build(self, inputs_shape: Shape | None, condition_shape: Shape | None = None) -> None:
        if inputs_shape is None:
            raise ValueError(
                "`condition` must be given to a model whose prior is a `Conditional`. Received: "
                "no condition. Fix: pass {'x': x, 'condition': condition}."
            )
        *lead, width = inputs_shape[1:]
        joined = (None, *lead, width + (condition_shape[-1] if condition_shape else 0))
        features_shape = build_network(self.network, joined)
        build_once(self.head, features_shape)
        self.inputs_shape, self._inputs_ndim = tuple(inputs_shape[1:]), len(joined) - 1
        self.built = True

    def call(self, inputs: tf.Tensor, condition: tf.Tensor | None = None) -> Any:
        inputs = tf.convert_to_tensor(inputs)
        if not inputs.dtype.is_floating:  # codes: draws of a discrete posterior are integers
            inputs = tf.cast(inputs, tf.float32)
        lead_ndim = inputs.shape.rank - self._inputs_ndim
        if condition is not None:
            inputs = _join(inputs, tf.cast(condition, inputs.dtype), self._inputs_ndim - 1)
        if lead_ndim == 1:
            return self.head(self.network(inputs))
        lead, static = tf.shape(inputs)[:lead_ndim], inputs.shape[:lead_ndim]
        features = self.network(tf.reshape(inputs, [-1, *inputs.shape[lead_ndim:]]))
        unfolded = tf.reshape(features, tf.concat([lead, features.shape[1:]], 0))
        unfolded.set_shape(static + features.shape[1:])
        return self.head(unfolded)


def check_network(name: str, network: Any) -> None:
    """Refuses what cannot be trained or saved with the model.

    Raises:
        TypeError: If it is no Keras 3 layer.
        ValueError: If it holds a `Lambda`.
    """
    module = type(network).__module__
    if module.startswith(("tf_keras", "tensorflow_probability")) and not isinstance(
        network, keras.layers.Layer
    ):
        raise TypeError(
            f"`{name}` must be a Keras 3 layer. Received: {name} of type "
            f"{module}.{type(network).__name__}, "
            "which belongs to Keras 2. Fix: make it from `keras.layers`."
        )
    if not isinstance(network, keras.layers.Layer):
        raise TypeError(
            f"`{name}` must be a Keras layer or model. "
            f"Received: {name}={network!r} of type {type(network).__name__}."
        )
    if isinstance(network, StochasticLayer):
        raise TypeError(
            f"`{name}` must return features, not a distribution. "
            f"Received: {name}={network!r} of type {type(network).__name__}. "
            "Fix: give the stochastic layer as `head`, or alone."
        )
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.Lambda):
            raise ValueError(
                f"`{name}` must not hold a Lambda layer, for a saved one is not loaded again "
                "safely. "
                f"Received: {name} with Lambda layer {layer.name!r}. Fix: write a registered layer "
                "class."
            )


def _join(inputs: tf.Tensor, condition: tf.Tensor, spatial_ndim: int) -> tf.Tensor:
    """Joins a condition [B, C] to the last axis of inputs [..., B, *spatial, W]."""
    width = condition.shape[-1]
    condition = tf.reshape(condition, [-1, *[1] * spatial_ndim, width])
    broadcast = tf.broadcast_to(condition, tf.concat([tf.shape(inputs)[:-1], [width]], 0))
    joined = tf.concat([inputs, broadcast], axis=-1)
    joined.set_shape([*inputs.shape[:-1], inputs.shape[-1] + width])
    return joined
