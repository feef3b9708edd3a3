"""Eight schools against the reference draws of posteriordb (Magnusson et al., arXiv:2407.04967)."""

import pathlib
import re
import runpy

import numpy as np
import pytest
import tensorflow_probability as tfp

from tfvae import vi

pytestmark = pytest.mark.slow
tfd = tfp.distributions
EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"

# Mean and standard deviation of 10,000 draws of long NUTS runs.
MU, TAU = (4.411, 3.309), (3.602, 3.198)
THETA = np.array(
    [
        (6.151, 5.616), (4.940, 4.645), (3.906, 5.280), (4.796, 4.771),
        (3.614, 4.614), (4.051, 4.796), (6.317, 5.003), (4.884, 5.317),
    ]
)  # fmt: skip


def compared(draws):
    """Errors of the means in sds, and the ratios of sds."""
    values = np.column_stack([draws["mu"], draws["tau"], draws["theta"]])
    mean, sd = np.concatenate([[MU, TAU], THETA]).T
    return np.abs(values.mean(0) - mean) / sd, values.std(0) / sd


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(EXAMPLES / "eight_schools.py"))


@pytest.mark.parametrize(
    ("surrogate", "error", "least", "most"),
    [("full_rank", 0.25, 0.7, 1.15), ("flow", 0.1, 0.85, 1.1)],
)
def test_non_centred_schools_are_found(example, surrogate, error, least, most):
    fit = vi.fit(
        example["schools"], {"y": example["EFFECTS"]}, surrogate=surrogate, seed=0, verbose=0
    )
    draws = fit.sample(20_000)
    draws["theta"] = draws["mu"][:, None] + draws["tau"][:, None] * draws["raw"]
    errors, ratios = compared(draws)
    assert errors.max() < error
    assert least < ratios.min()
    assert ratios.max() < most
    assert fit.pareto_k < 0.8  # 0.5 to 0.7, by chance


def test_centred_schools_are_too_much_for_a_gaussian_and_it_says_so(example):
    def model():
        mu = yield tfd.Normal(0.0, 5.0, name="mu")
        tau = yield tfd.HalfCauchy(0.0, 5.0, name="tau")
        theta = yield tfd.Sample(tfd.Normal(mu, tau), 8, name="theta")
        yield tfd.Normal(theta, example["ERRORS"], name="y")

    joint = tfd.JointDistributionCoroutineAutoBatched(model)
    fit = vi.fit(joint, {"y": example["EFFECTS"]}, surrogate="full_rank", seed=0, verbose=0)
    _, ratios = compared(fit.sample(20_000))
    assert ratios.min() < 0.7
    assert not fit.converged
    assert re.search("k-hat|importance weights", str(fit.reasons))
