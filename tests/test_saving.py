"""A saved model is the model: its outputs and its further training, bit for bit."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import new_process
import numpy as np
import pytest

import tfvae
from tfvae import networks, schedules
from tfvae.errors import ArtifactError
from tfvae.objectives import ELBO, Objective
from tfvae.random import seeded_initializers


def plain():
    return tfvae.recipes.vae((6,), latent_size=2, units=(8,), seed=3)


def scheduled():
    """Conditional: schedules, several draws, a learned prior, a weight shared by all pixels."""
    with seeded_initializers(0):
        return tfvae.VAE(
            tfvae.Conditional(networks.residual(8, 1), tfvae.Head("MultivariateNormalTriL", (2,))),
            tfvae.Conditional(networks.mlp([8]), tfvae.Head("Normal", (6,), shared={"scale": ()})),
            prior=tfvae.Trainable("Normal", (2,), initial={"scale": 2.0}),
            objective=[ELBO(beta=schedules.Linear(0.0, 1.0, steps=6), num_samples=3)],
            seed=0,
        )


def convolutional():
    with seeded_initializers(0):
        return tfvae.VAE(
            tfvae.Conditional(networks.convolutional([2], units=4), tfvae.Head("Normal", (2,))),
            tfvae.Conditional(
                networks.deconvolutional([2], start=(2, 2, 2)), tfvae.Head("Bernoulli", (4, 4, 1))
            ),
            seed=0,
        )


def noisy():
    """A functional network with all kinds of state: running means, dropout, a frozen layer."""
    with seeded_initializers(0):
        inputs = keras.Input((6,))
        hidden = keras.layers.Dense(8, trainable=False)(inputs)
        hidden = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(hidden))
        network = keras.Model(inputs, keras.layers.Concatenate()([inputs, hidden]))
        return tfvae.VAE(
            tfvae.Conditional(network, tfvae.Head("Normal", (2,))),
            tfvae.Conditional(keras.layers.Dense(8), tfvae.Head("Bernoulli", (6,))),
            seed=0,
        )


def sharing():
    """One network for encoder and decoder, in half precision, in which a layer is used twice."""
    with seeded_initializers(0):
        inputs = keras.Input((6,))
        layer = keras.layers.Dense(6, "tanh", dtype="mixed_float16")
        network = keras.Model(inputs, layer(layer(inputs)))
        return tfvae.VAE(
            tfvae.Conditional(network, tfvae.Head("Normal", (6,))),
            tfvae.Conditional(network, tfvae.Head("Bernoulli", (6,))),
            seed=0,
        )


MODELS = {make.__name__: make for make in (plain, scheduled, convolutional, noisy, sharing)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("saved")


@pytest.fixture(scope="module")
def saved(x, condition, folder):
    """By name: inputs, the state when the model was saved, what it said then, how it went on."""
    made = {}
    for name, make in MODELS.items():
        model = make()
        inputs = {"x": np.resize(x, (20, *model.event_shape))}
        if name == "scheduled":
            inputs["condition"] = condition[:20]
        model.compile("adam" if name == "plain" else keras.optimizers.SGD(0.001, momentum=0.9))
        at_save = new_process.trained(model, inputs)[1:]
        model.save(folder / f"{name}.keras")
        np.savez(folder / f"{name}.npz", **inputs)
        said = new_process.outputs(model, inputs)
        made[name] = inputs, at_save, said, new_process.trained(model, inputs, epochs=2)
    return made


@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_model_gives_the_same_bits(saved, folder, name, assert_same_bits):
    inputs, at_save, said, _ = saved[name]
    model = keras.saving.load_model(folder / f"{name}.keras")
    assert_same_bits(new_process.state(model), at_save)
    assert_same_bits(new_process.outputs(model, inputs), said)


@pytest.mark.slow
def test_a_new_process_goes_on_with_the_same_bits(
    saved, folder, tmp_path, assert_same_bits, subtests
):
    """Optimizer state, schedules, noise and dropout masks included."""
    subprocess.run(
        [sys.executable, new_process.__file__, folder, tmp_path],
        env=os.environ | {"PYTHONPATH": str(Path(tfvae.__file__).parents[1])},
        check=True,
    )

    def arrays(name):
        with np.load(tmp_path / f"{name}.npz") as file:
            return [file[f"arr_{i}"] for i in range(len(file.files))]

    for name, (_, _, said, went_on) in saved.items():
        with subtests.test(name):
            assert_same_bits(arrays(name), said + went_on)
    with subtests.test("a model made there, of the same seed"):
        fresh = new_process.trained(new_process.fresh_vae(), saved["plain"][0])
        assert_same_bits(arrays("fresh"), fresh)


def test_shared_layers_stay_shared(saved, folder):
    model = keras.saving.load_model(folder / "sharing.keras")
    assert model.encoder.network is model.decoder.network
    assert len(model.trainable_weights) == 2 + 2 * 2  # the layer, and two heads


def test_frozen_layers_stay_frozen(saved, folder):
    model = keras.saving.load_model(folder / "noisy.keras")
    frozen = [v.path for v in model.encoder.network.weights if not v.trainable]
    assert [path.split("/")[-1] for path in frozen] == [
        "kernel",
        "bias",
        "moving_mean",
        "moving_variance",
    ]


def test_precision_is_kept(saved, folder):
    model = keras.saving.load_model(folder / "sharing.keras")
    assert model.encoder.network.layers[-1].compute_dtype == "float16"
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)


def test_a_file_holds_no_code(saved, folder):
    with zipfile.ZipFile(folder / "noisy.keras") as file:
        assert sorted(file.namelist()) == ["config.json", "metadata.json", "model.weights.h5"]
        assert "lambda" not in file.read("config.json").decode()


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
def test_a_model_is_saved_before_it_is_compiled_or_built(x, tmp_path, assert_same_bits):
    model = plain()
    model.save(tmp_path / "unbuilt.keras")
    loaded = keras.saving.load_model(tmp_path / "unbuilt.keras")
    assert not loaded.built
    assert loaded.get_config() == model.get_config()
    mean = model.encode(x).mean()
    model.save(tmp_path / "uncompiled.keras")
    loaded = keras.saving.load_model(tmp_path / "uncompiled.keras")
    np.testing.assert_array_equal(loaded.encode(x).mean(), mean)


def test_weights_alone_are_saved_and_loaded(saved, folder, x, tmp_path, assert_same_bits):
    model = keras.saving.load_model(folder / "noisy.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    other = noisy()
    other.encode(x)
    other.load_weights(tmp_path / "model.weights.h5")
    assert_same_bits([v.numpy() for v in other.weights], [v.numpy() for v in model.weights])


# ---- what could not be loaded is not saved -------------------------------------------------------


class Unregistered(keras.layers.Dense):
    """A user's layer."""


