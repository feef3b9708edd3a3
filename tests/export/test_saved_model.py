"""An exported version gives what the Keras model gives, to programs that know TensorFlow alone."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae.errors import ArtifactError

OUTPUTS = {
    "serving_default": ("x", ["mean", "scale", "valid"]),
    "encode": ("x", ["mean", "scale", "valid"]),
    "decode": ("z", ["mean", "valid"]),
    "reconstruct": ("x", ["mean", "valid"]),
}


def trained_vae(make_vae, inputs):
    model = make_vae()
    model.compile(keras.optimizers.SGD(0.1))
    model.fit(inputs, verbose=0)
    return model


@pytest.fixture(scope="module")
def model(make_vae, x):
    return trained_vae(make_vae, x)


@pytest.fixture(scope="module")
def base(model, tmp_path_factory):
    """A base directory with one version."""
    path = tmp_path_factory.mktemp("exported")
    assert model.export(path) == str(path / "1")
    return path


@pytest.fixture(scope="module")
def loaded(base):
    return tf.saved_model.load(str(base / "1"))


@pytest.fixture(scope="module")
def conditional(make_vae, x, condition, tmp_path_factory):
    """A conditional model and its version."""
    model = trained_vae(make_vae, {"x": x, "condition": condition})
    return model, tf.saved_model.load(model.export(tmp_path_factory.mktemp("conditional")))


def shapes(loaded, name):
    return {k: s.shape.as_list() for k, s in arguments(loaded, name).items()}


def arguments(loaded, name):
    return loaded.signatures[name].structured_input_signature[1]


def test_signatures_have_names_and_a_dynamic_batch(loaded):
    assert set(loaded.signatures) == set(OUTPUTS)
    for name, (argument, outputs) in OUTPUTS.items():
        assert shapes(loaded, name) == {argument: [None, 6 if argument == "x" else 2]}
        assert arguments(loaded, name)[argument].dtype == tf.float32
        specs = loaded.signatures[name].structured_outputs
        assert sorted(specs) == outputs
        assert all(spec.shape[0] is None for spec in specs.values())
        assert specs["valid"].dtype == tf.bool


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_outputs_are_those_of_the_model(model, loaded, x, rows):
    x, z = (
        tf.constant(x[:rows]),
        tf.constant(np.random.default_rng(0).normal(size=(rows, 2)), "float32"),
    )
    signatures, q = loaded.signatures, model.encode(x)
    for name in ("encode", "serving_default"):
        encoded = signatures[name](x=x)
        np.testing.assert_allclose(encoded["mean"], q.mean(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(encoded["scale"], q.stddev(), rtol=1e-5)
    for outputs, expected in [
        (signatures["decode"](z=z), model.decode(z).mean()),
        (signatures["reconstruct"](x=x), model.reconstruct(x)),
    ]:
        np.testing.assert_allclose(outputs["mean"], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(outputs["valid"], np.ones(rows, bool))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", OUTPUTS)
def test_a_row_that_is_not_finite_is_invalid_and_alone(loaded, x, name, bad):
    argument = OUTPUTS[name][0]
    clean = x[:4] if argument == "x" else np.ones((4, 2), "float32")
    rows = np.array(clean)
    rows[2, 1] = bad
    outputs = loaded.signatures[name](**{argument: tf.constant(rows)})
    expected = loaded.signatures[name](**{argument: tf.constant(clean)})
    np.testing.assert_array_equal(outputs["valid"], [True, True, False, True])
    for key in outputs.keys() - {"valid"}:
        np.testing.assert_array_equal(np.delete(outputs[key], 2, 0), np.delete(expected[key], 2, 0))
        assert np.isfinite(outputs[key]).all()


def test_conditional_signatures_take_the_condition(conditional, x, condition):
    model, loaded = conditional
    for name, (argument, outputs) in OUTPUTS.items():
        size = 6 if argument == "x" else 2
        assert shapes(loaded, name) == {argument: [None, size], "condition": [None, 3]}
        assert sorted(loaded.signatures[name].structured_outputs) == outputs
    given = {"x": tf.constant(x), "condition": tf.constant(condition)}
    z = np.zeros((len(x), 2), "float32")
    for name, inputs, expected in [
        ("encode", given, model.encode(given).mean()),
        ("reconstruct", given, model.reconstruct(given)),
        ("decode", {**given, "z": tf.constant(z)}, model.decode(z, condition).mean()),
    ]:
        inputs = {key: inputs[key] for key in arguments(loaded, name)}
        outputs = loaded.signatures[name](**inputs)
        np.testing.assert_allclose(outputs["mean"], expected, rtol=1e-5, atol=1e-6)
    rows = np.array(condition)
    rows[5, 0] = np.nan
    valid = loaded.signatures["encode"](x=given["x"], condition=tf.constant(rows))["valid"]
    assert np.flatnonzero(~valid.numpy()).tolist() == [5]


def test_images_and_full_covariances_are_exported(x, tmp_path):
    images = np.resize(x, (8, 4, 4, 1))
    model = tfvae.VAE(
        tfvae.Conditional(
            tfvae.networks.convolutional([2]), tfvae.Head("MultivariateNormalTriL", (2,))
        ),
        tfvae.Conditional(
            tfvae.networks.deconvolutional([2], start=(2, 2, 2)),
            tfvae.Head("Normal", (4, 4, 1), shared={"scale": ()}),
        ),
    )
    q = model.encode(images)
    loaded = tf.saved_model.load(model.export(tmp_path, allow_untrained=True))
    assert shapes(loaded, "reconstruct") == {"x": [None, 4, 4, 1]}
    outputs = loaded.signatures["encode"](x=tf.constant(images))
    np.testing.assert_allclose(
        outputs["scale"], np.sqrt(np.diagonal(q.covariance(), axis1=1, axis2=2)), rtol=1e-5
    )
    means = loaded.signatures["reconstruct"](x=tf.constant(images))["mean"]
    np.testing.assert_allclose(means, model.reconstruct(images), rtol=1e-5, atol=1e-6)


def test_a_process_that_knows_tensorflow_alone_serves_it(model, base, x, tmp_path):
    script = """
