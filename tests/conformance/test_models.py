"""Models: rows x laws, and mutants that the laws must reject."""

import functools

import keras
import pytest
import tensorflow as tf
from conformance import rows

import tfvae
from tfvae import networks, objectives
from tfvae.serialization import serializable
from tfvae.testing import check_vae, laws


@functools.lru_cache(maxsize=1)
def row_of(name):
    """A model trained for a few epochs, and its data; laws may train it on."""
    builder, data = rows.MODELS[name]
    model = builder()
    model.compile(keras.optimizers.Adam(1e-2))
    laws.training_lowers_the_loss(model, data)
    return model, data


def laws_of(name):
    """Laws that a row is held by; what it has of other rows is held there."""
    chosen = laws.LAWS if name in rows.HELD_BY_ALL else laws.MAIN_LAWS
    left_out = laws.COSTLY_LAWS if name in rows.COMPOSED else []
    return [law for law in chosen[1:] if law not in left_out]


@pytest.mark.parametrize(
    ("name", "law"),
    [
        pytest.param(name, law, id=f"{name}-{law.__name__}")
        for name in rows.MODELS
        for law in [*laws_of(name), *laws.FOLDER_LAWS]
    ],
)
def test_law_holds(name, law, tmp_path):
    if law in laws.FOLDER_LAWS:
        law(*row_of(name), str(tmp_path), train=name not in rows.COMPOSED)
    else:
        law(*row_of(name))


@pytest.mark.parametrize("law", laws.STEP_LAWS, ids=lambda law: law.__name__)
def test_law_of_single_steps_holds(law):
    """Dropout masks and running means are state, too."""
    builder, data = rows.MODELS["VAE(dropout and batch normalisation)"]
    model = builder()
    model.encode(data)
    law(laws.copy_of(model), data)


@pytest.mark.parametrize("name", rows.TRAINED)
def test_law_of_training_holds(name, tmp_path):
    """Where the objective is all that is new; one with weights of its own is also saved."""
    model = rows.TRAINED[name]()
    model.compile(keras.optimizers.Adam(1e-2))
    laws.training_lowers_the_loss(model, rows.IMAGES)
    laws.gradients_reach_every_weight_of_the_model(model, rows.IMAGES)
    if any(o.variables for o in model.objectives):
        laws.evaluating_changes_nothing(model, rows.IMAGES)
        laws.saving_restores_it_and_training_goes_on(model, rows.IMAGES, str(tmp_path))


def small(decoder=None, objective=None):
    """A VAE over 8 x 8 images to be spoiled."""
    return tfvae.VAE(
        encoder=tfvae.Conditional(networks.mlp([12]), tfvae.Head("Normal", (3,))),
        decoder=decoder
        or tfvae.Conditional(networks.mlp([12]), tfvae.Head("Bernoulli", (8, 8, 1))),
        objective=objective,
        seed=0,
    )


@serializable
class BatchShare(objectives.ELBO):
    """Mutant: maximises the evidence's bound upside down."""

    def loss(self, draws, step):
        return -super().loss(draws, step)