class UnregisteredObjective(Objective):
    """A user's objective."""

    def loss(self, draws, step):
        return -draws.elbo


class UnregisteredOptimizer(keras.optimizers.SGD):
    """A user's optimizer."""


def unregistered_activation(x):
    return x


def unregistered_rate(step):
    return 0.1


class InScript(keras.layers.Dense):
    """A user's layer, from a file that is run and not imported."""

    __module__ = "__main__"


def with_network(network):
    return tfvae.VAE(
        tfvae.Conditional(network, tfvae.Head("Normal", (2,))),
        tfvae.Conditional(networks.mlp([8]), tfvae.Head("Bernoulli", (6,))),
        seed=0,
    )


def with_optimizer(optimizer):
    model = plain()
    model.compile(optimizer)
    return model


def with_schedule(beta):
    return tfvae.recipes.vae((6,), objective=ELBO(beta=beta), seed=0)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: with_network(Unregistered(8)), "Unregistered"),
        (lambda: with_network(keras.Sequential([Unregistered(8)])), "Unregistered"),
        (lambda: with_network(InScript(8)), "__main__.InScript"),
        (
            lambda: with_network(keras.layers.Dense(8, activation=unregistered_activation)),
            "unregistered_activation",
        ),
        (lambda: with_network(keras.layers.Dense(8, activation=lambda x: x)), "lambda"),
        (
            lambda: tfvae.recipes.vae((6,), objective=[ELBO(), UnregisteredObjective()], seed=0),
            "UnregisteredObjective",
        ),
        (lambda: with_optimizer(UnregisteredOptimizer(0.1)), "UnregisteredOptimizer"),
        (lambda: with_schedule(unregistered_rate), "unregistered_rate"),
        (lambda: with_schedule(lambda step: 0.1), "lambda"),
    ],
)
@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_what_a_new_process_would_not_find_is_refused_by_name(x, tmp_path, make, name):
    model = make()
    model.encode(x)
    with pytest.raises(
        ValueError, match=rf"{name}.*@keras.saving.register_keras_serializable\('mine'\)"
    ):
        model.save(tmp_path / "model.keras")
    assert list(tmp_path.iterdir()) == []


