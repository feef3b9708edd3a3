"""Evidence that rests on a handful of draws is called so."""

import logging

import linear_gaussian as exact
import numpy as np

from tfvae import evaluation


def warnings_of(caplog, posterior_scale, num_samples):
    """Returns the estimates under a posterior of that width, and what the log says of them."""
    p = exact.random_parameters()
    a, c, _ = exact.exact_posterior(p)
    p = p._replace(a=a, c=c, s=posterior_scale * p.s)
    vae = exact.model(6, 2)
    exact.set_parameters(vae, p)
    x = np.random.default_rng(0).normal(size=(30, 6)).astype("float32")
    caplog.clear()
    with caplog.at_level(logging.WARNING, "tfvae"):
        estimates = evaluation.log_evidence(vae, x, num_samples)
    return estimates, [r.getMessage() for r in caplog.records if "effective" in r.getMessage()]


def test_rows_with_few_effective_draws_are_counted(caplog):
    estimates, messages = warnings_of(caplog, 8.0, 200)
    few = int((estimates.effective_sample_size < 10).sum())
    assert 0 < few <= 30
    assert len(messages) == 1
    assert f"of {few} of 30 rows" in messages[0]
    assert "num_samples=200" in messages[0]


def test_a_good_posterior_and_a_few_draws_need_no_warning(caplog):
    assert warnings_of(caplog, 1.0, 200)[1] == []
    assert warnings_of(caplog, 8.0, 20)[1] == []  # nobody expects ten of twenty
