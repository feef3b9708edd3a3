"""The networks inside flows: multilayer perceptrons whose weights are handed out as tensors."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae import checks
from tfvae.layers.building import Shape
from tfvae.serialization import serializable

# The last kernel starts small: a new flow is close to the identity, and no gradient is zero.
LAST_SCALE = 1e-2


@serializable
class Conditioner(keras.layers.Layer):
    """A perceptron with tanh layers; its call returns its weights, `perceptron` evaluates them.

    A context [B, F] is a second input to the first hidden layer, that is, it moves its bias.

    Args:
        num_inputs: Width of the input.
        num_outputs: Width of the output.
        units: Widths of the hidden layers.
        degrees: None, or a degree in 1..D of each input. Output i then depends only on inputs of
            lower degrees than input i's (Germain et al., 2015, arXiv:1502.03509); outputs are in
            blocks, as many numbers for each input.
    """

    def __init__(
        self,
        num_inputs: int,
        num_outputs: int,
        units: Sequence[int],
        degrees: Sequence[int] | None = None,
        **kwargs: Any,
    ):
        kwargs.pop("dtype", None)
        super().__init__(dtype="float32", **kwargs)
        self.num_inputs, self.num_outputs = num_inputs, num_outputs
        self.units, self.degrees = checks.shape("units", units), degrees
        if not self.units:
            raise ValueError(
                "`units` must name at least one hidden layer. Received: units=(). "
                "Fix: pass (64, 64)."
            )
        self._widths = (num_inputs, *self.units, num_outputs)
        self._masks = (
            [1.0] * (len(self._widths) - 1)
            if degrees is None
            else autoregressive_masks(degrees, self.units, num_outputs // num_inputs)
        )
        last = keras.initializers.VarianceScaling(LAST_SCALE, "fan_avg", "uniform")
        hidden = [keras.initializers.GlorotUniform() for _ in self.units]
        self._initializers = [*hidden, last]
        self._context_initializer = keras.initializers.GlorotUniform()

    def build(self, context_shape: Shape | None = None) -> None:
        self.kernels, self.biases = [], []
        for i, shape in enumerate(zip(self._widths, self._widths[1:], strict=False)):
            self.kernels.append(
                self.add_weight(name=f"kernel_{i}", shape=shape, initializer=self._initializers[i])
            )
            self.biases.append(
                self.add_weight(name=f"bias_{i}", shape=shape[1:], initializer="zeros")
            )
        self.context_kernel = None
        if context_shape is not None:
            self.context_kernel = self.add_weight(
                name="context_kernel",
                shape=(context_shape[-1], self.units[0]),
                initializer=self._context_initializer,
            )
        self.built = True

    def call(self, context: tf.Tensor | None = None) -> list[tf.Tensor]:
        """Returns kernel and bias of each layer, in turn; the first bias is [..., B, H]."""
        weights = []
        for kernel, bias, mask in zip(self.kernels, self.biases, self._masks, strict=True):
            weights += [kernel.value * mask, tf.convert_to_tensor(bias.value)]
        if self.context_kernel is not None:
            context = tf.cast(context, tf.float32)
            weights[1] += tf.tensordot(context, self.context_kernel.value, 1)
        return weights


def perceptron(weights: Sequence[tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """Evaluates the weights of a `Conditioner` at x, [..., num_inputs] -> [..., num_outputs]."""
    *hidden, last_kernel, last_bias = weights
    for kernel, bias in zip(hidden[::2], hidden[1::2], strict=True):
        x = tf.tanh(tf.tensordot(x, kernel, 1) + bias)
    return tf.tensordot(x, last_kernel, 1) + last_bias


def autoregressive_masks(
    degrees: Sequence[int], units: Sequence[int], outputs_per_input: int
) -> list[np.ndarray]:
    """Returns the mask of each kernel that makes a perceptron autoregressive.

    Hidden units have degrees 0..D-1, evenly: those of degree 0 see the context alone, so that the
    outputs of the first dimension depend on it too.
    """
    inputs = np.asarray(degrees)
    hidden = [np.arange(n) * len(inputs) // n for n in units]
    ends = zip([inputs, *hidden], hidden, strict=False)
    masks = [before[:, None] <= after for before, after in ends]
    outputs = np.repeat(inputs, outputs_per_input)
    return [m.astype("float32") for m in (*masks, hidden[-1][:, None] < outputs)]
