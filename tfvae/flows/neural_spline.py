"""Neural spline flows (Durkan et al., 2019, arXiv:1906.04032)."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfvae import checks
from tfvae.flows.coupling import coupling_conditioners, stack_of_couplings
from tfvae.flows.flow import Flow
from tfvae.flows.spline import spline
from tfvae.serialization import serializable


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
