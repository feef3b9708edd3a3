"""Gradients that automatic differentiation alone does not give."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def stopped(distribution: Any) -> Any:
    """Returns a distribution with the same parameters, through which no gradient flows to them.

    Gradients to the value at which its density is taken still flow: the score term of the
    log-density drops out and the path term stays (Roeder et al., 2017, arXiv:1703.09194).
    """
    return tf.nest.map_structure(tf.stop_gradient, distribution, expand_composites=True)


def weighted_path(z: Any, weight: Callable[[], tf.Tensor]) -> Any:
    """Returns `z` as it is; the gradient that comes back through it is multiplied by `weight()`.

    Args:
        z: Draws, a tensor [S, B, ...] or a structure of them.
        weight: Called during the backward pass, for it usually depends on `z`; returns [S, B].

    Example: the doubly reparameterised gradient (Tucker et al., 2019, arXiv:1810.04152) weights the
    path by the normalised importance weights.
    """

    @tf.custom_gradient
    def identity(draws: tf.Tensor) -> Any:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            w = tf.stop_gradient(weight())
            extra = upstream.shape.rank - w.shape.rank
            return upstream * tf.reshape(w, tf.concat([tf.shape(w), [1] * extra], 0))

        return tf.identity(draws), gradient

    return tf.nest.map_structure(identity, z)
