"""Planar flows (Rezende and Mohamed, 2015, arXiv:1505.05770)."""

import math
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae import checks
from tfvae.flows.coupling import stack
from tfvae.flows.flow import Flow
from tfvae.layers.building import Shape
from tfvae.serialization import serializable

tfb = tfp.bijectors

MIN_SLOPE = 1e-3  # of the map along its direction: it never folds
NUM_BISECTIONS = 40


class PlanarBijector(tfb.AutoCompositeTensorBijector):
    """y = x + u tanh(w x + b), where u is moved so that w u > -1.

    The inverse is the root of a monotone scalar function, found by bisection; one step of Newton's
    carries the gradient.

    Args:
        direction: w, [..., D].
        step: u, [..., D].
        bias: b, [...].
    """

    def __init__(
        self,
        direction: tf.Tensor,
        step: tf.Tensor,
        bias: tf.Tensor,
        validate_args: bool = False,
        name: str = "planar",
    ):
        parameters = dict(locals())
        self._direction, self._step, self._bias = direction, step, bias
        super().__init__(
            forward_min_event_ndims=1,
            dtype=direction.dtype,
            validate_args=validate_args,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(cls, dtype: Any) -> dict[str, Any]:
        return {}  # the batch shape of a transformed distribution is its base's

    def _forward(self, x: tf.Tensor) -> tf.Tensor:
        step, _ = self._safe_step()
        along = tf.reduce_sum(self._direction * x, axis=-1)
        return x + step * tf.tanh(along + self._bias)[..., None]

    def _forward_log_det_jacobian(self, x: tf.Tensor) -> tf.Tensor:
        _, slope = self._safe_step()
        along = tf.reduce_sum(self._direction * x, axis=-1)
        return tf.math.log1p(slope * _derivative(along + self._bias))

    def _inverse(self, y: tf.Tensor) -> tf.Tensor:
        step, slope = self._safe_step()
        target = tf.reduce_sum(self._direction * y, axis=-1)

        def excess(along: tf.Tensor) -> tf.Tensor:
            return along + slope * tf.tanh(along + self._bias) - target

        def halve(low: tf.Tensor, high: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            middle = 0.5 * (low + high)
            too_high = excess(middle) > 0.0
            return tf.where(too_high, low, middle), tf.where(too_high, middle, high)

        reach = tf.abs(slope)
        low, high = tf.while_loop(
            lambda *_: True,
            halve,
            (tf.stop_gradient(target - reach), tf.stop_gradient(target + reach)),
            maximum_iterations=NUM_BISECTIONS,
        )
        along = tf.stop_gradient(0.5 * (low + high))
        derivative = 1.0 + slope * _derivative(along + self._bias)
        along -= excess(along) / tf.stop_gradient(derivative)
        return y - step * tf.tanh(along + self._bias)[..., None]

    def _safe_step(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns u with w u = softplus(...) - 1 + a little, and w u; for u = 0 they are 0."""
        along = tf.reduce_sum(self._direction * self._step, axis=-1)
        shift = math.log(math.expm1(1.0 - MIN_SLOPE))  # its softplus is 1 - MIN_SLOPE
        slope = tf.math.softplus(along + shift) - 1.0 + MIN_SLOPE
        square = tf.reduce_sum(self._direction**2, axis=-1)
        move = (slope - along) / tf.maximum(square, 1e-12)
        return self._step + move[..., None] * self._direction, slope


@serializable
class Planar(Flow):
    """Layers that stretch or squeeze space along one direction each; few weights, little power.

    Sampling is cheap; the density at points other than the own draws needs bisection.

    Args:
        event_shape: Shape (D,) of one event, D >= 2.
        num_layers: Number of planes.

    Example:
    >>> head = tfvae.Transformed(tfvae.Head("Normal", (2,)), Planar((2,), num_layers=8))
    """

    def __init__(self, event_shape: tuple[int, ...], num_layers: int = 8, **kwargs: Any):
        super().__init__(event_shape, **kwargs)
        self.num_layers = checks.positive_integer("num_layers", num_layers)
        self.conditioners = []
        self._initializers = [keras.initializers.RandomNormal(stddev=0.1) for _ in range(2)]

    def build(self, context_shape: Shape | None = None) -> None:
        super().build(context_shape)
        width = self.num_layers * (2 * self.event_shape[0] + 1)
        self.planes = self.add_weight(
            name="planes", shape=(width,), initializer=self._initializers[0]
        )
        self.context_kernel = None
        if context_shape is not None:
            self.context_kernel = self.add_weight(
                name="context_kernel",
                shape=(context_shape[-1], width),
                initializer=self._initializers[1],
            )

    def call(self, context: tf.Tensor | None = None) -> Any:
        planes = tf.convert_to_tensor(self.planes.value)
        if self.context_kernel is not None:
            context = tf.cast(context, tf.float32)
            planes += tf.tensordot(context, self.context_kernel.value, 1)
        size = self.event_shape[0]
        return stack(
            PlanarBijector(p[..., :size], p[..., size:-1], p[..., -1])
            for p in tf.split(planes, self.num_layers, axis=-1)
        )


def _derivative(x: tf.Tensor) -> tf.Tensor:
    return 1.0 - tf.tanh(x) ** 2
