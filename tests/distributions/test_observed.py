"""Masks and exposures of distributions."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfvae
from tfvae.distributions import (
    DiscretizedLogistic,
    NegativeBinomialByMean,
    ZeroInflatedNegativeBinomialByMean,
    observed_log_prob,
    with_exposure,
)
from tfvae.families import Family

tfd = tfp.distributions
SHAPE = (2, 3)
FAMILIES = {  # families of single numbers -> constants
    "Normal": {},
    "Laplace": {},
    "StudentT": {},
    "Bernoulli": {},
    "Beta": {},
    "Gamma": {},
    "LogNormal": {},
    "LogitNormal": {},
    "ContinuousBernoulli": {},
    "Categorical": {"num_classes": 4},
    "Poisson": {},
    "NegativeBinomial": {},
    "NegativeBinomialByMean": {},
    "ZeroInflatedNegativeBinomialByMean": {},
    "DiscretizedLogistic": {},
    "DiscretizedLogisticMixture": {"num_components": 3},
}


def random_parameters(family):
    return {
        k: tf.random.stateless_normal((4, *p.unconstrained_shape), [i, 7])
        for i, (k, p) in enumerate(family.free.items())
    }


def masks_take_out_entries(log_prob, family):
    """Ones are no mask, disjoint masks add up, and what is masked counts for nothing."""
    d = family.distribution(random_parameters(family))
    x = d.sample(seed=[0, 1])
    mask = np.random.default_rng(0).random((4, *SHAPE)) < 0.6
    whole = d.log_prob(x)
    np.testing.assert_allclose(log_prob(d, x, np.ones_like(mask)), whole, rtol=1e-5)
    parts = log_prob(d, x, mask) + log_prob(d, x, ~mask)
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(log_prob(d, x, np.zeros_like(mask)), 0.0)
    spoiled = tf.where(mask, x, math.nan)
    np.testing.assert_allclose(log_prob(d, spoiled, mask), log_prob(d, x, mask), rtol=1e-6)


def gradients_do_not_know_what_is_missing(log_prob, family):
    parameters = random_parameters(family)
    x = family.distribution(parameters).sample(seed=[0, 1])
    mask = np.random.default_rng(0).random((4, *SHAPE)) < 0.6
    gradients = []
    for filler in (math.nan, math.inf, 1.0):
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            value = log_prob(family.distribution(parameters), tf.where(mask, x, filler), mask)
        gradients.append(tape.gradient(value, parameters))
    for name in parameters:
        assert np.isfinite(gradients[0][name]).all()
        for other in gradients[1:]:
            np.testing.assert_array_equal(gradients[0][name], other[name])


@pytest.mark.parametrize("name", FAMILIES)
def test_masks_take_out_entries(name):
    family = Family(name, SHAPE, FAMILIES[name])
    masks_take_out_entries(observed_log_prob, family)
    gradients_do_not_know_what_is_missing(observed_log_prob, family)


def ignored(d, x, mask):
    """Mutant: the mask is ignored."""
    return d.log_prob(tf.where(mask, x, 0.0))


def masked_late(d, x, mask):
    """Mutant: missing entries are taken out after the density has met them."""
    log_prob = d.distribution.log_prob(x)
    return tf.reduce_sum(tf.where(mask, log_prob, 0.0), axis=[-2, -1])


def test_laws_of_masks_reject_mutants():
    normal, beta = Family("Normal", SHAPE), Family("Beta", SHAPE)
    with pytest.raises(AssertionError):
        masks_take_out_entries(ignored, normal)
    with pytest.raises(AssertionError):
        gradients_do_not_know_what_is_missing(masked_late, normal)
    with pytest.raises(AssertionError):
        gradients_do_not_know_what_is_missing(masked_late, beta)


@pytest.mark.parametrize("name", ["OneHotCategorical", "MultivariateNormalTriL", "BagOfWords"])
def test_vectors_refuse_a_mask_and_say_why(name):
    d = Family(name, (3,)).distribution(random_parameters(Family(name, (3,))))
    with pytest.raises(tfvae.DataError, match="`mask` must be left out .* depend on each other"):
        observed_log_prob(d, tf.zeros([4, 3]), tf.ones([4, 3]))


EXPOSED = {
    "Poisson(rate)": lambda: tfd.Poisson(rate=[[3.0, 0.5]]),
    "Poisson(log_rate)": lambda: tfd.Poisson(log_rate=[[3.0, -0.5]]),
    "NegativeBinomial(logits)": lambda: tfd.NegativeBinomial(4.0, logits=[[0.3, -2.0]]),
    "NegativeBinomial(probs)": lambda: tfd.NegativeBinomial(4.0, probs=[[0.3, 0.8]]),
    "NegativeBinomialByMean": lambda: NegativeBinomialByMean([[1.0, 3.0]], [0.5, 2.0]),
    "ZeroInflatedNegativeBinomialByMean": lambda: ZeroInflatedNegativeBinomialByMean(
        [[0.3, -2.0]], 1.0, 0.5
    ),
}


def exposure_multiplies_the_mean(expose, d):
    exposed = expose(tfd.Independent(d, 1), tf.constant([1.0, 2.0, 50.0]))
    expected = np.array([[1.0], [2.0], [50.0]]) * d.mean()
    np.testing.assert_allclose(exposed.mean(), expected, rtol=1e-5)
    unit = tfd.Independent(d, 1).log_prob([1.0, 2.0])[0]
    np.testing.assert_allclose(exposed.log_prob([1.0, 2.0])[0], unit, rtol=1e-5)


def added_to_the_log_rate(d, exposure):
    """Mutant: the exposure in place of its logarithm."""
    return with_exposure(d, tf.exp(exposure))


def of_other_rows(d, exposure):
    """Mutant: the exposures meet the wrong rows."""
    return with_exposure(d, exposure[::-1])


@pytest.mark.parametrize("name", EXPOSED)
def test_exposure_multiplies_the_mean(name):
    exposure_multiplies_the_mean(with_exposure, EXPOSED[name]())
    for mutant in (added_to_the_log_rate, of_other_rows):
        with pytest.raises(AssertionError):
            exposure_multiplies_the_mean(mutant, EXPOSED[name]())


def test_exposure_leaves_dispersion_and_inflation_alone():
    d = tfd.Independent(ZeroInflatedNegativeBinomialByMean([[0.3]], 1.0, 0.5), 1)
    entry = with_exposure(d, tf.constant([2.0])).distribution
    assert float(entry.dispersion) == 0.5
    assert float(entry.inflation_logits[0, 0]) == pytest.approx(0.3)


@pytest.mark.parametrize(
    "d", [tfd.Normal([[0.0]], 1.0), tfd.Bernoulli([[0.0]]), DiscretizedLogistic([[0.0]], 1.0)]
)
def test_a_family_without_a_rate_refuses_an_exposure(d):
    with pytest.raises(tfvae.DataError, match="`exposure` must be left out .* Fix: use Poisson"):
        with_exposure(tfd.Independent(d, 1), tf.constant([2.0]))
