"""Functions of entries whose last axes are merged for XLA."""

import numpy as np
import pytest
import tensorflow as tf

from tfvae import distributions
from tfvae.distributions import merged_axes
from tfvae.distributions.merged_axes import with_merged_axes
from tfvae.distributions.tracing import tracing_for_xla

# Shapes of the arguments, and those that the function sees.
ROWS = {
    "draws for each image": ([(5, 2, 4, 3, 1), (2, 4, 3, 1)], [(5, 24), (24,)]),
    "one scale for all": ([(5, 2, 4, 3), (2, 4, 3), ()], [(5, 24), (24,), ()]),
    "a scale a pixel": ([(5, 2, 4, 3), (5, 1, 4, 3), (4, 3)], [(5, 2, 12), (5, 1, 12), (12,)]),
    "one draw": ([(1, 2, 4), (2, 4)], [(1, 8), (8,)]),
    "a scale a channel": ([(5, 2, 4, 3), (3,)], [(5, 2, 4, 3), (3,)]),
    "a last axis that is repeated": ([(5, 4, 3), (4, 1)], [(5, 4, 3), (4, 1)]),
    "large images": ([(5, 2, 8, 8, 3), (2, 8, 8, 3)], [(5, 2, 192), (2, 192)]),
    "a long last axis": ([(5, 2, 32), (2, 32)], [(5, 2, 32), (2, 32)]),
    "no entries": ([(5, 0, 3), (0, 3)], [(5, 0), (0,)]),
    "scalars": ([(), ()], [(), ()]),
}


def arguments(shapes):
    """Returns numbers of these shapes, all different."""
    return [
        tf.reshape(tf.range(np.prod(s), dtype=tf.float32) + i / 7, s) for i, s in enumerate(shapes)
    ]


def weighted_sum(*tensors):
    """Returns a sum that tells the arguments apart."""
    return sum(i * t for i, t in enumerate(tensors, 1))


@pytest.mark.parametrize("row", ROWS)
def test_the_function_sees_fewer_axes_and_its_value_has_all(row):
    shapes, merged = ROWS[row]
    seen = []

    def function(*tensors):
        seen.extend(tuple(t.shape) for t in tensors)
        return weighted_sum(*tensors)

    with tracing_for_xla():
        value = with_merged_axes(function, *arguments(shapes))
    assert seen == merged
    np.testing.assert_array_equal(value, weighted_sum(*arguments(shapes)))


def test_axes_that_differ_must_not_be_merged(monkeypatch):
    """The mutant takes as many axes as the shortest argument has, whatever their lengths."""
    monkeypatch.setattr(
        merged_axes, "_num_merged_axes", lambda shapes: min(s.rank for s in shapes if s.rank)
    )
    shapes, _ = ROWS["a last axis that is repeated"]
    with tracing_for_xla(), pytest.raises(tf.errors.InvalidArgumentError):
        with_merged_axes(weighted_sum, *arguments(shapes))


def test_a_batch_of_unknown_size_keeps_its_axis():
    @tf.function(input_signature=[tf.TensorSpec([5, None, 4, 3]), tf.TensorSpec([None, 4, 3])])
    def program(a, b):
        with tracing_for_xla():
            value = with_merged_axes(weighted_sum, a, b)
        assert value.shape.as_list() == [5, None, 4, 3]
        return value

    given = arguments([(5, 2, 4, 3), (2, 4, 3)])
    np.testing.assert_array_equal(program(*given), weighted_sum(*given))


@pytest.mark.parametrize("family", ["Bernoulli", "Normal", "DiscretizedLogistic"])
def test_log_densities_and_gradients_are_those_without(family):
    x = tf.reshape(tf.range(24.0) % 2, [2, 4, 3, 1])
    parameter = tf.random.stateless_normal([5, 2, 4, 3, 1], [0, 1])
    more = {} if family == "Bernoulli" else {"scale": 0.7}

    def value_and_gradient():
        with tf.GradientTape() as tape:
            tape.watch(parameter)
            value = getattr(distributions, family)(parameter, **more).log_prob(x)
        return value, tape.gradient(value, parameter)

    expected = value_and_gradient()
    with tracing_for_xla():
        for merged, plain in zip(value_and_gradient(), expected, strict=True):
            np.testing.assert_allclose(merged, plain, rtol=2e-6, atol=2e-6)
