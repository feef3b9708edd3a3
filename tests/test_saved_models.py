"""Committed models keep loading, and say what they said when they were made."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfvae import evaluation

FOLDERS = sorted((Path(__file__).parent.parent / "saved_models").glob("*/"))


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def folder(request):
    return request.param


@pytest.fixture
def golden(folder):
    with np.load(folder / "golden.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def test_the_keras_file_gives_its_golden_outputs(folder, golden):
    model = keras.saving.load_model(folder / "model.keras")
    posterior = model.encode(golden["x"])
    for name, value in {
        "mean": posterior.mean(),
        "scale": posterior.stddev(),
        "reconstruction": model.reconstruct(golden["x"]),
    }.items():
        np.testing.assert_allclose(value, golden[name], rtol=1e-5, atol=1e-5, err_msg=name)
    elbo = evaluation.elbo(model, golden["x"], num_samples=100)
    np.testing.assert_allclose(elbo, golden["elbo"], rtol=1e-4)


@pytest.mark.parametrize(
    "version", [v for f in FOLDERS for v in sorted(f.glob("[0-9]*/"))], ids=lambda v: v.name
)
def test_the_saved_model_gives_its_golden_outputs(version):
    with np.load(version.parent / "golden.npz", allow_pickle=False) as arrays:
        golden = dict(arrays)
    loaded = tf.saved_model.load(version)
    x = tf.constant(golden["x"])
    encoded = loaded.signatures["serving_default"](x=x)
    np.testing.assert_allclose(encoded["mean"], golden["mean"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(encoded["scale"], golden["scale"], rtol=1e-5, atol=1e-5)
    mean = loaded.signatures["reconstruct"](x=x)["mean"]
    np.testing.assert_allclose(mean, golden["reconstruction"], rtol=1e-5, atol=1e-5)


def test_there_is_a_card(folder):
    card = (folder / "README.md").read_text(encoding="utf-8")
    for heading in ("Data", "Command", "Seed", "Versions", "Metrics", "Use and limits"):
        assert f"**{heading}**" in card
