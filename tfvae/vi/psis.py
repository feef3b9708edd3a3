"""Pareto-smoothed importance sampling (Vehtari et al., 2015-2024, arXiv:1507.02646)."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfvae.errors import DataError

FLAT = 0.01  # nats: weights that differ by less have no tail, only rounding
LEAST_TAIL = 25  # draws


class Smoothed(NamedTuple):
    """Importance weights whose largest are replaced by what a fitted tail expects of them.

    Attributes:
        log_weight: Normalised log-weights, [S]; their exponentials add up to 1.
        pareto_k: Shape of the generalised Pareto distribution fitted to the largest ones.
    """

    log_weight: np.ndarray
    pareto_k: float


def threshold(num_draws: int) -> float:
    """Returns the k-hat above which importance sampling with so many draws is not to be trusted."""
    return min(1.0 - 1.0 / math.log10(num_draws), 0.7)


def smooth(log_weight: npt.ArrayLike) -> Smoothed:
    """Smooths log importance weights, [S].

    Args:
        log_weight: log p(x, z) - log q(z) at draws of q, up to a constant; -inf for a weight of 0.

    Returns:
        Normalised smoothed log-weights, and k-hat: 0 where all weights are equal, infinity where
        four draws or fewer have all the weight.

    Raises:
        DataError: If they are not a vector, or one is NaN or +inf.

    Example:
    >>> smooth(np.random.default_rng(0).normal(size=4_000)).pareto_k < 0.7
    True
    """
    log_weight = np.asarray(log_weight, "float64")
    if log_weight.ndim != 1 or log_weight.size < 25 or not (log_weight < np.inf).all():
        raise DataError(
            "`log_weight` must be a vector of at least 25 numbers below infinity. Received: shape "
            f"{log_weight.shape}, {int((~(log_weight < np.inf)).sum())} NaN or infinite."
        )
    x = log_weight - log_weight.max()
    if -np.median(x) < FLAT:
        return Smoothed(x - _log_sum_exp(x), 0.0)
    num_tail = math.ceil(min(0.2 * x.size, 3.0 * math.sqrt(x.size)))
    smoothed, k = _smooth_tail(x, num_tail)
    # Where the weight has a local maximum in z, weights crowd just below it. A cutoff among them
    # looks like a tail without a mean; a true one still does so in any part of itself.
    while k > 1.0 and num_tail > 2 * LEAST_TAIL:
        num_tail //= 2
        smoothed, k = min((smoothed, k), _smooth_tail(x, num_tail), key=lambda part: part[1])
    return Smoothed(smoothed - _log_sum_exp(smoothed), k)


def _smooth_tail(x: np.ndarray, num_tail: int) -> tuple[np.ndarray, float]:
    """Returns log-weights, of which the largest is 0, with the tail smoothed, and its k."""
    cutoff = max(np.sort(x)[-num_tail - 1], math.log(np.finfo(float).tiny))
    in_tail = np.flatnonzero(x > cutoff)
    if in_tail.size <= 4:
        return x, math.inf
    in_tail = in_tail[np.argsort(x[in_tail])]
    k, sigma = fit_pareto(np.exp(x[in_tail]) - math.exp(cutoff))
    if math.isfinite(k):
        x, p = x.copy(), (np.arange(in_tail.size) + 0.5) / in_tail.size
        excess = -sigma * np.log1p(-p) if k == 0.0 else sigma * np.expm1(-k * np.log1p(-p)) / k
        x[in_tail] = np.minimum(np.log(excess + math.exp(cutoff)), 0.0)
    return x, k


def fit_pareto(excess: np.ndarray) -> tuple[float, float]:
    """Returns shape k and scale of a generalised Pareto distribution.

    The profile likelihood's posterior mean (Zhang and Stephens, 2009), with k drawn to 0.5 by a
    prior that counts as ten observations.

    Args:
        excess: Positive numbers in increasing order, [n].
    """
    n = excess.size
    m = 30 + int(math.sqrt(n))
    theta = 1.0 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))
    theta = theta / (3.0 * excess[int(n / 4 + 0.5) - 1]) + 1.0 / excess[-1]
    k = np.log1p(-theta[:, None] * excess).mean(axis=1)
    log_likelihood = n * (np.log(-theta / k) - k - 1.0)
    weight = np.exp(log_likelihood - _log_sum_exp(log_likelihood))
    mean = float(theta @ weight)
    shape = float(np.log1p(-mean * excess).mean())
    return (n * shape + 5.0) / (n + 10.0), -shape / mean


def _log_sum_exp(x: np.ndarray) -> float:
    largest = x.max()
    return float(largest + np.log(np.sum(np.exp(x - largest))))
