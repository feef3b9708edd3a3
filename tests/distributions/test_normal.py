"""Draws of the normal distribution."""

import numpy as np
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

import tfvae
from tfvae.distributions import Normal, exact_kl
from tfvae.distributions.tracing import tracing_for_xla

tfd = tfp.distributions
SEED = tf.constant([3, 4])


def generators_of(distribution):
    """Returns the algorithms that a graph of a draw names."""
    graph = tf.function(lambda: distribution.sample(2, seed=SEED)).get_concrete_function().graph
    draws = [o for o in graph.get_operations() if o.type == "StatelessRandomNormalV2"]
    return [int(tf.get_static_value(o.inputs[3])) for o in draws]


def test_a_draw_names_its_generator():
    automatic = int(tf.random.Algorithm.AUTO_SELECT.value)
    assert generators_of(Normal(0.0, 1.0)) == [int(tf.random.Algorithm.PHILOX.value)]
    assert generators_of(tfd.Normal(0.0, 1.0)) == [automatic], "TFP names one now: drop ours"


def normal_by_threefry(seed, size=200_000):
    with tracing_for_xla("threefry"):
        return Normal(1.0, 2.0).sample(size, seed=seed)


def test_estimates_of_many_draws_take_xla_own_generator():
    with tracing_for_xla("threefry"):
        assert generators_of(Normal(0.0, 1.0)) == [int(tf.random.Algorithm.THREEFRY.value)]
    assert generators_of(Normal(0.0, 1.0)) == [int(tf.random.Algorithm.PHILOX.value)]
    draw = tf.function(normal_by_threefry, jit_compile=True)
    first, again, other = (draw(tf.constant(seed)).numpy() for seed in ([3, 4], [3, 4], [3, 5]))
    np.testing.assert_array_equal(first, again)
    for draws in (first, other):
        assert scipy.stats.kstest(draws, scipy.stats.norm(1.0, 2.0).cdf).pvalue > 1e-3
        assert scipy.stats.kstest(draws, scipy.stats.norm(1.0, 2.1).cdf).pvalue < 1e-3  # mutant
        assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.01
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.01


def test_the_draws_are_those_of_tfp():
    loc, scale = tf.constant([[0.0], [5.0]]), tf.constant([1.0, 2.0, 3.0])
    ours, theirs = (cls(loc, scale).sample(4, seed=SEED) for cls in (Normal, tfd.Normal))
    np.testing.assert_array_equal(ours, theirs)
    assert ours.shape == (4, 2, 3)
    assert Normal(0.0, 1.0).sample(seed=5).shape == ()


def test_heads_use_it_and_its_kl_is_known():
    d = tfvae.Head("Normal", (2,))(tf.zeros([3, 4]))
    assert isinstance(d.distribution, Normal)
    kl = exact_kl(Normal(1.0, 1.0), tfd.Normal(0.0, 1.0))
    np.testing.assert_allclose(kl, 0.5)
