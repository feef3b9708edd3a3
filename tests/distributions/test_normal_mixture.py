"""The mixture by matrix products is TFP's, in float64 and where float32 would cancel."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.distributions import NormalMixture, mixture

tfd = tfp.distributions
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=5).astype("float32")


def components(offset=0.0, scale=0.3, event=(2, 3)):
    loc = offset + RNG.normal(size=(5, *event))
    return tfd.Independent(
        tfd.Normal(np.float32(loc), np.float32(scale * RNG.uniform(0.5, 2.0, (5, *event)))), 2
    )


def is_that_of_float64(make, offset, scale):
    """To 1e-6 of its size, near the components, wherever they are."""
    parts = components(offset, scale)
    x = parts.sample(4, seed=(0, 1))  # [4, 5, 2, 3]
    loc, spread = (np.float64(v) for v in (parts.distribution.loc, parts.distribution.scale))
    by_part = scipy.stats.norm(loc, spread).logpdf(np.float64(x)[:, :, None]).sum((-2, -1))
    expected = scipy.special.logsumexp(by_part + scipy.special.log_softmax(LOGITS), axis=-1)
    d = make(LOGITS, parts)
    np.testing.assert_allclose(d.log_prob(x), expected, rtol=1e-5, atol=1e-4)
    assert d.log_prob(x).dtype == tf.float32
    assert d.log_prob(x[0, 0]).shape == ()


class SinglePrecision(NormalMixture):
    """Mutant: the squares are expanded in float32."""

    def _log_prob(self, x):
        normal = self.components_distribution.distribution
        m, p = (tf.reshape(v, [5, 6]) for v in (normal.loc, 1.0 / normal.scale**2))
        z = tf.reshape(x, [-1, 6])
        square = z**2 @ tf.transpose(p) - 2.0 * z @ tf.transpose(m * p) + tf.reduce_sum(m**2 * p, 1)
        log_scale = tf.reduce_sum(0.5 * tf.math.log(2 * np.pi / p), axis=1)
        log_weight = tf.math.log_softmax(self.mixture_distribution.logits)
        total = tf.reduce_logsumexp(log_weight - 0.5 * square - log_scale, axis=-1)
        return tf.reshape(total, x.shape[:-2])


CASES = [(0.0, 0.3), (30.0, 0.3), (100.0, 1e-3)]


@pytest.mark.parametrize(("offset", "scale"), CASES)
def test_the_density_is_that_of_float64(offset, scale):
    is_that_of_float64(mixture, offset, scale)


def test_that_law_rejects_single_precision_and_other_weights():
    def single(logits, parts):
        return SinglePrecision(tfd.Categorical(logits=logits), parts)

    is_that_of_float64(single, *CASES[0])
    with pytest.raises(AssertionError):
        is_that_of_float64(single, *CASES[2])
    with pytest.raises(AssertionError):
        is_that_of_float64(lambda logits, parts: mixture(0.0 * logits, parts), *CASES[0])


def test_gradients_are_those_of_tfp():
    parts = components()
    loc, scale = (tf.Variable(v) for v in (parts.distribution.loc, parts.distribution.scale))
    x, logits = tf.Variable(parts.sample(seed=(0, 2))), tf.Variable(LOGITS)

    def gradients(kind):
        with tf.GradientTape() as tape:
            weights = tfd.Categorical(logits=tf.convert_to_tensor(logits))
            normal = tfd.Normal(tf.convert_to_tensor(loc), tf.convert_to_tensor(scale))
            total = tf.reduce_sum(kind(weights, tfd.Independent(normal, 2)).log_prob(x))
        return tape.gradient(total, [x, loc, scale, logits])

    expected = gradients(tfd.MixtureSameFamily)
    for g, e in zip(tf.function(lambda: gradients(NormalMixture))(), expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-3, atol=1e-3)


def test_other_components_are_mixed_by_tfp():
    full = tfd.MultivariateNormalTriL(tf.zeros([5, 2]), tf.eye(2, batch_shape=[5]))
    assert type(mixture(LOGITS, full)) is tfd.MixtureSameFamily
    flat = mixture(LOGITS, tfd.Independent(tfd.Normal(tf.zeros([5, 2]), 1.0), 1))
    assert isinstance(flat, NormalMixture)
    np.testing.assert_allclose(flat.mean(), [0.0, 0.0], atol=1e-6)
    assert flat.sample(3, seed=(0, 0)).shape == (3, 2)
