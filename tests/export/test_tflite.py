"""A LiteRT file gives what the model gives, at any batch, or is not written."""

import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae import networks
from tfvae.errors import ArtifactError
from tfvae.export import conversion, lowering, parity, tflite
from tfvae.export.signatures import signatures

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed (tfvae[litert])")

exporting = sys.modules["tfvae.export.tflite"]
NAMES = ["encode", "decode", "reconstruct", "sample", "encode_sample"]


def runners(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    return {
        name: interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()
    }


def operations(path):
    """Returns the codes of a file's operations, and the names of those that are not built in."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.Model.GetRootAsModel(path.read_bytes(), 0)
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if not k.startswith("_")}
    return {names[c.BuiltinCode()] for c in codes}, [
        c.CustomCode() for c in codes if c.CustomCode()
    ]


def recurrent_vae():
    """A covariance matrix, counts and recurrent layers: LiteRT has none of their operations."""
    return tfvae.VAE(
        tfvae.Conditional(keras.layers.GRU(4), tfvae.Head("MultivariateNormalTriL", (2,))),
        tfvae.Conditional(
            keras.Sequential(
                [keras.layers.RepeatVector(3), keras.layers.GRU(4, return_sequences=True)]
            ),
            tfvae.Head("NegativeBinomial", (3, 2)),
        ),
        seed=0,
    )


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory):
    """A model and its file."""
    model, path = recurrent_vae(), tmp_path_factory.mktemp("lite") / "tiny.tflite"
    model.build((None, 3, 2))
    assert model.export(path, format="tflite", allow_untrained=True) == str(path)
    return model, path


@pytest.mark.parametrize("rows", [1, 7])
def test_every_signature_gives_what_the_model_gives(recurrent, rows):
    model, path = recurrent
    run, rng = runners(path), np.random.default_rng(0)
    assert sorted(run) == sorted(NAMES)
    x, z = rng.poisson(2.0, (rows, 3, 2)), np.float32(rng.normal(size=(rows, 2)))
    x, seed = np.float32(x), np.int32(rng.integers(-(2**31), 2**31, (rows, 2)))
    q, encoded = model.encode(x), run["encode"](x=x)
    sampled, posterior = run["sample"](seed=seed), run["encode_sample"](x=x, seed=seed)
    served, _ = signatures(model)
    for received, expected in [
        (encoded["mean"], q.mean()),
        (encoded["scale"], q.stddev()),
        (run["decode"](z=z)["mean"], model.decode(z).mean()),
        (run["reconstruct"](x=x)["mean"], model.reconstruct(x)),
        (sampled["mean"], model.decode(sampled["z"]).mean()),
        (sampled["z"], served["sample"].function(tf.constant(seed))["z"]),
        (posterior["z"], served["encode_sample"].function(tf.constant(x), tf.constant(seed))["z"]),
    ]:
        np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)
    x[0, 1, 1] = np.nan
    np.testing.assert_array_equal(run["encode"](x=x)["valid"], [False] + [True] * (rows - 1))


def test_all_operations_are_built_in(recurrent):
    built_in, custom = operations(recurrent[1])
    assert {"FULLY_CONNECTED", "BITWISE_XOR"} <= built_in
    assert "CUSTOM" not in built_in
    assert custom == []


def test_the_report_lies_beside_the_file(recurrent):
    _, path = recurrent
    report = json.loads(path.with_name("tiny.parity.json").read_text(encoding="utf-8"))
    assert report["bytes"] == path.stat().st_size
    assert sorted(report["signatures"]) == sorted(NAMES)
    assert set(report["lowered"]) == {"MatrixDiagPartV3", "MatrixSetDiagV3"}
    for entry in report["signatures"].values():
        assert 0 <= entry["rms_error"] <= entry["max_error"] < 1e-3
        assert set(entry["milliseconds"]) == {"1", "64"}


def test_the_recurrent_layers_are_as_they_were(recurrent):
    model, _ = recurrent
    assert not any(getattr(layer, "unroll", False) for layer in model._flatten_layers())


@pytest.mark.slow
@pytest.mark.parametrize("quantize", [None, "float16", "int8-dynamic", "int8-weight-only", "int8"])
def test_each_precision_is_within_its_tolerance_and_smaller(tmp_path, quantize):
    if quantize == "int8-weight-only":
        pytest.importorskip("ai_edge_quantizer")
    digits = tfvae.data.digits()
    model = tfvae.VAE(
        tfvae.Conditional(networks.convolutional([32, 64]), tfvae.Head("Normal", (8,))),
        tfvae.Conditional(
            networks.deconvolutional([64, 32], start=(2, 2, 64)),
            tfvae.Head("Bernoulli", (8, 8, 1)),
        ),
        seed=0,
    )
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(digits.x_train[:256], verbose=0)
    x, path = digits.x_test[:40], tmp_path / "digits.tflite"
    model.export(path, format="tflite", quantize=quantize, representative_data=x)
    run = runners(path)
    assert ("sample" in run) == (quantize != "int8")
    error = run["reconstruct"](x=x)["mean"] - model.reconstruct(x)
    limit = {None: 1e-5, "float16": 2e-3}.get(quantize, 0.05)
    assert np.abs(error).max() < limit
    weights = 4 * model.count_params()
    share = {None: 1.0, "float16": 0.5}.get(quantize, 0.25)
    # Some thousand operations, most of them of the noise, take about 150 kB at any precision.
    assert share * weights < path.stat().st_size < share * weights + 200_000


# ---- what is replaced ----------------------------------------------------------------------------


def test_lowered_operations_are_what_they_replace():
    rng, zero = np.random.default_rng(0), tf.constant(0)
    matrix, diagonal = np.float32(rng.normal(size=(3, 4, 4))), np.float32(rng.normal(size=(3, 4)))
    for received, expected in [
        (lowering._diag_part(matrix, zero, 0.0), tf.linalg.diag_part(matrix)),
        (lowering._diag(diagonal, zero, -1, -1, 0.0), tf.linalg.diag(diagonal)),
        (lowering._set_diag(matrix, diagonal, zero), tf.linalg.set_diag(matrix, diagonal)),
    ]:
        np.testing.assert_allclose(received, expected, atol=1e-6)


def test_lgamma_is_that_of_scipy():
    from scipy.special import gammaln

    x = np.concatenate([np.geomspace(1e-6, 1e6, 2000), np.linspace(0.5, 3.0, 500)])
    expected = gammaln(np.float64(np.float32(x)))

    def is_close(values):
        return np.allclose(values, expected, rtol=2e-6, atol=5e-6)

    assert is_close(lowering._lgamma(tf.constant(np.float32(x))))
    stirling = (x - 0.5) * np.log(x) - x + 0.5 * np.log(2 * np.pi)
    assert not is_close(stirling)  # mutant: the first term of the asymptotic series


# ---- what is refused -----------------------------------------------------------------------------


@pytest.fixture
def small(make_vae):
    model = make_vae()
    model.build((None, 6))
    return model


def test_bad_arguments_are_refused_before_anything_is_converted(small, tmp_path, monkeypatch):
    monkeypatch.setattr(conversion.subprocess, "run", None)
    path = tmp_path / "a.tflite"
    with pytest.raises(ValueError, match="`model` must be trained"):
        tflite(small, path)
    (tmp_path / "b.tflite").write_text("")
    for wrong, options, error, sentence in [
        (tmp_path / "a.lite", {}, ValueError, "`path` must end with '.tflite'"),
        (tmp_path / "b.tflite", {}, ArtifactError, "`path` must be a new file"),
        (path, {"quantize": "int4"}, ValueError, "`quantize` must be None or one of float16"),
        (path, {"quantize": "int8"}, ValueError, "`representative_data` must be given"),
    ]:
        with pytest.raises(error, match=sentence):
            tflite(small, wrong, allow_untrained=True, **options)
    assert [p.name for p in tmp_path.iterdir()] == ["b.tflite"]


def test_an_operation_that_does_not_convert_is_named():
    sentence = conversion._sentence(
        "ConverterError: <unknown>:0: error: loc(x): 'tf.Betainc' op is neither a custom op nor a "
        "flex op\nTF Select ops: Betainc, Erf\nDetails:"
    )
    assert "Received: a model with Betainc, Erf. Fix: use another layer or family" in sentence


@pytest.mark.slow
def test_draws_that_do_not_convert_are_left_out_and_others_are_refused(tmp_path, caplog):
    """LiteRT has no error function: neither its inverse in a draw, nor itself in the encoder."""
    model = tfvae.VAE(
        tfvae.Conditional(keras.layers.Dense(4), tfvae.Head("HalfNormal", (2,))),
        tfvae.Conditional(keras.layers.Dense(4), tfvae.Head("Normal", (6,))),
        prior=tfvae.Trainable("Exponential", (2,)),
    )
    model.build((None, 6))
    path = tflite(model, tmp_path / "t.tflite", allow_untrained=True)
    assert "leaves out encode_sample" in caplog.text
    assert "Erf" in caplog.text
    assert sorted(runners(path)) == ["decode", "encode", "reconstruct"]
    free = model.encoder.head._family.free
    free["scale"] = free["scale"]._replace(constrain=tfvae.families.tfb.NormalCDF())
    with pytest.raises(
        ValueError, match="built in. Received: a model with .*Erf.*Fix: use another"
    ):
        tflite(model, tmp_path / "u.tflite", allow_untrained=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.parity.json", "t.tflite"]


def test_a_file_that_gives_other_numbers_is_refused(recurrent):
    model, path = recurrent
    served, _ = signatures(model)
    served = {"decode": served["decode"]}
    content, rows = path.read_bytes(), {"z": np.ones((4, 2), "float32")}
    assert parity.parity(content, served, rows, None)["decode"]["rms_error"] < 1e-5

    def scaled(z):  # a mutant of the model, by one part in a thousand
        outputs = model.decode(z).mean()
        return {"mean": 1.001 * outputs, "valid": tf.ones(len(z), tf.bool)}

    def invalid(z):
        return {"mean": model.decode(z).mean(), "valid": tf.zeros(len(z), tf.bool)}

    for function, worst in [(scaled, "mean"), (invalid, "valid")]:
        mutant = {"decode": served["decode"]._replace(function=function)}
        with pytest.raises(ValueError, match=f"`decode` must give in LiteRT .*`{worst}`"):
            parity.parity(content, mutant, rows, None)
    assert parity.parity(
        content, {"decode": served["decode"]._replace(function=scaled)}, rows, "float16"
    )


def test_nothing_is_written_when_the_parity_fails(small, tmp_path, monkeypatch):
    def fails(*arguments):
        raise ValueError("`decode` must give in LiteRT what it gives in Keras.")

    monkeypatch.setattr(conversion.Conversion, "run", lambda self, served: b"")
    monkeypatch.setattr(exporting, "parity", fails)
    with pytest.raises(ValueError, match="`decode` must give"):
        tflite(small, tmp_path / "a.tflite", allow_untrained=True)
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_litert_is_told_what_to_install(small, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'tfvae\[litert\]'"):
        tflite(small, tmp_path / "a.tflite", allow_untrained=True)
