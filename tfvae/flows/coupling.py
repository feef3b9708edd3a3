"""Coupling: some dimensions are transformed, elementwise, by functions of the others."""

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.flows.conditioner import Conditioner, perceptron

tfb = tfp.bijectors


class Elementwise(Protocol):
    """A monotone map of numbers [...], each of its own parameters [...]."""

    def forward(self, b: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the images of numbers and the log-derivatives."""

    def inverse(self, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the numbers of images and the log-derivatives of the way back."""


class Coupling(tfb.AutoCompositeTensorBijector):
    """y = (a, f(b; network(a))), where x is (a, b) in some order; both directions cost the same.

    Args:
        weights: Weights of a `Conditioner`, as tensors.
        order: The dimensions, first those that stay (a), then those that move (b).
        num_moved: Number of dimensions that move.
        elementwise: From the network's outputs [..., num_moved, P] to an `Elementwise`.
    """

    def __init__(
        self,
        weights: Sequence[tf.Tensor],
        order: tuple[int, ...],
        num_moved: int,
        elementwise: Callable[[tf.Tensor], Elementwise],
        validate_args: bool = False,
        name: str = "coupling",
    ):
        parameters = dict(locals())
        self._weights, self._order, self._num_moved = list(weights), order, num_moved
        self._elementwise = elementwise
        self._last: dict[str, tuple] = {}  # the last pass of each direction, within a graph
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
        return self._pass("forward", x)[0]

    def _inverse(self, y: tf.Tensor) -> tf.Tensor:
        return self._pass("inverse", y)[0]

    def _forward_log_det_jacobian(self, x: tf.Tensor) -> tf.Tensor:
        return self._pass("forward", x)[1]

    def _inverse_log_det_jacobian(self, y: tf.Tensor) -> tf.Tensor:
        return self._pass("inverse", y)[1]

    def _pass(self, direction: str, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns where x goes and the log-determinant, both from one run of the network.

        TFP asks for one after the other. Of an eager pass nothing is kept: a gradient tape may have
        begun between the two.
        """
        last, graph = self._last.get(direction), tf.compat.v1.get_default_graph()
        if last is not None and last[0]() is x and last[1]() is graph:
            return last[2]
        a = tf.gather(x, self._order[: -self._num_moved], axis=-1)
        b = tf.gather(x, self._order[-self._num_moved :], axis=-1)
        outputs = perceptron(self._weights, a)
        shape = [self._num_moved, outputs.shape[-1] // self._num_moved]
        outputs = tf.reshape(outputs, [*shape_of(outputs)[:-1], *shape])
        moved, log_slope = getattr(self._elementwise(outputs), direction)(b)
        result = self._join(a, moved), tf.reduce_sum(log_slope, axis=-1)
        if not tf.executing_eagerly():
            self._last[direction] = weakref.ref(x), weakref.ref(graph), result
        return result

    def _join(self, a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        # b may have more rows than x had: those of the context.
        a = tf.broadcast_to(a, [*shape_of(b)[:-1], a.shape[-1]])
        return tf.gather(tf.concat([a, b], axis=-1), np.argsort(self._order).tolist(), axis=-1)


def shape_of(x: tf.Tensor) -> list[Any]:
    """Returns the sizes of a tensor's axes: numbers where they are known, else scalars.

    Of unknown sizes TensorFlow makes gradients several times as large.
    """
    sizes = tf.shape(x)
    return [sizes[i] if n is None else n for i, n in enumerate(x.shape)]


def orders(size: int, num_layers: int) -> list[tuple[int, ...]]:
    """Returns the order of the dimensions in each of a stack of couplings.

    Layers 2j and 2j + 1 split the same permutation and move complementary halves, so that every
    dimension moves in each pair; the permutations are constants.
    """
    result = []
    for layer in range(num_layers):
        permutation = np.random.default_rng(layer // 2).permutation(size).tolist()
        result.append(tuple(permutation if layer % 2 == 0 else permutation[::-1]))
    return result


def coupling_conditioners(
    size: int, num_layers: int, units: Sequence[int], outputs_per_dimension: int
) -> list[Conditioner]:
    """Returns the conditioners of a stack of couplings, each moving size // 2 or more dimensions.

    An odd one out moves always.
    """
    moved = size - size // 2
    return [
        Conditioner(size - moved, moved * outputs_per_dimension, units) for _ in range(num_layers)
    ]


def stack_of_couplings(
    conditioners: Sequence[Conditioner],
    size: int,
    elementwise: Callable[[tf.Tensor], Elementwise],
    context: tf.Tensor | None,
) -> Any:
    """Returns a chain of couplings, one a conditioner, that move all of `size` dimensions."""
    return stack(
        Coupling(conditioner(context), order, size - size // 2, elementwise)
        for conditioner, order in zip(conditioners, orders(size, len(conditioners)), strict=True)
    )


def stack(bijectors: Iterable[Any]) -> Any:
    """Returns a chain that applies the first bijector first."""
    return tfb.Chain(list(bijectors)[::-1])
