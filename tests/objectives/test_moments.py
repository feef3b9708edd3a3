"""Regularisers of the codes' distribution: DIP by its covariance, MMD by a kernel."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.draws import Draws
from tfvae.objectives import DIP, MMD
from tfvae.objectives.mmd import SCALES

tfd = tfp.distributions

MIXING = np.array([[1.0, 0.5], [0.2, 0.7]])


def posterior(means, scale):
    return tfd.Independent(tfd.Normal(np.float32(means), np.float32(scale)), 1)


def draws_of(posterior, prior=None, seed=0, num_samples=1):
    z = posterior.sample(num_samples, seed=[seed, 1])
    return Draws(z, tf.zeros(z.shape[:2]), None, None, posterior, prior)


def price(objective, posterior):
    loss = np.asarray(objective.loss(Draws(None, None, None, None, posterior), 0))
    assert loss.shape == (64,)
    assert np.ptp(loss) == 0.0
    return loss[0]


@pytest.fixture(scope="module")
def white():
    """Means whose covariance is the identity, [64, 2]."""
    means = np.random.default_rng(0).normal(size=(64, 2))
    means -= means.mean(axis=0)
    return np.linalg.solve(np.linalg.cholesky(np.cov(means.T, bias=True)), means.T).T


def test_dip_is_nothing_where_the_covariance_is_the_identity(white):
    assert price(DIP(10.0, of_means=True), posterior(3.0 + white, 0.5)) < 1e-9
    within = posterior(np.sqrt(1 - 0.6**2) * white - 1.0, 0.6)
    assert price(DIP(10.0), within) < 1e-9
    assert price(DIP(10.0, of_means=True), within) > 1.0  # mutant: the spread within is ignored
    assert price(DIP(10.0), posterior(white, 0.6)) > 1.0  # mutant: it is added where it should not


def test_dip_weights_the_entries_of_the_covariance(white):
    covariance = MIXING @ MIXING.T + np.diag([0.09, 0.16])
    off, on = 2 * covariance[0, 1] ** 2, ((np.diag(covariance) - 1) ** 2).sum()
    codes = posterior(white @ MIXING.T, [[0.3, 0.4]] * np.ones((64, 1)))
    for weight, diagonal_weight in ((10.0, 3.0), (10.0, 0.0), (0.0, 3.0)):
        expected = weight * off + diagonal_weight * on
        assert price(DIP(weight, diagonal_weight), codes) == pytest.approx(expected, rel=1e-4)
    assert price(DIP(10.0), codes) == pytest.approx(10.0 * (off + on), rel=1e-4)


def test_dip_knows_the_covariance_within_a_posterior(white):
    """A full posterior at one mean that has the wanted covariance costs nothing."""
    root = np.linalg.cholesky(np.eye(2) - 0.3 * MIXING @ MIXING.T)
    tilted = tfd.MultivariateNormalTriL(
        np.float32(white @ MIXING.T * np.sqrt(0.3)), np.float32(root) * tf.ones([64, 1, 1])
    )
    assert price(DIP(10.0), tilted) < 1e-6


# ---- MMD


def expected_kernel(mean, variance):
    """Returns the kernel's mean at a difference d ~ N(mean, variance I) in two dimensions.

    c / (c + |d|**2) = int_0^inf exp(-t) exp(-t |d|**2 / c) dt, in which the Gaussian integral over
    d is known; the one over t is by Gauss and Laguerre.
    """
    t, weights = np.polynomial.laguerre.laggauss(80)
    total = 0.0
    for base in [2.0 * s * 2 for s in SCALES]:
        spread = 1 + 2 * t * variance / base
        total += np.sum(weights / spread * np.exp(-t / base * np.sum(mean**2) / spread))
    return total


def squared_discrepancy(mean, scale):
    """Returns MMD**2 between N(mean, scale**2 I) and N(0, I)."""
    zero = np.zeros(2)
    within = expected_kernel(zero, 2 * scale**2) + expected_kernel(zero, 2.0)
    return within - 2 * expected_kernel(mean, scale**2 + 1)


PRIOR = tfd.Independent(tfd.Normal(tf.zeros(2), 1.0), 1)


class WithItself(MMD):
    """Mutant: pairs of a draw with itself are counted, which biases the estimate."""

    def loss(self, draws, step):
        size = draws.z.shape[1]
        return super().loss(draws, step) + self.weight * 2 * len(SCALES) / size


class MissingCross(MMD):
    """Mutant: the prior is not looked at."""

    def loss(self, draws, step):
        same = draws._replace(prior=tfd.Independent(tfd.Normal(tf.zeros(2), 5.0), 1))
        return super().loss(same, step)


def check_is_the_discrepancy(cls):
    for mean, scale in ((np.zeros(2), 1.0), (np.array([0.5, -1.0]), 0.6)):
        codes = posterior(mean * np.ones((200, 1)), scale * np.ones((200, 2)))
        losses = [
            float(cls(3.0, seed=s).loss(draws_of(codes, PRIOR, s), tf.constant(s))[0])
            for s in range(25)
        ]
        error = np.std(losses, ddof=1) / np.sqrt(25)
        assert abs(np.mean(losses) - 3.0 * squared_discrepancy(mean, scale)) < 6 * error


def test_mmd_is_the_closed_form_and_zero_for_equal_distributions():
    assert squared_discrepancy(np.zeros(2), 1.0) == pytest.approx(0.0, abs=1e-10)
    check_is_the_discrepancy(MMD)


@pytest.mark.parametrize("mutant", [WithItself, MissingCross])
def test_a_wrong_mmd_is_not(mutant):
    with pytest.raises(AssertionError):
        check_is_the_discrepancy(mutant)


def test_the_priors_draws_are_a_function_of_seed_and_step():
    draws = draws_of(posterior(np.zeros((8, 2)), np.ones((8, 2))), PRIOR)
    first, again, other_step, other_seed = (
        float(MMD(1.0, seed=seed).loss(draws, tf.constant(step))[0])
        for seed, step in ((0, 5), (0, 5), (0, 6), (1, 5))
    )
    assert first == again
    assert len({first, other_step, other_seed}) == 3


def test_mmd_with_a_prior_of_each_example_and_several_draws():
    """Codes that follow a conditional prior are at no distance from it."""
    means = np.linspace(-2, 2, 64)[:, None] * np.ones((1, 2))
    codes = posterior(means, np.ones((64, 2)))
    losses = [
        float(MMD(1.0).loss(draws_of(codes, codes, s, num_samples=3), tf.constant(s))[0])
        for s in range(25)
    ]
    assert abs(np.mean(losses)) < 5 * np.std(losses) / np.sqrt(25) + 1e-3
    far = draws_of(codes, posterior(means + 2.0, np.ones((64, 2))), 0)
    assert float(MMD(1.0).loss(far, tf.constant(0))[0]) > 0.5


def test_a_reparameterised_prior_moves_and_another_does_not():
    loc = tf.constant([0.5, -0.5])
    codes = draws_of(posterior(np.zeros((8, 2)), np.ones((8, 2))))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(loc)
        normal = tfd.Independent(tfd.Normal(loc, 1.0), 1)
        mixture = tfd.MixtureSameFamily(
            tfd.Categorical(logits=[0.0, 0.0]),
            tfd.Independent(tfd.Normal(tf.stack([loc, -loc]), 1.0), 1),
        )
        losses = [MMD(1.0).loss(codes._replace(prior=p), tf.constant(0)) for p in (normal, mixture)]
    assert np.any(np.asarray(tape.gradient(losses[0], loc)) != 0)
    assert tape.gradient(losses[1], loc) is None
