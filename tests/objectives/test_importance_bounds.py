"""Bounds by importance weights against the exact evidence of a linear-Gaussian model."""

import linear_gaussian as exact
import numpy as np
import pytest
import tensorflow as tf

from tfvae.draws import Draws
from tfvae.objectives import ELBO, DReG, ImportanceWeighted, Renyi, StickingTheLanding


@pytest.fixture(scope="module")
def p():
    """A posterior near enough to the exact one for the weights to have all moments needed."""
    p = exact.random_parameters()
    a, c, covariance = exact.exact_posterior(p)
    return p._replace(a=0.95 * a, c=c + 0.05, s=1.2 * np.sqrt(np.diag(covariance)))


@pytest.fixture(scope="module")
def x(p):
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(4, 6))
    return rng.normal(size=(4, 2)) @ p.w.T + p.b + p.sigma * noise


@pytest.fixture(scope="module")
def densities(p, x):
    """Log p(x | z), log p(z) and log q(z | x) at 400,000 draws for each row, [3, 400_000, 4]."""
    z = (x @ p.a.T + p.c)[:, None] + p.s * np.random.default_rng(2).normal(size=(4, 400_000, 2))

    def normal(u, scale):
        return -0.5 * ((u / scale) ** 2 + np.log(2 * np.pi * scale**2)).sum(axis=-1)

    mean = (x @ p.a.T + p.c)[:, None]
    error = x[:, None] - z @ p.w.T - p.b
    parts = (normal(error, p.sigma), normal(z, np.ones(2)), normal(z - mean, p.s))
    return np.transpose(parts, [0, 2, 1]).astype("float32")


def bounds(objective, densities, num_samples):
    """Returns the objective's bound from each group of that many draws, [groups, 4]."""
    groups = densities.shape[1] // num_samples
    parts = densities.reshape(3, groups, num_samples, 4).transpose(0, 2, 1, 3)
    parts = parts.reshape(3, num_samples, -1)
    return -np.reshape(objective.loss(Draws(None, *parts), 0), (groups, 4)).astype("float64")


def log_second_moment(p, x):
    """Returns log E_q[(p(z | x) / q(z | x))**2], one more than the chi-squared divergence, [N]."""
    a, c, covariance = exact.exact_posterior(p)
    one, two = np.linalg.inv(covariance), np.diag(p.s**-2.0)
    m1, m2 = x @ a.T + c, x @ p.a.T + p.c
    both = 2 * one - two
    linear = 2 * m1 @ one - m2 @ two
    constant = 2 * np.sum(m1 @ one * m1, axis=1) - np.sum(m2 @ two * m2, axis=1)
    log_det = [np.linalg.slogdet(m)[1] for m in (one, two, both)]
    quadratic = np.sum(linear @ np.linalg.inv(both) * linear, axis=1) - constant
    return log_det[0] - 0.5 * log_det[1] - 0.5 * log_det[2] + 0.5 * quadratic


def relative_gap(objective, p, x, densities, num_samples=50):
    """Returns S (log p(x) - bound) over its limit chi**2 / 2, averaged over the rows.

    The mean weight is known to be p(x), and is the control variate without which the gap drowns.
    """
    evidence = exact.log_evidence(p, x)
    log_weight = densities[0].astype("float64") + densities[1] - densities[2]
    weight = np.exp(log_weight - evidence).reshape(-1, num_samples, 4).mean(axis=1)
    gap = np.mean(evidence - bounds(objective, densities, num_samples) + weight - 1.0)
    return num_samples * gap / np.mean(np.expm1(log_second_moment(p, x)) / 2)


class KForLogK(ImportanceWeighted):
    """Mutant: the number of draws where its logarithm belongs."""

    def loss(self, draws, step):
        size = len(draws.log_likelihood)
        return -tf.reduce_logsumexp(draws.log_weight, axis=0) + size


class SumOfWeights(ImportanceWeighted):
    """Mutant: the sum of the weights in place of their mean."""

    def loss(self, draws, step):
        return -tf.reduce_logsumexp(draws.log_weight, axis=0)


class MeanOfLogs(ImportanceWeighted):
    """Mutant: the ELBO, however many draws."""

    def loss(self, draws, step):
        return -tf.reduce_mean(draws.log_weight, axis=0)


def check_rises_to_the_evidence(make, p, x, densities):
    sizes = (1, 2, 5, 10, 50, 200)
    means = [bounds(make(k), densities, k).mean() for k in sizes]
    error = bounds(make(1), densities, 1).mean(axis=1).std() / np.sqrt(400_000)
    assert abs(means[0] - exact.elbo(p, x).mean()) < 5 * error
    assert all(low < high for low, high in zip(means, means[1:], strict=False))
    assert means[-1] < exact.log_evidence(p, x).mean() + 5 * error


