"""An exported version gives what the Keras model gives, to programs that know TensorFlow alone."""

import os
import subprocess
import sys

import keras
import linear_gaussian
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from export.conftest import NUM_SAMPLES, ask
from tensorflow.core.protobuf import saved_model_pb2

import tfvae
from tfvae.distributions import center
from tfvae.export.graph_check import check_graph, served_nodes
from tfvae.export.signatures import signatures

OUTPUTS = {
    "serving_default": (["x"], ["mean", "scale", "valid"]),
    "encode": (["x"], ["mean", "scale", "valid"]),
    "decode": (["z"], ["mean", "valid"]),
    "reconstruct": (["x"], ["mean", "valid"]),
    "sample": (["seed"], ["mean", "z"]),
    "encode_sample": (["seed", "x"], ["valid", "z"]),
    "elbo": (["seed", "x"], ["elbo", "valid"]),
    "log_evidence": (["seed", "x"], ["log_evidence", "valid"]),
}
SHAPES = {"x": [None, 6], "z": [None, 2], "seed": [None, 2], "condition": [None, 3]}


def arguments(loaded, name):
    return loaded.signatures[name].structured_input_signature[1]


def shapes(loaded, name):
    return {k: s.shape.as_list() for k, s in arguments(loaded, name).items()}


def seeds(rows):
    return np.stack([np.zeros(rows), np.arange(rows)], axis=1).astype("int32")


