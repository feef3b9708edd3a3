"""Negative binomials by mean and dispersion, with and without extra zeros."""

import densities
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfvae.distributions import NegativeBinomialByMean, ZeroInflatedNegativeBinomialByMean
from tfvae.distributions import negative_binomial_by_mean as by_mean

COUNTS = np.arange(3_000)
MEAN, DISPERSION = np.meshgrid([1e-3, 1.0, 20.0], [1e-6, 0.1, 1.0])
EXTREME = {  # over the whole range of a `Head`
    "log_mean": np.array([-15.0, -5.0, 0.0, 8.0, 15.0])[:, None, None],
    "dispersion": np.array([1e-6, 1e-3, 1.0, 1e3, 1e6])[:, None],
}
EXTREME_COUNTS = [0.0, 1.0, 3.0, 1e4, 1e6]


def inflated(inflation_logits=0.3, log_mean=1.5, dispersion=0.5, cls=None):
    cls = cls or ZeroInflatedNegativeBinomialByMean
    return cls(inflation_logits, log_mean, dispersion)


class NoNormaliser(NegativeBinomialByMean):
    """Mutant: the binomial coefficient is lost."""

    def _log_prob(self, x):
        mean, r = tf.exp(self.log_mean), 1.0 / self.dispersion
        return x * tf.math.log(mean / (mean + r)) + r * tf.math.log(r / (mean + r))


class NoInflation(ZeroInflatedNegativeBinomialByMean):
    """Mutant: zeros come from the negative binomial alone."""

    def _log_prob(self, x):
        count = by_mean.log_mass(x, tf.exp(self.log_mean), 1.0 / self.dispersion)
        return tf.math.log_sigmoid(-self.inflation_logits) + count


class TooFewZeros(ZeroInflatedNegativeBinomialByMean):
    """Mutant: draws have fewer zeros than the masses say."""

    def _sample_n(self, n, seed=None):
        fewer = inflated(self.inflation_logits - 0.3, self.log_mean, self.dispersion)
        return fewer._sample_n(n, seed)


class Underflowing(ZeroInflatedNegativeBinomialByMean):
    """Mutant: the mixture is taken of probabilities, which are 0 in the tail."""

    def _log_prob(self, x):
        count = tf.exp(by_mean.log_mass(x, tf.exp(self.log_mean), 1.0 / self.dispersion))
        zero = tf.sigmoid(self.inflation_logits)
        return tf.math.log(zero * tf.cast(x == 0, x.dtype) + (1.0 - zero) * count)


class Cancelling(NegativeBinomialByMean):
    """Mutant: the textbook's log-mass, a difference of log-gamma functions."""

    def _log_prob(self, x):
        mean, r = tf.exp(self.log_mean), 1.0 / self.dispersion
        terms = x * tf.math.log(mean / (mean + r)) + r * tf.math.log(r / (mean + r))
        return tf.math.lgamma(x + r) - tf.math.lgamma(r) - tf.math.lgamma(x + 1.0) + terms


def test_masses_are_those_of_scipy():
    d = NegativeBinomialByMean(tf.constant(np.log(MEAN), tf.float64), DISPERSION)
    r = 1.0 / DISPERSION
    expected = stats.nbinom.logpmf(COUNTS[:50, None, None], r, r / (r + MEAN))
    actual = d.log_prob(np.broadcast_to(COUNTS[:50, None, None], (50, 3, 3)).astype("float64"))
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)


def test_masses_of_all_counts_add_up_to_one():
    d = NegativeBinomialByMean(np.log(MEAN).astype("float32"), DISPERSION.astype("float32"))
    densities.masses_add_up(d, COUNTS)
    densities.masses_add_up(inflated(np.float32([-50.0, 0.3, 50.0])), COUNTS)
    for mutant in (NoNormaliser(1.0, 0.5), inflated(cls=NoInflation)):
        with pytest.raises(AssertionError):
            densities.masses_add_up(mutant, COUNTS)


def test_moments_are_those_of_the_masses():
    d = NegativeBinomialByMean(np.log(MEAN).astype("float32"), DISPERSION.astype("float32"))
    densities.moments_are_those_of_the_masses(d, COUNTS)
    densities.moments_are_those_of_the_masses(inflated(np.float32([-50.0, 0.3, 2.0])), COUNTS)


def test_draws_follow_the_masses():
    for d in (
        NegativeBinomialByMean(1.5, 0.5),
        NegativeBinomialByMean(3.0, 1e-6),
        inflated(),
        inflated(-50.0),
        inflated(50.0),
    ):
        densities.draws_follow_the_masses(d, COUNTS)
    with pytest.raises(AssertionError):
        densities.draws_follow_the_masses(inflated(cls=TooFewZeros), COUNTS)


def test_the_limit_without_dispersion_is_the_poisson():
    d = NegativeBinomialByMean(np.float32(np.log(7.0)), 1e-6)
    np.testing.assert_allclose(
        densities.masses(d, COUNTS[:40]), stats.poisson.pmf(COUNTS[:40], 7.0), rtol=2e-4, atol=1e-9
    )


def test_extremes_keep_density_and_gradient_finite():
    densities.gradients_are_finite(NegativeBinomialByMean, EXTREME, EXTREME_COUNTS)
    for logits in (-50.0, 0.0, 50.0):
        parameters = EXTREME | {"inflation_logits": logits}
        densities.gradients_are_finite(
            ZeroInflatedNegativeBinomialByMean, parameters, EXTREME_COUNTS
        )
    with pytest.raises(AssertionError):
        densities.gradients_are_finite(Underflowing, parameters, EXTREME_COUNTS)


def test_single_precision_is_enough_where_counts_are_large():
    """Counts of a million at their mean: the log-mass is about -8, its terms are 1e7."""
    x = [0.0, 1.0, 900.0, 1e3, 2e5, 1e6]
    parameters = {"log_mean": np.log(x[1:])[:, None, None], "dispersion": [[1e-4], [0.2], [50.0]]}
    densities.float32_agrees_with_float64(NegativeBinomialByMean, parameters, x, rtol=1e-4)
    with pytest.raises(AssertionError):
        densities.float32_agrees_with_float64(Cancelling, parameters, x, rtol=1e-4)


def test_negative_counts_are_impossible():
    assert np.isneginf(NegativeBinomialByMean(1.0, 0.5).log_prob(-1.0))
    assert np.isneginf(inflated().log_prob(-1.0))


def test_xla_compiles_masses_gradients_and_draws():
    """TFP's own sampler of negative binomials is not compiled."""
    logits = tf.constant([0.3, -1.0])

    def everything(logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            log_prob = inflated(logits).log_prob([[0.0], [1.0], [40.0]])
        return (
            log_prob,
            tape.gradient(log_prob, logits),
            inflated(logits).sample(2_000, seed=[0, 1]),
        )

    log_prob, gradient, draws = tf.function(everything, jit_compile=True)(logits)
    for actual, expected in zip((log_prob, gradient), everything(logits), strict=False):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.mean(draws, axis=0), inflated(logits).mean(), rtol=0.2)