import sys
sys.modules.update(dict.fromkeys(["keras", "tf_keras", "tensorflow_probability", "tfvae"]))
import numpy as np
import tensorflow as tf

folder, x, out = sys.argv[1:]
loaded = tf.saved_model.load(folder)
np.save(out, loaded.signatures["reconstruct"](x=tf.constant(np.load(x)))["mean"])
"""
    np.save(tmp_path / "x.npy", x)
    paths = [base / "1", tmp_path / "x.npy", tmp_path / "out.npy"]
    subprocess.run([sys.executable, "-c", script, *paths], check=True)
    np.testing.assert_allclose(
        np.load(tmp_path / "out.npy"), model.reconstruct(x), rtol=1e-5, atol=1e-6
    )


# ---- versions ------------------------------------------------------------------------------------


def test_versions_count_up_and_stay(make_vae, x, tmp_path):
    model = make_vae()
    model.encode(x)

    def contents(folder):
        return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    first = tmp_path / "new" / "1"
    assert tfvae.export.saved_model(model, first.parent, allow_untrained=True) == str(first)
    before = contents(first)
    assert {str(p) for p in before} >= {"saved_model.pb", "variables/variables.index"}
    model.encoder.head.projection.bias.assign([3.0, 3.0, 0.0, 0.0])
    assert model.export(first.parent, allow_untrained=True).endswith("2")
    assert contents(first) == before
    (first.parent / "9").mkdir()
    (first.parent / "notes").mkdir()
    assert model.export(str(first.parent), allow_untrained=True).endswith("10")
    assert sorted(os.listdir(first.parent)) == ["1", "10", "2", "9", "notes"]
    means = [
        tf.saved_model.load(str(first.parent / v)).signatures["encode"](x=tf.constant(x))["mean"]
        for v in ("1", "2")
    ]
    assert not np.allclose(*means)


def test_a_version_that_appears_meanwhile_is_not_overwritten(model, tmp_path, monkeypatch):
    rename = os.rename

    def rename_late(source, target):
        monkeypatch.setattr(os, "rename", rename)
        os.makedirs(os.path.join(target, "of somebody else"))
        rename(source, target)

    monkeypatch.setattr(os, "rename", rename_late)
    assert model.export(tmp_path) == str(tmp_path / "2")
    assert os.listdir(tmp_path / "1") == ["of somebody else"]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(28, "No space left on device"), ArtifactError),
        (tf.errors.ResourceExhaustedError(None, None, "disk"), ArtifactError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failure_leaves_nothing_behind(model, tmp_path, monkeypatch, error, raised):
    seen = []

    def write_half(self, path, **arguments):
        os.makedirs(path)
        (open(os.path.join(path, "saved_model.pb"), "w")).close()
        seen.extend(os.listdir(tmp_path))
        raise error

    monkeypatch.setattr(type(keras.export.ExportArchive()), "write_out", write_half)
    with pytest.raises(raised):
        model.export(tmp_path)
    assert len(seen) == 1
    assert not seen[0].isdigit()  # what a server that polls would have seen
    assert os.listdir(tmp_path) == []


def test_a_path_that_is_a_file_is_refused(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="`path` must be a writable directory"):
        model.export(tmp_path / "file")


# ---- what is refused -----------------------------------------------------------------------------


def test_untrained_models_are_refused_unless_allowed(make_vae, x, tmp_path):
    model = make_vae()
    with pytest.raises(ValueError, match="`model` must be .*allow_untrained=True"):
        model.export(tmp_path)
    with pytest.raises(ValueError, match="`model` must be "):
        model.export(tmp_path, allow_untrained=True)  # it does not know the shape of its data
    model.encode(x)
    with pytest.raises(ValueError, match="`model` must be trained"):
        model.export(tmp_path)
    assert os.listdir(tmp_path) == []
    assert model.export(tmp_path, allow_untrained=True)


def test_unknown_formats_are_refused(model, tmp_path):
    with pytest.raises(
        ValueError, match="`format` must be one of saved_model.*Did you mean 'saved"
    ):
        model.export(tmp_path, format="savedmodel")


@pytest.mark.parametrize(
    ("posterior", "likelihood", "sentence"),
    [
        ("Cauchy", "Bernoulli", "`encoder` must give .* the mean is known.*Cauchy"),
        ("Normal", "LogitNormal", "`decoder` must give .* the mean is known.*LogitNormal"),
    ],
)
def test_families_without_the_moments_are_refused(x, tmp_path, posterior, likelihood, sentence):
    model = tfvae.VAE(
        tfvae.Conditional(keras.layers.Dense(4), tfvae.Head(posterior, (2,))),
        tfvae.Conditional(keras.layers.Dense(4), tfvae.Head(likelihood, (6,))),
    )
    model.encode(x)
    with pytest.raises(ValueError, match=sentence):
        model.export(tmp_path, allow_untrained=True)
    assert os.listdir(tmp_path) == []


def test_exporting_does_not_disturb_training(make_vae, x, state_of, assert_same_bits, tmp_path):
    models = [trained_vae(make_vae, x[:16]) for _ in range(2)]
    models[0].export(tmp_path)
    for model in models:
        model.fit(x, verbose=0, shuffle=False)
    assert_same_bits(state_of(models[0]), state_of(models[1]))
