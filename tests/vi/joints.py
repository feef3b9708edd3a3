"""Joint distributions whose posterior and evidence are known in closed form."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import special, stats

tfd = tfp.distributions

Y = np.array([1.2, -0.4, 2.5, 0.9, 1.8], "float32")
FLIPS = np.array([1, 0, 1, 1, 0, 1, 1], "float32")


class Truth(NamedTuple):
    """A joint, its data, and what is exact about its posterior."""

    joint: object
    data: dict
    mean: dict
    sd: dict
    log_evidence: float


def normal():
    """Model mu ~ N(0, 3), y ~ N(mu, 0.5), as a dictionary."""
    joint = tfd.JointDistributionNamed(
        {
            "mu": tfd.Normal(0.0, 3.0),
            "y": lambda mu: tfd.Independent(tfd.Normal(mu[..., None] + tf.zeros(5), 0.5), 1),
        }
    )
    variance = 1.0 / (1.0 / 9.0 + 5.0 / 0.25)
    evidence = stats.multivariate_normal(np.zeros(5), 9.0 + 0.25 * np.eye(5)).logpdf(Y)
    mean = variance * Y.sum(dtype="float64") / 0.25
    return Truth(joint, {"y": Y}, {"mu": mean}, {"mu": variance**0.5}, evidence)


def coin():
    """Model p ~ Beta(2, 3), flips ~ Bernoulli(p), as a generator that knows no batches."""

    def model():
        p = yield tfd.JointDistributionCoroutine.Root(tfd.Beta(2.0, 3.0, name="p"))
        yield tfd.Sample(tfd.Bernoulli(probs=p, dtype=tf.float32), len(FLIPS), name="flips")

    a, b = 2.0 + FLIPS.sum(), 3.0 + (1.0 - FLIPS).sum()
    exact = stats.beta(a, b)
    return Truth(
        tfd.JointDistributionCoroutine(model),
        {"flips": FLIPS},
        {"p": exact.mean()},
        {"p": exact.std()},
        special.betaln(a, b) - special.betaln(2.0, 3.0),
    )


def regression(scales=(1.0, 0.01, 100.0)):
    """Bayesian linear regression on correlated columns of very different scales, AutoBatched."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3)) + rng.normal(size=(40, 1))
    x = (x * scales).astype("float32")
    y = (x @ (1.0 / np.array(scales)) + 0.7 * rng.normal(size=40)).astype("float32")
    prior = np.float32(2.0 / np.array(scales))

    def model():
        beta = yield tfd.MultivariateNormalDiag(tf.zeros(3), prior, name="beta")
        yield tfd.Normal(tf.linalg.matvec(x, beta), 0.7, name="y")

    x = np.float64(x)
    covariance = np.linalg.inv(np.diag(1.0 / np.float64(prior) ** 2) + x.T @ x / 0.49)
    marginal = x @ np.diag(np.float64(prior) ** 2) @ x.T + 0.49 * np.eye(40)
    evidence = stats.multivariate_normal(np.zeros(40), marginal).logpdf(y)
    x = np.float32(x)
    return Truth(
        tfd.JointDistributionCoroutineAutoBatched(model),
        {"y": y},
        {"beta": covariance @ x.T @ y / 0.49},
        {"beta": np.sqrt(np.diag(covariance))},
        evidence,
    )
