"""Calling a layer as at inference in the middle of a training pass."""

from typing import Any

import keras


class _Mode(keras.layers.Layer):
    """Passes its input on; called for the mode that the call leaves behind."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return inputs


def in_inference_mode(layer: keras.layers.Layer, *inputs: Any, training: bool | None) -> Any:
    """Returns `layer(*inputs)` without dropout and with BatchNorm's running means.

    Args:
        layer: Any layer.
        *inputs: What it is called with.
        training: Mode of the pass around it, which goes on as it was: in Keras the `training` of an
            inner call stays for all layers that are called after it.
    """
    outputs = layer(*inputs, training=False)
    _Mode()(inputs[0], training=training)
    return outputs