def test_registered_layers_are_saved(x, tmp_path):
    @keras.saving.register_keras_serializable("mine")
    class Registered(keras.layers.Dense):
        pass

    model = with_network(Registered(8))
    mean = model.encode(x).mean()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.encoder.network, Registered)
    np.testing.assert_array_equal(loaded.encode(x).mean(), mean)


def twice_in_a_row():
    layer = keras.layers.Dense(6)
    return with_network(keras.Sequential([layer, layer]))


def in_two_networks():
    shared, inputs = keras.layers.Dense(6), [keras.Input((6,)), keras.Input((6,))]
    first, second = (keras.Model(i, keras.layers.Dense(6)(shared(i))) for i in inputs)
    return tfvae.VAE(
        tfvae.Conditional(first, tfvae.Head("Normal", (6,))),
        tfvae.Conditional(second, tfvae.Head("Bernoulli", (6,))),
    )


class Forgetful(keras.layers.Layer):
    """A layer whose config leaves out what it was made with."""

    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return self.factor * inputs

    def get_config(self):
        return {"name": self.name}


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (twice_in_a_row, "other outputs"),
        (in_two_networks, "is not connected"),
        (lambda: with_network(Forgetful(2.0)), "other outputs"),
    ],
)
def test_a_file_that_would_load_as_another_model_is_not_written(x, tmp_path, make, reason):
    """Keras saves each of them without complaint."""
    model = make()
    model.encode(x)
    with (
        keras.saving.custom_object_scope({"Forgetful": Forgetful}),
        pytest.raises(ValueError, match=f"`save` must write a file that loads as.*{reason}"),
    ):
        model.save(tmp_path / "model.keras")
    assert list(tmp_path.iterdir()) == []


def test_lambda_layers_are_refused_at_construction():
    with pytest.raises(ValueError, match="`network` must not hold a Lambda layer.*'squash'"):
        with_network(keras.Sequential([keras.layers.Lambda(lambda x: x, name="squash")]))


# ---- the file is written whole or not at all -----------------------------------------------------


@pytest.mark.parametrize("failing", ["replace", "fsync"])
def test_a_failed_save_leaves_the_earlier_file(x, tmp_path, monkeypatch, failing):
    path = tmp_path / "model.keras"
    model = plain()
    model.encode(x)
    model.save(path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(ArtifactError, match="`filepath` must be writable.*No space left"):
        model.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.keras"]


def test_an_interrupted_save_leaves_the_earlier_file(x, tmp_path, monkeypatch):
    path = tmp_path / "model.keras"
    model = plain()
    model.encode(x)
    model.save(path)
    before = path.read_bytes()

    def interrupt(self, store):
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.layers.Dense, "save_own_variables", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.keras"]


def test_the_file_is_synced_before_it_takes_its_name(x, tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        function = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, f=function: (calls.append(n), f(*a))[1])
    model = plain()
    model.encode(x)
    model.save(tmp_path / "model.keras")
    assert calls == ["fsync", "replace"]


def test_paths_that_cannot_be_files_are_refused(saved, folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="`filepath` must be writable"):
        keras.saving.load_model(folder / "plain.keras").save(tmp_path / "file" / "model.keras")
    with pytest.raises(ValueError, match=r"`filepath` must end with '.keras'.*model.h5"):
        plain().save(tmp_path / "model.h5")
    assert os.listdir(tmp_path) == ["file"]


def test_an_earlier_file_is_replaced_unless_asked_not_to(x, tmp_path):
    path, model = tmp_path / "new" / "model.keras", plain()
    model.encode(x)
    model.save(path)
    before = path.read_bytes()
    model.batches_seen.assign(7)
    with pytest.raises(ArtifactError, match="`filepath` must not exist with overwrite=False"):
        model.save(path, overwrite=False)
    assert path.read_bytes() == before
    model.save(str(path))
    assert path.read_bytes() != before
