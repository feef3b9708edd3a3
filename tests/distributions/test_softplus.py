"""softplus by its series, and where it is taken."""

import numpy as np
import tensorflow as tf

from tfvae.distributions import softplus as module
from tfvae.distributions.softplus import softplus, softplus_by_series
from tfvae.distributions.tracing import tracing_for_xla

NUMBERS = np.concatenate([np.linspace(-80, 80, 4001), [-0.0, 1e-30]]).astype("float32")


def relative_error():
    """Returns the largest error of the series in parts of its value."""
    exact = np.logaddexp(0.0, np.float64(NUMBERS))
    return np.max(np.abs(softplus_by_series(tf.constant(NUMBERS)) - exact) / exact)


def test_the_series_is_exact_to_float32_also_in_the_tail(monkeypatch):
    assert relative_error() < 3e-7
    monkeypatch.setattr(module, "_COEFFICIENTS", module._COEFFICIENTS[2:])  # two terms fewer
    assert relative_error() > 3e-7


def test_it_keeps_infinity_and_nan():
    values = softplus_by_series(tf.constant([-np.inf, np.inf, np.nan])).numpy()
    np.testing.assert_array_equal(values, [0.0, np.inf, np.nan])


def test_the_gradient_is_sigmoid_at_zero_too():
    x = tf.constant([-80.0, -3.0, 0.0, 3.0, 80.0])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            value = softplus_by_series(x)
        slope = inner.gradient(value, x)
    sigmoid = 1 / (1 + np.exp(-np.float64(x)))
    np.testing.assert_allclose(slope, sigmoid, rtol=1e-6)
    np.testing.assert_allclose(outer.gradient(slope, x), sigmoid * (1 - sigmoid), atol=1e-7)


def kinds_of_operations(dtype, for_xla):
    """Returns the kinds of operations that a graph of softplus holds."""
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(dtype, [3])
        if for_xla:
            with tracing_for_xla():
                softplus(x)
        else:
            softplus(x)
    return {operation.type for operation in graph.get_operations()}


def test_only_float32_for_xla_takes_the_series():
    assert "Softplus" not in kinds_of_operations(tf.float32, for_xla=True)
    assert "Softplus" in kinds_of_operations(tf.float32, for_xla=False)
    assert "Softplus" in kinds_of_operations(tf.float64, for_xla=True)
