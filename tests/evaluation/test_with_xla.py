"""Where a likelihood is evaluated at many draws, XLA compiles the loop over them."""

import linear_gaussian as exact
import numpy as np
import pytest

from tfvae import evaluation
from tfvae.models import automatic


@pytest.mark.slow
def test_many_draws_are_compiled_and_the_evidence_is_exact(monkeypatch):
    monkeypatch.setattr(automatic, "REPAID_AFTER", 1)
    p = exact.random_parameters()
    vae = exact.model(6, 2)
    exact.set_parameters(vae, p)
    x = np.random.default_rng(0).normal(size=(20, 6)).astype("float32")
    with_xla = evaluation.log_evidence(vae, x, num_samples=2_050)
    assert [key for _, key in vae.graphs] == [True]
    few = evaluation.log_evidence(vae, x, num_samples=40)
    assert {key for _, key in vae.graphs} == {True, False}
    for estimate, size in ((with_xla, 5), (few, 5)):
        error = np.abs(estimate.log_evidence - exact.log_evidence(p, x))
        assert np.median(error / estimate.standard_error) < size
    assert np.median(with_xla.standard_error) < np.median(few.standard_error)
