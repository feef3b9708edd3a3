"""Laws of densities: each raises `AssertionError` where a distribution breaks it."""

import numpy as np
import tensorflow as tf
from scipy import stats


def masses(d, values):
    """Returns the probabilities of integers, float64 [len(values), *batch_shape]."""
    x = np.asarray(values, "float64").reshape(-1, *[1] * len(d.batch_shape))
    x = np.broadcast_to(x, (len(values), *d.batch_shape))
    return np.exp(np.float64(d.log_prob(tf.constant(x, d.dtype))))


def masses_add_up(d, values, tolerance=1e-5):
    """The probabilities of all values add up to one."""
    np.testing.assert_allclose(masses(d, values).sum(0), 1.0, atol=tolerance)


def moments_are_those_of_the_masses(d, values, rtol=1e-4):
    """Mean and, where there is one, variance are the sums of their definitions."""
    p = masses(d, values)
    v = np.asarray(values, "float64").reshape(-1, *[1] * (p.ndim - 1))
    mean = (p * v).sum(0)
    np.testing.assert_allclose(d.mean(), mean, rtol=rtol, atol=1e-4)
    try:
        variance = d.variance()
    except NotImplementedError:
        return
    np.testing.assert_allclose(variance, (p * (v - mean) ** 2).sum(0), rtol=10 * rtol, atol=1e-3)


def draws_follow_the_masses(d, values, num_draws=20_000):
    """A chi-square test of draws of a distribution without batch shape, at a level of 1e-6."""
    values = np.asarray(values)
    draws = np.asarray(d.sample(num_draws, seed=[1, 2]))
    assert np.isin(draws, values).all(), "a draw lies outside of the support"
    expected = num_draws * masses(d, values)
    observed = np.array([(draws == v).sum() for v in values])
    often = expected >= 10
    rest = [observed[~often].sum()], [expected[~often].sum()]
    observed, expected = np.append(observed[often], rest[0]), np.append(expected[often], rest[1])
    keep = expected > 1.0
    if keep.sum() == 1:
        assert observed[keep] >= 0.999 * num_draws
        return
    observed, expected = observed[keep], expected[keep]
    result = stats.chisquare(observed, expected * observed.sum() / expected.sum())
    assert result.pvalue > 1e-6, f"chi-square p = {result.pvalue}"


def gradients_are_finite(make, parameters, x):
    """The log-density of x and its gradient by each parameter are finite.

    Args:
        make: Function of the parameters that returns a distribution.
        parameters: Arrays by name.
        x: Data that broadcast to the batch.
    """
    tensors = {k: tf.constant(v, tf.float32) for k, v in parameters.items()}
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        log_prob = make(**tensors).log_prob(tf.constant(x, tf.float32))
    assert np.isfinite(log_prob).all(), "a log-density is not finite"
    for name, gradient in tape.gradient(log_prob, tensors).items():
        assert np.isfinite(gradient).all(), f"the gradient by {name} is not finite"


def float32_agrees_with_float64(make, parameters, x, rtol=2e-5):
    """Single precision gives the log-density of the same (rounded) parameters."""
    narrow = {k: np.asarray(v, "float32") for k, v in parameters.items()}
    single = make(**{k: tf.constant(v) for k, v in narrow.items()}).log_prob(np.float32(x))
    double = make(**{k: tf.constant(v, tf.float64) for k, v in narrow.items()}).log_prob(
        tf.constant(np.float32(x), tf.float64)
    )
    np.testing.assert_allclose(single, double, rtol=rtol, atol=rtol)
