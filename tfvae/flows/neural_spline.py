"""Neural spline flows (Durkan et al., 2019, arXiv:1906.04032)."""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae import checks
from tfvae.flows.coupling import coupling_conditioners, stack_of_couplings
from tfvae.flows.flow import Flow
from tfvae.serialization import serializable

tfb = tfp.bijectors

BOUND = 5.0  # outside of [-5, 5] a spline is the identity
MIN_SIZE = 1e-3  # of a bin, as a share of the interval, and of a slope
SLOPE_AT_ZERO = math.log(math.e - 1.0)  # softplus of it is 1


@serializable
class NeuralSpline(Flow):
    """Couplings by monotone rational-quadratic splines: more flexible than affine ones.

    Density and sampling cost one pass each. Outside of [-5, 5] a dimension is left as it is.

    Args:
        event_shape: Shape (D,) of one event, D >= 2.
        num_layers: Number of couplings; two move every dimension once.
        units: Widths of the hidden layers of each coupling's network.
        num_bins: Pieces of each spline, >= 2.

    Example:
    >>> NeuralSpline((8,), num_bins=8)(None).forward(tf.zeros([5, 8])).shape
    TensorShape([5, 8])
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        num_layers: int = 4,
        units: Sequence[int] = (64, 64),
        num_bins: int = 8,
        **kwargs: Any,
    ):
        super().__init__(event_shape, **kwargs)
        self.num_layers = checks.positive_integer("num_layers", num_layers)
        self.units = checks.shape("units", units)
        self.num_bins = checks.integer("num_bins", num_bins, 2)
        self.conditioners = coupling_conditioners(
            *self.event_shape, num_layers, self.units, 3 * num_bins - 1
        )

    def call(self, context: tf.Tensor | None = None) -> Any:
        return stack_of_couplings(self.conditioners, *self.event_shape, spline, context)


def spline(outputs: tf.Tensor) -> Any:
    """Returns a monotone spline of K bins from numbers [..., 3 K - 1]; zeros give the identity."""
    bins = (outputs.shape[-1] + 1) // 3
    widths, heights, slopes = tf.split(outputs, [bins, bins, bins - 1], axis=-1)
    return tfb.RationalQuadraticSpline(
        bin_widths=_shares(widths),
        bin_heights=_shares(heights),
        knot_slopes=tf.math.softplus(slopes + SLOPE_AT_ZERO) * (1.0 - MIN_SIZE) + MIN_SIZE,
        range_min=-BOUND,
    )


def _shares(logits: tf.Tensor) -> tf.Tensor:
    """Returns sizes of bins, none of them tiny, that add up to the interval."""
    share = tf.nn.softmax(logits, axis=-1) * (1.0 - MIN_SIZE * logits.shape[-1]) + MIN_SIZE
    return 2.0 * BOUND * share
