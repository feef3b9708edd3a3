"""What a fit says of itself."""

import re

import numpy as np
import pytest
import tensorflow_probability as tfp

from tfvae import vi
from tfvae.vi.result import Fit, _corrections

tfd = tfp.distributions
Z = np.random.default_rng(0).normal(size=(10_000, 2))  # draws of q, of sd 1


def reasons(log_weight):
    """Returns what importance weights say of q."""
    weight = np.exp(log_weight)
    return " ".join(_corrections({"z": Z, "fixed": np.ones(10_000)}, weight / weight.sum()))


@pytest.mark.parametrize(
    ("log_weight", "sentence"),
    [
        (0.5 * Z[:, 0], r"the mean of `z` is 0\.\d+ posterior sd off"),  # to N(0.5, 1)
        (-0.5 * (0.5**-2 - 1) * Z[:, 1] ** 2, r"the sd of `z` is [12]\.\d+ of the"),  # to N(0, 0.5)
    ],
)
def test_weights_that_move_q_are_a_reason(log_weight, sentence):
    assert re.search(sentence, reasons(log_weight))


def test_weights_that_move_it_little_are_none():
    assert reasons(np.zeros(10_000)) == ""
    assert reasons(0.1 * Z[:, 0]) == ""


def fit_of_sd(sd):
    """A fit, of that standard deviation, to a standard normal of which the data say nothing."""
    joint = tfd.JointDistributionNamed(
        {
            "z": tfd.MultivariateNormalDiag(np.zeros(2, "float32"), np.ones(2, "float32")),
            "y": lambda z: tfd.Independent(tfd.Normal(z, 1e4), 1),
        }
    )
    fit = vi.fit(joint, {"y": np.zeros(2, "float32")}, num_steps=1, verbose=0)
    fit.surrogate.unit.assign(np.full(2, sd, "float32"))
    fit.surrogate.log_scale.assign(np.zeros(2, "float32"))
    return Fit(fit.sampler, [], 1, 0, 1)


def test_a_narrow_fit_is_not_called_converged():
    """Its k-hat, 1 - sd**2 of the narrow one, is no reason alone."""
    assert fit_of_sd(1.0).converged
    narrow = fit_of_sd(0.7)
    assert narrow.pareto_k < 0.7
    assert not narrow.converged
    assert "`z`" in " ".join(narrow.reasons)
