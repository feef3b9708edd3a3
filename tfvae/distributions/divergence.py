"""Kullback-Leibler divergences in closed form, in nats."""

import math
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


def exact_kl(q: Any, p: Any) -> tf.Tensor | None:
    """Returns KL[q || p] in closed form, of q's batch shape, or None where none is known.

    Args:
        q: A `tfd.Distribution` [B].
        p: A `tfd.Distribution`, [B] or without batch shape.

    Example:
    >>> float(exact_kl(tfd.Normal(1.0, 1.0), tfd.Normal(0.0, 1.0)))
    0.5
    """
    if any(isinstance(d, tfd.MultivariateNormalLinearOperator) for d in (q, p)):
        q, p = _as_multivariate_normal(q), _as_multivariate_normal(p)
    try:
        return tfd.kl_divergence(q, p)
    except NotImplementedError:
        return None


def exact_kl_parts(q: Any, p: Any) -> tf.Tensor | None:
    """Returns KL[q || p] by dimension, [B, D], where both factorise over the same axes, else None.

    Args:
        q: A `tfd.Distribution` [B] over an event of D numbers.
        p: A `tfd.Distribution`, [B] or without batch shape.
    """
    if not (isinstance(q, tfd.Independent) and isinstance(p, tfd.Independent)):
        return None
    if len(q.event_shape) != len(p.event_shape) or len(q.event_shape) == 0:
        return None
    parts = exact_kl(q.distribution, p.distribution)
    if parts is None:
        return None
    size = q.event_shape.num_elements()
    return tf.reshape(
        tf.broadcast_to(parts, tf.concat([q.batch_shape_tensor(), q.event_shape], 0)), [-1, size]
    )


def _as_multivariate_normal(d: Any) -> Any:
    """A product of normals as a `MultivariateNormalDiag`, whose KL to a full one TFP knows."""
    if not (isinstance(d, tfd.Independent) and isinstance(d.distribution, tfd.Normal)):
        return d
    if len(d.event_shape) != 1:
        return d
    loc, scale = d.distribution.loc, d.distribution.scale
    return tfd.MultivariateNormalDiag(loc + tf.zeros_like(scale), scale + tf.zeros_like(loc))


@tfd.RegisterKL(tfd.MultivariateNormalDiagPlusLowRankCovariance, tfd.Independent)
def _kl_low_rank_independent(q: Any, p: Any, name: str | None = None) -> tf.Tensor:
    """KL[N(m, S) || N(n, diag(t**2))]: the cross-entropy needs the diagonal of S alone."""
    if not isinstance(p.distribution, tfd.Normal) or len(p.event_shape) != 1:
        raise NotImplementedError("It is known for factorised Gaussians over vectors.")
    variance = tf.square(p.distribution.scale)
    error = tf.square(q.mean() - p.distribution.loc)
    log_scale = tf.math.log(2.0 * math.pi * variance)
    return 0.5 * tf.reduce_sum((q.variance() + error) / variance + log_scale, -1) - q.entropy()
