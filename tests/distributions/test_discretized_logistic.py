"""The discretised logistic and mixtures of it: exact masses of 8-bit levels."""

import densities
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfvae import evaluation
from tfvae.distributions import DiscretizedLogistic, DiscretizedLogisticMixture

LEVELS = np.arange(256)
LOC, SCALE = (
    a.astype("float32") for a in np.meshgrid([-1.3, -1.0, 0.1, 0.9, 1.5], [1e-3, 0.01, 0.2, 3.0])
)


def mixture(scale=(0.02, 0.2, 0.6)):
    return DiscretizedLogisticMixture([0.0, 1.0, -1.0], [-1.0, 0.3, 1.2], list(scale))


class EdgeIgnored(DiscretizedLogistic):
    """Mutant: the highest level has no more than the bin around it."""

    def _log_prob(self, x):
        low, high = self.low, self.high
        wide = DiscretizedLogistic(
            self.loc * (high - low) / (high - low + 2.0), self.scale * 255 / 257, -1.0, 256.0
        )
        return tf.where(x == high, wide.log_prob(x), super()._log_prob(x))


class NoBranch(DiscretizedLogistic):
    """Mutant: the mass as a plain difference, which is 0 in the tails."""

    def _log_prob(self, x):
        y = (x - self.low) / (0.5 * (self.high - self.low)) - 1.0
        half_bin = 1.0 / (self.high - self.low)
        upper = tf.sigmoid((y + half_bin - self.loc) / self.scale)
        return tf.math.log(upper - tf.sigmoid((y - half_bin - self.loc) / self.scale))


class Unrounded(DiscretizedLogistic):
    """Mutant: draws are rounded down, half a level too low."""

    def _sample_n(self, n, seed=None):
        return tf.maximum(super()._sample_n(n, seed) - 1.0, 0.0)


def test_masses_of_all_levels_add_up_to_one_edges_included():
    densities.masses_add_up(DiscretizedLogistic(LOC, SCALE), LEVELS)
    densities.masses_add_up(DiscretizedLogistic(LOC, SCALE, 0.0, 15.0), np.arange(16))
    densities.masses_add_up(mixture(), LEVELS)
    with pytest.raises(AssertionError):
        densities.masses_add_up(EdgeIgnored(LOC, SCALE), LEVELS)


def test_masses_are_differences_of_the_logistic_distribution_function():
    d = DiscretizedLogistic(tf.constant(0.3, tf.float64), 0.2)
    logistic = stats.logistic(loc=127.5 * 1.3, scale=127.5 * 0.2)
    inner = logistic.cdf(LEVELS + 0.5) - logistic.cdf(LEVELS - 0.5)
    inner[0], inner[-1] = logistic.cdf(0.5), logistic.sf(254.5)
    np.testing.assert_allclose(densities.masses(d, LEVELS), inner, rtol=1e-9)


def test_there_is_nothing_outside_of_the_levels():
    d = DiscretizedLogistic(0.0, 1.0)
    assert np.isneginf(d.log_prob([-1.0, 256.0])).all()
    assert np.isneginf(mixture().log_prob([-1.0, 256.0])).all()


@pytest.mark.parametrize("d", [DiscretizedLogistic(LOC, SCALE), mixture()], ids=["one", "mixture"])
def test_the_mean_is_that_of_the_masses(d):
    densities.moments_are_those_of_the_masses(d, LEVELS)


@pytest.mark.parametrize("scale", [0.004, 0.3])
def test_draws_follow_the_masses(scale):
    densities.draws_follow_the_masses(DiscretizedLogistic(0.9, scale), LEVELS)
    densities.draws_follow_the_masses(mixture((scale, 0.1, 0.2)), LEVELS)
    with pytest.raises(AssertionError):
        densities.draws_follow_the_masses(Unrounded(0.9, scale), LEVELS)


def test_far_tails_keep_density_gradient_and_precision():
    parameters = {"loc": LOC[..., None], "scale": SCALE[..., None]}
    densities.gradients_are_finite(DiscretizedLogistic, parameters, LEVELS)
    densities.float32_agrees_with_float64(DiscretizedLogistic, parameters, LEVELS)
    with pytest.raises(AssertionError):
        densities.gradients_are_finite(NoBranch, parameters, LEVELS)
    far = {"loc": [[-50.0], [50.0]], "scale": [[1e-3], [1e6]]}
    densities.gradients_are_finite(DiscretizedLogistic, far, LEVELS)


def test_a_mixture_of_one_component_is_that_component():
    one = DiscretizedLogisticMixture([2.0], [0.3], [0.1])
    np.testing.assert_allclose(
        one.log_prob(LEVELS.astype("float32")),
        DiscretizedLogistic(0.3, 0.1).log_prob(LEVELS.astype("float32")),
        rtol=1e-5,
    )


def test_a_mixture_weights_its_components():
    d = mixture()
    parts = [
        densities.masses(DiscretizedLogistic(loc, scale), LEVELS)
        for loc, scale in zip([-1.0, 0.3, 1.2], [0.02, 0.2, 0.6], strict=True)
    ]
    weights = np.exp([0.0, 1.0, -1.0]) / np.exp([0.0, 1.0, -1.0]).sum()
    np.testing.assert_allclose(densities.masses(d, LEVELS), weights @ parts, rtol=1e-4, atol=1e-9)


def test_extreme_weights_of_a_mixture_keep_the_gradient_finite():
    parameters = {
        "logits": [[50.0, -50.0, 0.0]],
        "loc": [[-50.0, 50.0, 0.0]],
        "scale": [[1e-3, 1e-3, 1e6]],
    }
    densities.gradients_are_finite(DiscretizedLogisticMixture, parameters, LEVELS)


def test_equally_likely_levels_cost_eight_bits():
    """A logistic in the middle of a mixture over all levels; and a uniform density of x / 256."""
    nats = DiscretizedLogisticMixture(
        tf.zeros([256]), (LEVELS / 127.5 - 1.0).astype("float32"), tf.fill([256], 1e-4)
    ).log_prob(LEVELS.astype("float32"))
    np.testing.assert_allclose(nats, -np.log(256.0), rtol=1e-5)
    image = float(tf.reduce_sum(nats))
    assert evaluation.bits_per_dimension(image, (16, 16)) == pytest.approx(8.0, abs=1e-5)
    uniform = 0.0  # the log-density of x / 256 with uniform noise, if all of [0, 1) is as likely
    assert evaluation.bits_per_dimension(uniform, (16, 16), level=1 / 256) == 8.0


def test_dequantised_levels_cost_no_less_than_the_levels():
    """E_u[log p(x + u)] <= log P(x), with the density of which P is the mass (Theis et al.)."""
    logistic = stats.logistic(loc=127.5, scale=12.0)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2_000, 1))
    inner = LEVELS[1:-1]
    dequantised = logistic.logpdf(inner + noise).mean(0)
    exact = np.float64(DiscretizedLogistic(0.0, 12.0 / 127.5).log_prob(np.float32(inner)))
    excess = exact.sum() - dequantised.sum()
    bits = [evaluation.bits_per_dimension(v, (254,)) for v in (exact.sum(), dequantised.sum())]
    assert bits[0] < bits[1]
    assert excess == pytest.approx((bits[1] - bits[0]) * 254 * np.log(2.0))


@pytest.mark.parametrize("level", [0.0, -1.0, np.nan])
def test_bits_refuse_a_level_without_width(level):
    with pytest.raises(ValueError, match="`level` must be"):
        evaluation.bits_per_dimension(-10.0, (4,), level=level)
