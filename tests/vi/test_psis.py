"""Pareto-smoothed importance sampling: exact tail indices, and published arithmetic."""

import numpy as np
import pytest
from scipy import stats

from tfvae import DataError, vi
from tfvae.vi.psis import fit_pareto, smooth


def log_weight_of_exponentials(rate, num_draws, seed):
    """Log-weights of Exp(1) against draws of Exp(rate): their tail has index (rate - 1) / rate."""
    x = np.random.default_rng(seed).exponential(1.0 / rate, num_draws)
    return -x - (np.log(rate) - rate * x)


def mean_k(k_of, rate, num_draws=20_000, repeats=30):
    return np.mean([k_of(log_weight_of_exponentials(rate, num_draws, i)) for i in range(repeats)])


@pytest.mark.parametrize("index", [0.2, 0.5, 0.7])
def test_k_is_the_index_of_a_known_tail(index):
    k = mean_k(lambda w: smooth(w).pareto_k, 1.0 / (1.0 - index))
    np.testing.assert_allclose(k, index, atol=0.05)


def test_k_of_the_lower_tail_is_rejected():
    k = mean_k(lambda w: smooth(-w).pareto_k, 1.0 / (1.0 - 0.7))
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(k, 0.7, atol=0.05)


@pytest.mark.parametrize("k", [-0.3, 0.2, 0.8])
def test_fit_recovers_generalised_pareto_draws(k):
    rng = np.random.default_rng(0)
    found = [
        fit_pareto(np.sort(stats.genpareto(k, scale=2.0).rvs(2_000, random_state=rng)))
        for _ in range(10)
    ]
    np.testing.assert_allclose(np.mean(found, axis=0), [k, 2.0], atol=0.06)


def test_weights_add_up_keep_their_order_and_are_bounded_by_the_largest():
    raw = log_weight_of_exponentials(5.0, 4_000, 0)
    smoothed = smooth(raw).log_weight
    np.testing.assert_allclose(np.exp(smoothed).sum(), 1.0)
    assert (np.diff(smoothed[np.argsort(raw)]) >= -1e-12).all()
    plain = raw - np.logaddexp.reduce(raw)
    assert smoothed.max() < plain.max()
    body = np.argsort(raw)[:3_000]
    np.testing.assert_allclose(np.diff(smoothed[body]), np.diff(plain[body]), atol=1e-9)


def test_correction_beats_plain_weights_on_a_heavy_tail():
    """E[x] = 1 under Exp(1), from draws of Exp(2.5): k = 0.6."""
    errors = []
    for seed in range(200):
        x = np.random.default_rng(seed).exponential(1.0 / 2.5, 1_000)
        raw = log_weight_of_exponentials(2.5, 1_000, seed)
        plain = np.exp(raw - np.logaddexp.reduce(raw))
        errors.append([np.exp(smooth(raw).log_weight) @ x - 1.0, plain @ x - 1.0])
    smoothed, plain = np.mean(np.square(errors), axis=0)
    assert smoothed < plain


def test_a_crowd_below_a_local_maximum_is_no_tail():
    """Weights crowd at a plateau, where the cutoff falls; beyond it they are bounded by 2."""
    x = np.random.default_rng(0).uniform(-1.0, 1.0, 10_000)
    weight = np.where(x < 0.99, 1.0 - x**6, 1.0 + 100.0 * (x - 0.99))
    assert smooth(np.log(weight)).pareto_k < 0.7


def test_extremes_and_refusals():
    assert smooth(np.full(1_000, 3.0)).pareto_k == 0.0
    one = np.full(1_000, -np.inf)
    one[7] = 0.0
    assert smooth(one).pareto_k == np.inf
    assert np.exp(smooth(one).log_weight)[7] == 1.0
    for bad in (np.zeros((5, 5)), np.zeros(3), np.full(100, np.nan)):
        with pytest.raises(DataError):
            smooth(bad)


def test_threshold_is_that_of_the_paper():
    np.testing.assert_allclose([vi.threshold(s) for s in (100, 1_000, 10_000)], [0.5, 2 / 3, 0.7])


def test_it_agrees_with_arviz():
    arviz = pytest.importorskip("arviz")
    raw = log_weight_of_exponentials(3.0, 4_000, 0)
    theirs, k = arviz.psislw(raw)
    np.testing.assert_allclose(smooth(raw).pareto_k, k, atol=1e-6)
    np.testing.assert_allclose(smooth(raw).log_weight, theirs, atol=1e-6)