@serializable
class DeafDecoder(tfvae.StochasticLayer):
    """Mutant: a likelihood whose weights get no gradient."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.event_shape = (8, 8, 1)
        self.head = tfvae.Head("Bernoulli", (8, 8, 1))

    def build(self, shape, condition_shape=None):
        self.head.build(shape)
        self.built = True

    def call(self, z, condition=None):
        return self.head(tf.stop_gradient(z) * 0.0 + 1.0)


@serializable
class RandomDecoder(DeafDecoder):
    """Mutant: a likelihood with noise of its own."""

    def call(self, z, condition=None):
        return self.head(z + tf.random.normal(tf.shape(z)))


@serializable
class OverconfidentVAE(tfvae.VAE):
    """Mutant: the KL is charged half."""

    def call(self, inputs, num_samples=None, training=None):
        draws = super().call(inputs, num_samples, training)
        return draws._replace(
            log_prior=0.5 * draws.log_prior, log_posterior=0.5 * draws.log_posterior, posterior=None
        )


@serializable
class CountingVAE(tfvae.VAE):
    """Mutant: evaluation moves a weight."""

    def call(self, inputs, num_samples=None, training=None):
        self.batches_seen.assign_add(1)
        return super().call(inputs, num_samples, training)


def trained(model):
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(rows.IMAGES, batch_size=32, verbose=0)
    return model


def remade(cls):
    model = small()
    return cls(model.encoder, model.decoder, objective=model.objective, seed=0)


def test_training_rejects_an_objective_upside_down():
    model = small(objective=BatchShare())
    model.compile(keras.optimizers.Adam(1e-2))
    with pytest.raises(AssertionError):
        laws.training_lowers_the_loss(model, rows.IMAGES)


def test_gradients_reject_a_deaf_decoder():
    model = trained(small(decoder=DeafDecoder(), objective=objectives.ELBO(beta=0.0)))
    with pytest.raises(AssertionError):
        laws.gradients_reach_every_weight_of_the_model(model, rows.IMAGES)


def test_determinism_rejects_a_random_decoder():
    model = trained(small(decoder=RandomDecoder()))
    with pytest.raises(AssertionError):
        laws.predictions_are_never_random(model, rows.IMAGES)


def test_evaluation_rejects_a_model_that_counts():
    model = trained(remade(CountingVAE))
    with pytest.raises(AssertionError):
        laws.evaluating_changes_nothing(model, rows.IMAGES)


@keras.saving.register_keras_serializable("tests")
class BatchMean(keras.layers.Layer):
    """Mutant: a layer by which rows see each other."""

    def call(self, x):
        return x - tf.reduce_mean(x, axis=0)


@pytest.mark.slow
def test_check_vae_reports_by_name_and_leaves_the_model_alone(state_of, assert_same_bits):
    network = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(6), BatchMean()])
    model = tfvae.VAE(
        tfvae.Conditional(network, tfvae.Head("Normal", (3,))), small().decoder, seed=0
    )
    model.encode(rows.IMAGES)
    before = state_of(model)
    seen = "BatchMean subtracts the batch's mean"
    expected = {"rows_do_not_see_each_other": seen, "config_is_json": "no reason at all"}
    report = check_vae(model, rows.IMAGES, expected_failed_checks=expected)
    assert_same_bits(state_of(model), before)
    assert len(report) >= 40
    by_name = {check.name: check for check in report}
    assert by_name["rows_do_not_see_each_other"].status == "expected"
    assert by_name["config_is_json"].status == "UNEXPECTED"
    bent = {"batching_does_not_bend_the_metrics", "embeddings_are_posterior_means"}
    assert {check.name for check in report.failed} == bent | {"config_is_json"}, str(report)
    assert "rows_do_not_see_each_other" in str(report)
    with pytest.raises(laws.CheckFailed, match=f"3 of {len(report)} checks failed"):
        report.raise_failures()


@pytest.mark.slow
def test_check_vae_finds_nothing_wrong_with_a_recipe():
    """XLA, another process and export included."""
    report = check_vae(tfvae.recipes.vae((8, 8, 1), **rows.SMALL), rows.IMAGES, thorough=True)
    parts = laws.LAWS, laws.STEP_LAWS, laws.FOLDER_LAWS, laws.THOROUGH_LAWS
    assert len(report) == sum(map(len, parts))
    report.raise_failures()


def test_check_vae_says_once_why_a_model_cannot_be_copied():
    class Nameless(keras.layers.Flatten):
        """A layer that is not registered."""

    model = tfvae.VAE(
        tfvae.Conditional(Nameless(), tfvae.Head("Normal", (3,))), small().decoder, seed=0
    )
    report = check_vae(model, rows.IMAGES)
    assert len(report) >= 40
    (broken,) = [check for check in report if check.status == "FAILED"]
    assert broken.name == "config_restores_it"
    assert "no copy can be made: TypeError: Could not locate class 'Nameless'" in broken.message
    assert str(report).count("not run ") == len(report) - 1
    with pytest.raises(laws.CheckFailed) as caught:
        report.raise_failures()
    first, one, last = str(caught.value).splitlines()
    assert first == f"1 of {len(report)} checks failed."
    assert one.startswith("config_restores_it: no copy")
    assert last == f"{len(report) - 1} checks were not run."


def test_check_vae_refuses_what_it_cannot_check():
    with pytest.raises(TypeError, match="`model` must be a LatentVariableModel"):
        check_vae(keras.Sequential(), rows.IMAGES)
    with pytest.raises(ValueError, match="'config_is_jsn'. Did you mean 'config_is_json'"):
        check_vae(small(), rows.IMAGES, expected_failed_checks={"config_is_jsn": ""})
    with pytest.raises(tfvae.DataError, match="`data` must have 32 rows or more. Received: 9"):
        check_vae(small(), rows.IMAGES[:9])
