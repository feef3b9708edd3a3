"""Rows in batches: one graph, and no more of a sparse matrix made dense than a batch."""

import numpy as np
import pytest
import scipy.sparse

import tfvae
from tfvae import evaluation
from tfvae.models import value_checks

COUNTS = np.random.default_rng(0).poisson(1.0, (20, 6)).astype("float32")


@pytest.fixture(scope="module")
def model():
    """A VAE of counts."""
    return tfvae.recipes.vae((6,), latent_size=2, units=(4,), likelihood="Poisson", seed=0)


def test_rows_are_embedded_by_one_graph_however_many_they_are(model):
    expected = np.asarray(model.encode(COUNTS).mean())
    for number in (20, 17, 20, 9):
        found = model.embed(COUNTS[:number], batch_size=8)
        np.testing.assert_allclose(found, expected[:number], rtol=1e-5, atol=1e-6)
    assert model.graphs.get("embed", None).experimental_get_tracing_count() == 1


def largest_part(call, monkeypatch):
    """Returns what a call returns, and most rows of a sparse matrix that it made dense at once."""
    rows, dense = [0], scipy.sparse.csr_matrix.toarray

    def counted(self, *args, **kwargs):
        rows.append(self.shape[0])
        return dense(self, *args, **kwargs)

    monkeypatch.setattr(value_checks, "CHUNK", 8 * 6)
    monkeypatch.setattr(scipy.sparse.csr_matrix, "toarray", counted)
    return call(scipy.sparse.csr_matrix(COUNTS)), max(rows)


def test_sparse_rows_are_made_dense_by_batches(model, monkeypatch):
    found, rows = largest_part(lambda x: model.embed(x, batch_size=8), monkeypatch)
    np.testing.assert_array_equal(found, model.embed(COUNTS, batch_size=8))
    assert rows == 8


def test_evaluation_takes_sparse_rows(model):
    sparse = scipy.sparse.coo_matrix(COUNTS)
    np.testing.assert_array_equal(evaluation.elbo(model, sparse), evaluation.elbo(model, COUNTS))


def test_a_matrix_made_dense_whole_is_found_out(model, monkeypatch):
    _, rows = largest_part(lambda x: model.embed(x.toarray()), monkeypatch)
    assert rows == 20
