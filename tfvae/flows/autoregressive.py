"""Masked and inverse autoregressive flows."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae import checks
from tfvae.flows.affine import bounded
from tfvae.flows.conditioner import Conditioner, perceptron
from tfvae.flows.coupling import stack
from tfvae.flows.flow import Flow
from tfvae.serialization import serializable

tfb = tfp.bijectors


class MaskedAffine(tfb.AutoCompositeTensorBijector):
    """y_i = scale_i * x_i + shift_i, functions of those x_j that come before i.

    Forward is one pass of the network. The inverse takes D passes: each fixes one dimension more.

    Args:
        weights: Weights of an autoregressive `Conditioner` with two outputs a dimension.
    """

    def __init__(
        self,
        weights: Sequence[tf.Tensor],
        validate_args: bool = False,
        name: str = "masked_affine",
    ):
        parameters = dict(locals())
        self._weights = list(weights)
        super().__init__(
            forward_min_event_ndims=1,
            dtype=self._weights[0].dtype,
            validate_args=validate_args,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(cls, dtype: Any) -> dict[str, Any]:
        return {}  # the batch shape of a transformed distribution is its base's

    def _forward(self, x: tf.Tensor) -> tf.Tensor:
        shift, log_scale = self._shift_and_log_scale(x)
        return x * tf.exp(log_scale) + shift

    def _inverse(self, y: tf.Tensor) -> tf.Tensor:
        def body(i: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            shift, log_scale = self._shift_and_log_scale(x)
            return i + 1, (y - shift) * tf.exp(-log_scale)

        size = y.shape[-1]
        y += tf.zeros_like(self._weights[1][..., :1])  # as many rows as the context, from the start
        # XLA differentiates a loop only if it knows the number of passes.
        _, x = tf.while_loop(
            lambda i, _: i < size, body, (tf.constant(0), y), maximum_iterations=size
        )
        return x

    def _forward_log_det_jacobian(self, x: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(self._shift_and_log_scale(x)[1], axis=-1)

    def _shift_and_log_scale(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        outputs = perceptron(self._weights, x)
        shape = tf.concat([tf.shape(outputs)[:-1], [x.shape[-1], 2]], 0)
        shift, log_scale = tf.unstack(tf.reshape(outputs, shape), axis=-1)
        return shift, bounded(log_scale)


class _Autoregressive(Flow):
    """What both directions share: conditioners in alternating orders of the dimensions."""

    def __init__(
        self, event_shape: tuple[int, ...], num_layers: int, units: Sequence[int], **kwargs: Any
    ):
        super().__init__(event_shape, **kwargs)
        self.num_layers = checks.positive_integer("num_layers", num_layers)
        self.units = checks.shape("units", units)
        degrees = list(range(1, self.event_shape[0] + 1))
        self.conditioners = [
            Conditioner(len(degrees), 2 * len(degrees), self.units, degrees[:: (-1) ** layer])
            for layer in range(num_layers)
        ]


@serializable
class InverseAutoregressive(_Autoregressive):
    """A flow for posteriors: sampling, with the density of the own draws, is one pass a layer.

    The density at other points takes D passes a layer. As in Kingma et al. (2016, arXiv:1606.04934)
    but for the scales, which are bounded on both sides here.

    Args:
        event_shape: Shape (D,) of one event, D >= 2.
        num_layers: Number of layers; the order of the dimensions alternates.
        units: Widths of the hidden layers of each network.

    Example: a posterior whose flow sees the encoder's features.
    >>> head = tfvae.Transformed(tfvae.Head("Normal", (32,)), InverseAutoregressive((32,)))
    >>> encoder = tfvae.Conditional(networks.mlp([400]), head)
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        num_layers: int = 2,
        units: Sequence[int] = (64, 64),
        **kwargs: Any,
    ):
        super().__init__(event_shape, num_layers, units, **kwargs)

    def call(self, context: tf.Tensor | None = None) -> Any:
        return stack(MaskedAffine(c(context)) for c in self.conditioners)


@serializable
class MaskedAutoregressive(_Autoregressive):
    """A flow for priors: a density is one pass a layer, sampling takes D passes a layer.

    Papamakarios et al. (2017, arXiv:1705.07057), with bounded scales.

    Args:
        event_shape: Shape (D,) of one event, D >= 2.
        num_layers: Number of layers; the order of the dimensions alternates.
        units: Widths of the hidden layers of each network.

    Example:
    >>> prior = tfvae.Transformed(tfvae.StandardNormal((32,)), MaskedAutoregressive((32,)))
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        num_layers: int = 4,
        units: Sequence[int] = (64, 64),
        **kwargs: Any,
    ):
        super().__init__(event_shape, num_layers, units, **kwargs)

    def call(self, context: tf.Tensor | None = None) -> Any:
        return stack(tfb.Invert(MaskedAffine(c(context))) for c in self.conditioners)
