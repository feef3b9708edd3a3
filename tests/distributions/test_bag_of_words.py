"""The multinomial of documents of any length."""

import itertools

import densities
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats

from tfvae.distributions import BagOfWords

LOGITS = np.float32([0.5, -1.0, 0.2])
P = np.exp(np.float64(LOGITS)) / np.exp(np.float64(LOGITS)).sum()


def documents(length):
    """All bags of `length` words of a vocabulary of three."""
    bags = itertools.product(range(length + 1), repeat=3)
    return np.array([b for b in bags if sum(b) == length], "float32")


def masses_of_documents_add_up(d):
    for length in (1, 4, 9):
        total = np.exp(d.log_prob(documents(length))).sum()
        assert total == pytest.approx(1.0, abs=1e-5), length


def test_documents_of_each_length_add_up_to_one():
    masses_of_documents_add_up(BagOfWords(LOGITS))
    masses_of_documents_add_up(BagOfWords(LOGITS, total_count=4.0))
    with pytest.raises(AssertionError):  # normalised for one length
        masses_of_documents_add_up(tfp.distributions.Multinomial(4.0, logits=LOGITS))


def test_masses_are_those_of_scipy():
    expected = stats.multinomial.logpmf(documents(6), 6, P)
    np.testing.assert_allclose(BagOfWords(LOGITS).log_prob(documents(6)), expected, atol=1e-4)


def test_draws_have_the_length_and_the_mean():
    d = BagOfWords(LOGITS, total_count=12.0)
    draws = d.sample(20_000, seed=[0, 1]).numpy()
    assert (draws.sum(-1) == 12).all()
    np.testing.assert_allclose(d.mean(), 12 * P, rtol=1e-5)
    error = np.sqrt(d.variance() / 20_000)
    assert (np.abs(draws.mean(0) - d.mean()) < 5 * error).all()
    np.testing.assert_allclose(BagOfWords(LOGITS).mean(), P, rtol=1e-5)


def test_extremes_keep_density_and_gradient_finite():
    logits = [[50.0, -50.0, 0.0]]
    for x in ([0.0, 0.0, 0.0], [1e6, 0.0, 3.0], [0.0, 1e6, 0.0]):
        densities.gradients_are_finite(BagOfWords, {"logits": logits}, x)


def test_every_document_has_its_own_length_in_a_batch():
    x = tf.constant([[1.0, 0.0, 0.0], [2.0, 3.0, 1.0]])
    each = [float(BagOfWords(LOGITS).log_prob(row)) for row in x]
    together = BagOfWords(tf.tile(LOGITS[None], [2, 1])).log_prob(x)
    np.testing.assert_allclose(together, each, rtol=1e-6)
