"""What a fit says of itself."""

import re

import numpy as np
import pytest
import tensorflow_probability as tfp

from tfvae import vi
from tfvae.vi.result import _corrections

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


def test_a_narrow_mean_field_is_not_called_converged():
    """Its sd is sqrt(1 - rho**2) of the posterior's, 0.78; its k-hat, rho, is no reason alone."""
    rho = 0.63
    joint = tfd.JointDistributionNamed(
        {
            "z": tfd.MultivariateNormalTriL(
                np.zeros(2, "float32"),
                np.float32([[1.0, 0.0], [rho, np.sqrt(1.0 - rho**2)]]),
            ),
            "y": lambda z: tfd.Independent(tfd.Normal(z, 100.0), 1),
        }
    )
    fits = {
        name: vi.fit(joint, {"y": np.zeros(2, "float32")}, surrogate=name, verbose=0)
        for name in ("mean_field", "full_rank")
    }
    assert fits["full_rank"].converged
    assert fits["mean_field"].pareto_k < 0.7
    assert not fits["mean_field"].converged
    assert "`z`" in " ".join(fits["mean_field"].reasons)
