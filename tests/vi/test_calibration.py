"""Calibration by simulation, and chains, against a posterior that is known."""

import joints
import numpy as np
import pytest
import tensorflow_probability as tfp
from scipy import stats

from tfvae import DataError, vi
from tfvae.vi.fitting import Fitter
from tfvae.vi.many import ManyFits

tfd = tfp.distributions


def normal_joint():
    """Model mu ~ N(0, 3), and three draws of N(mu, 0.5)."""

    def model():
        mu = yield tfd.Normal(0.0, 3.0, name="mu")
        yield tfd.Sample(tfd.Normal(mu, 0.5), 3, name="y")

    return tfd.JointDistributionCoroutineAutoBatched(model)


def posterior(width=1.0, shift=0.0):
    """Draws from the exact posterior, made wider or moved by shares of its sd."""
    variance = 1.0 / (1.0 / 9.0 + 3.0 / 0.25)

    def infer(data, seed):
        noise = np.random.default_rng(seed).normal(size=99)
        mean = variance * np.sum(data["y"], dtype="float64") / 0.25
        return {"mu": mean + variance**0.5 * (shift + width * noise)}

    return infer


def p_value(infer):
    result = vi.calibrate(
        normal_joint(), ["y"], num_simulations=400, infer=infer, seed=0, verbose=0
    )
    assert result.ranks["mu"].shape == (400,)
    return result.p_values["mu"]


def test_the_exact_posterior_passes():
    assert p_value(posterior()) > 1e-3


@pytest.mark.parametrize(
    "fault",
    [
        {"width": 0.6},
        pytest.param({"width": 1.7}, marks=pytest.mark.slow),
        pytest.param({"shift": 0.5}, marks=pytest.mark.slow),
    ],
)
def test_a_posterior_that_is_narrow_wide_or_biased_is_flagged(fault):
    assert p_value(posterior(**fault)) < 1e-6


def test_the_p_value_is_that_of_the_chi_square_test():
    result = vi.calibrate(
        normal_joint(), ["y"], num_simulations=60, infer=posterior(), seed=1, verbose=0
    )
    counts = np.histogram(result.ranks["mu"], np.arange(0, 101, 5))[0]
    np.testing.assert_allclose(result.p_values["mu"], stats.chisquare(counts).pvalue, rtol=1e-9)
    figure = result.plot()
    assert "mu" in figure.axes[0].get_title()
    heights = [bar.get_height() for bar in figure.axes[0].containers[0]]
    np.testing.assert_array_equal(heights, counts)


def test_names_that_do_not_fit_are_refused():
    with pytest.raises(TypeError, match="list of names"):
        vi.calibrate(normal_joint(), "y", verbose=0)
    with pytest.raises(DataError, match="must name nodes"):
        vi.calibrate(normal_joint(), ["x"], verbose=0)


def assert_side_by_side(order):
    """Each data set's own closed form, of fits that are made together."""
    data = [{"y": np.float32(3.0 * np.random.default_rng(i).normal(size=3))} for i in range(3)]
    fitter = Fitter(normal_joint(), data[0], seed=0)
    many = ManyFits(fitter, len(data))
    many.run(data, 2_000, seed=0)
    variance = 1.0 / (1.0 / 9.0 + 3.0 / 0.25)
    for i, other in enumerate(order):
        many.load(i)
        q = fitter.sampler.inference.surrogate(None)
        exact = variance * np.sum(data[other]["y"], dtype="float64") / 0.25
        np.testing.assert_allclose(q.mean(), [exact], atol=0.01)
        np.testing.assert_allclose(q.stddev(), [variance**0.5], rtol=0.01)


def test_fits_side_by_side_are_each_the_exact_posterior():
    assert_side_by_side([0, 1, 2])


@pytest.mark.slow
def test_fits_that_change_places_are_rejected():
    with pytest.raises(AssertionError):
        assert_side_by_side([1, 0, 2])


@pytest.mark.slow
def test_fits_of_an_exact_family_pass():
    result = vi.calibrate(normal_joint(), ["y"], num_simulations=60, seed=0, verbose=0)
    assert result.p_values["mu"] > 1e-3


@pytest.mark.slow
def test_chains_started_from_a_fit_have_the_exact_moments():
    truth = joints.regression()
    fit = vi.fit(truth.joint, truth.data, surrogate="full_rank", seed=0, verbose=0)
    chains = vi.nuts(fit, 400, num_chains=4, num_burnin=100)
    draws = chains.draws["beta"]
    assert draws.shape == (4, 400, 3)
    assert (chains.r_hat["beta"] < 1.05).all()
    assert chains.divergences == 0.0
    # NUTS in whitened coordinates is nearly independent: 1600 draws give 0.03 sd.
    mean = draws.mean((0, 1))
    np.testing.assert_array_less(np.abs(mean - truth.mean["beta"]) / truth.sd["beta"], 0.2)
    np.testing.assert_allclose(draws.std((0, 1)), truth.sd["beta"], rtol=0.15)
