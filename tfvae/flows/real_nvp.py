"""Real-valued non-volume preserving flows (Dinh et al., 2016, arXiv:1605.08803)."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfvae import checks
from tfvae.flows.affine import Affine, bounded
from tfvae.flows.coupling import coupling_conditioners, stack_of_couplings
from tfvae.flows.flow import Flow
from tfvae.serialization import serializable


@serializable
class RealNVP(Flow):
    """Affine couplings: half of the dimensions are scaled and shifted by functions of the others.

    Density and sampling cost one pass each.

    Args:
        event_shape: Shape (D,) of one event, D >= 2.
        num_layers: Number of couplings; two move every dimension once.
        units: Widths of the hidden layers of each coupling's network.

    Example:
    >>> RealNVP((8,))(None).forward(tf.zeros([5, 8])).shape
    TensorShape([5, 8])
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        num_layers: int = 4,
        units: Sequence[int] = (64, 64),
        **kwargs: Any,
    ):
        super().__init__(event_shape, **kwargs)
        self.num_layers = checks.positive_integer("num_layers", num_layers)
        self.units = checks.shape("units", units)
        self.conditioners = coupling_conditioners(*self.event_shape, num_layers, self.units, 2)

    def call(self, context: tf.Tensor | None = None) -> Any:
        return stack_of_couplings(self.conditioners, *self.event_shape, affine, context)


def affine(outputs: tf.Tensor) -> Affine:
    """Returns b -> scale * b + shift, with a bounded scale."""
    shift, log_scale = tf.unstack(outputs, axis=-1)
    return Affine(shift, bounded(log_scale))