def test_signatures_have_names_and_a_dynamic_batch(loaded):
    assert set(loaded.signatures) == set(OUTPUTS)
    for name, (inputs, outputs) in OUTPUTS.items():
        assert shapes(loaded, name) == {key: SHAPES[key] for key in inputs}
        for key, spec in arguments(loaded, name).items():
            assert spec.dtype == (tf.int32 if key == "seed" else tf.float32)
        specs = loaded.signatures[name].structured_outputs
        assert sorted(specs) == outputs
        assert all(spec.shape[0] is None for spec in specs.values())
        assert all((spec.dtype == tf.bool) == (key == "valid") for key, spec in specs.items())


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_outputs_are_those_of_the_model(model, loaded, requests, rows):
    inputs = {name: {k: v[:rows] for k, v in i.items()} for name, i in requests.items()}
    outputs = {name: ask(loaded, name, i) for name, i in inputs.items()}
    x, z = inputs["encode"]["x"], inputs["decode"]["z"]
    q = model.encode(x)
    for name in ("encode", "serving_default"):
        np.testing.assert_allclose(outputs[name]["mean"], q.mean(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(outputs[name]["scale"], q.stddev(), rtol=1e-5)
    for name, expected in [
        ("decode", model.decode(z).mean()),
        ("reconstruct", model.reconstruct(x)),
        ("sample", model.decode(outputs["sample"]["z"]).mean()),
    ]:
        np.testing.assert_allclose(outputs[name]["mean"], expected, rtol=1e-5, atol=1e-6)
    for value in outputs.values():
        if "valid" in value:
            np.testing.assert_array_equal(value["valid"], np.ones(rows, bool))
        assert all(len(v) == rows for v in value.values())


def is_standard_normal(values):
    return scipy.stats.kstest(np.ravel(values), scipy.stats.norm.cdf).pvalue > 1e-4


def test_what_is_drawn_has_the_law_of_prior_and_posterior(model, loaded, requests):
    z = ask(loaded, "sample", {"seed": seeds(3000)})["z"]
    assert is_standard_normal(z)
    x = np.resize(requests["encode"]["x"], (3000, 6))
    q = model.encode(x)
    z = ask(loaded, "encode_sample", {"x": x, "seed": seeds(3000)})["z"]
    assert is_standard_normal((z - q.mean()) / q.stddev())
    assert not is_standard_normal((z - q.mean()) / (1.1 * q.stddev()))  # mutant


def test_elbo_and_evidence_are_those_known_in_closed_form(truth, loaded):
    rng = np.random.default_rng(2)
    z = rng.normal(size=(400, 2))
    x = np.float32(z @ truth.w.T + truth.b + truth.sigma * rng.normal(size=(400, 6)))

    def agrees(values, expected):
        error = np.float64(values) - expected
        return abs(error.mean()) < 5 * error.std() / 20 + 2e-3 and error.std() < 0.5

    for name in ("elbo", "log_evidence"):
        values = ask(loaded, name, {"x": x, "seed": seeds(400)})[name].numpy()
        expected = getattr(linear_gaussian, name)(truth, x)
        assert agrees(values, expected)
        other = linear_gaussian.log_evidence if name == "elbo" else linear_gaussian.elbo
        assert not agrees(values, other(truth, x))  # mutant: the one in place of the other
        assert not agrees(values + np.log(NUM_SAMPLES), expected)  # mutant: a sum for a mean


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_row_depends_on_its_own_inputs_alone(loaded, requests, answers, name):
    def is_alone(function):
        together = function(requests[name])
        for rows in ([4, 1], [2]):
            alone = function({k: v[rows] for k, v in requests[name].items()})
            if not all(np.allclose(alone[k], together[k][rows], atol=1e-5) for k in alone):
                return False
        return True

    def numpy(inputs):
        return {k: v.numpy() for k, v in ask(loaded, name, inputs).items()}

    def mixed(inputs):  # mutant: the rows of a batch are mixed, as one seed for all would do it
        return {k: v + v[:1] if v.dtype != bool else v for k, v in numpy(inputs).items()}

    assert is_alone(numpy)
    assert not is_alone(mixed)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [name for name, (_, out) in OUTPUTS.items() if "valid" in out])
def test_a_row_that_is_not_finite_is_invalid_and_alone(loaded, requests, answers, name, bad):
    inputs = {k: v.copy() for k, v in requests[name].items()}
    inputs["z" if name == "decode" else "x"][2, 1] = bad
    outputs, expected = ask(loaded, name, inputs), answers[name]
    np.testing.assert_array_equal(outputs["valid"], [True, True, False, True, True])
    for key in outputs.keys() - {"valid"}:
        np.testing.assert_allclose(
            np.delete(outputs[key], 2, 0), np.delete(expected[key], 2, 0), rtol=1e-6, atol=1e-6
        )
        assert np.isfinite(outputs[key]).all()


def test_conditional_signatures_take_the_condition(
    make_vae, x, condition, state_of, assert_same_bits, tmp_path
):
    model, twin = make_vae(), make_vae()
    for m in (model, twin):
        m.compile(keras.optimizers.SGD(0.1))
        m.fit({"x": x[:16], "condition": condition[:16]}, verbose=0)
    loaded = tf.saved_model.load(model.export(tmp_path))
    for name, (inputs, outputs) in OUTPUTS.items():
        assert shapes(loaded, name) == {key: SHAPES[key] for key in [*inputs, "condition"]}
        assert sorted(loaded.signatures[name].structured_outputs) == outputs
    given = {"x": x, "condition": condition, "z": np.zeros((len(x), 2), "float32")}
    given["seed"] = seeds(len(x))
    outputs = {
        name: ask(loaded, name, {key: given[key] for key in arguments(loaded, name)})
        for name in OUTPUTS
    }
    inputs, z = {"x": x, "condition": condition}, outputs["sample"]["z"]
    for name, expected in [
        ("encode", model.encode(inputs).mean()),
        ("reconstruct", model.reconstruct(inputs)),
        ("decode", model.decode(given["z"], condition).mean()),
        ("sample", model.decode(z, condition).mean()),
    ]:
        np.testing.assert_allclose(outputs[name]["mean"], expected, rtol=1e-5, atol=1e-6)
    evidence = tfvae.evaluation.log_evidence(model, inputs, 1000).log_evidence
    difference = outputs["log_evidence"]["log_evidence"] - evidence
    assert abs(np.mean(difference)) < 5 * np.std(difference) / np.sqrt(len(x)) + 0.1
    rows = np.array(condition)
    rows[5, 0] = np.nan
    valid = ask(loaded, "encode", {"x": x, "condition": rows})["valid"]
    assert np.flatnonzero(~valid.numpy()).tolist() == [5]
    for m in (model, twin):  # exporting does not disturb training
        m.fit(inputs, verbose=0, shuffle=False)
    assert_same_bits(state_of(model), state_of(twin))


@pytest.mark.slow
def test_images_in_bytes_and_a_prior_without_a_rule(x, tmp_path, caplog):
    """Bytes are served in place of x; what the generator cannot draw is left out, with a reason."""
    model = tfvae.VAE(
        tfvae.Conditional(
            tfvae.networks.convolutional([2]), tfvae.Head("MultivariateNormalTriL", (2,))
        ),
        tfvae.Conditional(
            tfvae.networks.deconvolutional([2], start=(2, 2, 2)),
            tfvae.Head("Normal", (4, 4, 1), shared={"scale": ()}),
        ),
        prior=tfvae.Trainable("VonMises", (2,)),
    )
    model.build((None, 4, 4, 1))
    bytes_to_x = keras.Sequential(
        [keras.Input((4, 4, 1), dtype="uint8"), keras.layers.Rescaling(1 / 255)]
    )
    path = model.export(tmp_path, allow_untrained=True, preprocessing=bytes_to_x, num_samples=2)
    assert "leaves out sample" in caplog.text
    loaded = tf.saved_model.load(path)
    assert set(loaded.signatures) == set(OUTPUTS) - {"sample"}
    assert arguments(loaded, "encode")["x"].dtype == tf.uint8
    assert shapes(loaded, "reconstruct") == {"x": [None, 4, 4, 1]}
    raw = np.arange(32, dtype="uint8").reshape(2, 4, 4, 1)
    outputs, q = ask(loaded, "encode", {"x": raw}), model.encode(raw / 255.0)
    np.testing.assert_allclose(outputs["mean"], q.mean(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        outputs["scale"], np.sqrt(np.diagonal(q.covariance(), axis1=1, axis2=2)), rtol=1e-5
    )
    means = ask(loaded, "reconstruct", {"x": raw})["mean"]
    np.testing.assert_allclose(means, model.reconstruct(raw / 255.0), rtol=1e-5, atol=1e-6)
    for layer, sentence in [
        (keras.layers.Flatten(), "must give float32 examples of shape"),
        (lambda x: x, "must be a Keras layer"),
    ]:
        with pytest.raises((ValueError, TypeError), match=f"`preprocessing` {sentence}"):
            model.export(tmp_path, allow_untrained=True, preprocessing=layer)
    assert os.listdir(tmp_path) == ["1"]


# ---- the graph -----------------------------------------------------------------------------------


@pytest.fixture
def saved(base):
    message = saved_model_pb2.SavedModel()
    message.ParseFromString((base / "1" / "saved_model.pb").read_bytes())
    return message


def test_the_graph_knows_nothing_of_where_it_was_made(base, saved):
    content = (base / "1" / "saved_model.pb").read_bytes()
    for word in (os.path.expanduser("~/"), os.getcwd(), str(base), sys.prefix, ".py"):
        assert word.encode() not in content
    used = {node.op for node in served_nodes(saved)}
    assert {"MatMul", "BitwiseXor", "EnsureShape"} <= used
    assert not {op for op in used if "Random" in op or "PyFunc" in op or "Assign" in op}


@pytest.mark.parametrize(
    "op", ["StatelessRandomNormalV2", "EagerPyFunc", "ReadFile", "Multinomial"]
)
def test_a_graph_with_noise_or_python_is_refused(saved, tmp_path, op):
    functions = saved.meta_graphs[0].graph_def.library.function
    served = next(f for f in functions if "traced" not in f.signature.name)
    served.node_def.add(name="new", op=op)
    (tmp_path / "saved_model.pb").write_bytes(saved.SerializeToString())
    with pytest.raises(ValueError, match=f"`model` must serve a function of its inputs.*{op}"):
        check_graph(tmp_path)


def test_a_process_that_knows_tensorflow_alone_serves_it(base, requests, answers, tmp_path):
    script = """
import sys
sys.modules.update(dict.fromkeys(["keras", "tf_keras", "tensorflow_probability", "tfvae"]))
import numpy as np
import tensorflow as tf

folder, x, out = sys.argv[1:]
loaded = tf.saved_model.load(folder)
np.save(out, loaded.signatures["reconstruct"](x=tf.constant(np.load(x)))["mean"])
"""
    np.save(tmp_path / "x.npy", requests["reconstruct"]["x"])
    paths = [base / "1", tmp_path / "x.npy", tmp_path / "out.npy"]
    subprocess.run([sys.executable, "-c", script, *paths], check=True)
    expected = answers["reconstruct"]["mean"]
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, rtol=1e-5, atol=1e-6)


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


def test_unknown_formats_are_refused(model, tmp_path):
    with pytest.raises(
        ValueError, match="`format` must be one of saved_model, tflite.*Did you mean 'saved"
    ):
        model.export(tmp_path, format="savedmodel")


@pytest.mark.parametrize("recipe", ["gumbel_vae", "iaf_vae", "hyperspherical_vae"])
def test_a_posterior_without_standard_deviation_is_encoded_by_its_center(recipe, x, tmp_path):
    sizes = {} if recipe == "gumbel_vae" else {"latent_size": 4}
    model = getattr(tfvae.recipes, recipe)((6,), units=(8,), seed=0, **sizes)
    model.reconstruct(x)
    functions = signatures(model)[0]
    assert {"encode", "decode", "reconstruct", "sample", "encode_sample", "elbo"} <= set(functions)
    encoded = functions["encode"].function(tf.constant(x))
    assert set(encoded) == {"mean", "valid"}
    mean = encoded["mean"]
    np.testing.assert_array_equal(mean, center(model.encode(x)))
    np.testing.assert_allclose(
        functions["decode"].function(mean)["mean"], model.reconstruct(x), rtol=1e-5
    )


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