@pytest.mark.parametrize("objective", [ImportanceWeighted, DReG], ids=lambda o: o.__name__)
def test_bound_rises_from_the_elbo_to_the_evidence(objective, p, x, densities):
    check_rises_to_the_evidence(objective, p, x, densities)
    assert abs(relative_gap(objective(50), p, x, densities) - 1.0) < 0.05


@pytest.mark.parametrize("mutant", [KForLogK, SumOfWeights, MeanOfLogs])
def test_a_wrong_bound_does_not(mutant, p, x, densities):
    with pytest.raises(AssertionError):
        check_rises_to_the_evidence(mutant, p, x, densities)
    assert abs(relative_gap(mutant(50), p, x, densities) - 1.0) > 0.5


# ---- Renyi


def renyi_divergence(p, x, alpha):
    """Returns D_alpha[q(z | x) || p(z | x)] of Gaussians (Gil et al., 2013), [N]."""
    a, c, covariance = exact.exact_posterior(p)
    q = np.diag(p.s**2)
    mixed = (1 - alpha) * q + alpha * covariance
    d = x @ (p.a - a).T + p.c - c
    log_det = [np.linalg.slogdet(m)[1] for m in (mixed, q, covariance)]
    quadratic = alpha / 2 * np.einsum("ni,ij,nj->n", d, np.linalg.inv(mixed), d)
    rest = log_det[0] - (1 - alpha) * log_det[1] - alpha * log_det[2]
    return quadratic - rest / (2 * (alpha - 1))


class WrongOrder(Renyi):
    """Mutant: alpha where 1 - alpha belongs."""

    def __init__(self, alpha, num_samples):
        super().__init__(1.0 - alpha, num_samples)


class ForgottenDivision(Renyi):
    """Mutant: the logarithm is not divided by 1 - alpha."""

    def loss(self, draws, step):
        return super().loss(draws, step) * (1.0 - self.alpha)


def check_is_evidence_less_divergence(make, p, x, densities):
    for alpha in (-0.3, 0.3, 0.7, 1.2):
        truth = exact.log_evidence(p, x) - renyi_divergence(p, x, alpha)
        bound = bounds(make(alpha, 20_000), densities, 20_000)
        error = bound.std(axis=0, ddof=1) / np.sqrt(len(bound))
        np.testing.assert_array_less(np.abs(bound.mean(axis=0) - truth), 6 * error + 1e-3)


def test_renyi_is_the_evidence_less_the_divergence(p, x, densities):
    check_is_evidence_less_divergence(Renyi, p, x, densities)


@pytest.mark.parametrize("mutant", [WrongOrder, ForgottenDivision])
def test_a_wrong_renyi_is_not(mutant, p, x, densities):
    with pytest.raises(AssertionError):
        check_is_evidence_less_divergence(mutant, p, x, densities)


def test_renyi_has_the_other_bounds_as_its_limits(densities):
    draws = Draws(None, *densities[:, :50])
    elbo = ELBO(num_samples=50).loss(draws, 0)
    np.testing.assert_allclose(StickingTheLanding(50).loss(draws, 0), elbo, rtol=1e-5)
    variance = np.var(draws.log_weight, axis=0)
    for alpha in (1.0, 1.0 - 1e-6, 1.0 + 1e-6, 1.0 - 1e-3):
        distance = np.abs(Renyi(alpha, 50).loss(draws, 0) - elbo)
        np.testing.assert_array_less(distance, abs(1.0 - alpha) * variance + 1e-4)
    bound = ImportanceWeighted(50).loss(draws, 0)
    np.testing.assert_allclose(Renyi(0.0, 50).loss(draws, 0), bound, rtol=1e-5)


def test_renyi_falls_with_alpha_and_is_finite_at_its_ends(densities):
    draws = Draws(None, *densities[:, :50])
    losses = [
        np.asarray(Renyi(a, 50).loss(draws, 0)) for a in (-1e3, -1.0, 0.0, 0.5, 1.0, 2.0, 1e3)
    ]
    assert np.isfinite(losses).all()
    assert (np.diff(losses, axis=0) > 0).all()
    log_weight = np.asarray(draws.log_weight)
    np.testing.assert_allclose(losses[0], -log_weight.max(axis=0), rtol=1e-2)
    np.testing.assert_allclose(losses[-1], -log_weight.min(axis=0), rtol=1e-2)
