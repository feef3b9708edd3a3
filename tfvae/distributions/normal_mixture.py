"""Mixtures of factorised Gaussians, with a log-density of matrix products."""

import math
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


class NormalMixture(tfd.MixtureSameFamily):
    """`tfd.MixtureSameFamily` of K factorised Gaussians, without a tensor of K events a draw.

    With precisions p = 1 / s**2, sum_d ((z - m) / s)**2 is z**2 . p - 2 z . (m p) + m**2 . p: three
    products of [N, D] with [D, K]. Where z and m are many scales from the origin the terms cancel,
    so that they are taken in float64.

    Args:
        mixture_distribution: A `tfd.Categorical` over the K components.
        components_distribution: A `tfd.Independent` of `tfd.Normal`, of batch shape [K].

    Example:
    >>> parts = tfd.Independent(tfd.Normal(tf.zeros([10, 2]), 1.0), 1)
    >>> NormalMixture(tfd.Categorical(logits=tf.zeros([10])), parts).log_prob(tf.zeros([2]))
    """

    def _log_prob(self, x: tf.Tensor) -> tf.Tensor:
        parts = self.components_distribution
        size = parts.event_shape.num_elements()
        z = tf.reshape(tf.cast(x, tf.float64), [-1, size])
        normal, shape = parts.distribution, tf.concat([parts.batch_shape, parts.event_shape], 0)
        mean, scale = (
            tf.reshape(tf.broadcast_to(tf.cast(v, tf.float64), shape), [-1, size])
            for v in (normal.loc, normal.scale)
        )
        precision = 1.0 / scale**2
        distance = tf.matmul(z**2, precision, transpose_b=True) - 2.0 * tf.matmul(
            z, mean * precision, transpose_b=True
        )
        distance += tf.reduce_sum(mean**2 * precision, axis=-1)  # [N, K]
        log_scale = tf.reduce_sum(tf.math.log(scale), axis=-1) + 0.5 * size * math.log(2 * math.pi)
        log_prob = tf.cast(-0.5 * distance - log_scale, x.dtype)
        log_weight = tf.math.log_softmax(self.mixture_distribution.logits_parameter())
        lead = tf.shape(x)[: x.shape.rank - len(parts.event_shape)]
        return tf.reshape(tf.reduce_logsumexp(log_prob + log_weight, axis=-1), lead)


def mixture(logits: tf.Tensor, components: Any) -> Any:
    """Returns the mixture of K components with log-weights `logits` [K], up to a constant.

    Args:
        logits: [K].
        components: A `tfd.Distribution` of batch shape [K].
    """
    weights, one = tfd.Categorical(logits=logits), components
    is_normal = isinstance(one, tfd.Independent) and isinstance(one.distribution, tfd.Normal)
    kind = NormalMixture if is_normal else tfd.MixtureSameFamily
    return kind(weights, components)
