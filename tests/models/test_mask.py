"""Masks and exposures in models: what is missing counts for nothing, in all that a model does."""

import pathlib

import keras
import linear_gaussian as exact
import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae import Conditional, DataError, Head, evaluation, networks, recipes
from tfvae.serialization import serializable
from tfvae.testing.laws_of_artifacts import an_export_gives_the_same_numbers

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(40, 6)).astype("float32")
MASK = (RNG.random((40, 6)) < 0.7).astype("float32")
HOLES = np.where(MASK == 1, ROWS, np.nan).astype("float32")
COUNTS = RNG.poisson(4.0, (40, 6)).astype("float32")
EXPOSURE = RNG.uniform(0.5, 3.0, 40).astype("float32")


def vae(likelihood="Normal", objective=None, cls=tfvae.VAE):
    return cls(
        encoder=Conditional(networks.mlp([8]), Head("Normal", (2,))),
        decoder=Conditional(networks.mlp([8]), Head(likelihood, (6,))),
        objective=objective,
        seed=0,
    )


@pytest.fixture(scope="module")
def masked():
    """A model trained for an epoch on rows with NaN in their holes."""
    model = vae()
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    model.fit({"x": HOLES, "mask": MASK}, batch_size=16, verbose=0)
    return model


@pytest.fixture(scope="module")
def counts():
    model = vae("NegativeBinomialByMean")
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    model.fit({"x": COUNTS, "exposure": EXPOSURE}, batch_size=16, verbose=0)
    return model


def everything(model, inputs):
    """All numbers that a model gives about data, and what a training epoch makes of it."""
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
    copy.encode(inputs)
    copy.set_weights(model.get_weights())
    copy.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    evidence = evaluation.log_evidence(model, inputs, num_samples=5)
    history = copy.fit(inputs, batch_size=16, shuffle=False, verbose=0).history
    return [
        np.array(model.evaluate(inputs, verbose=0)),
        model.predict(inputs, verbose=0),
        model.embed(inputs),
        model.encode(inputs).stddev().numpy(),
        model.reconstruct(inputs).numpy(),
        evaluation.elbo(model, inputs),
        evidence.log_evidence,
        np.array(history["loss"]),
        *copy.get_weights(),
    ]


def missing_entries_say_nothing(model, numbers=everything):
    """Whatever stands in the holes, all numbers are finite and the same."""
    with_nan = numbers(model, {"x": HOLES, "mask": MASK})
    other = numbers(model, {"x": np.where(MASK == 1, ROWS, 9.0), "mask": MASK == 1})
    for a, b in zip(with_nan, other, strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_array_equal(a, b)


@serializable
class Peeking(tfvae.VAE):
    """Mutant: the likelihood sees all of x, holes filled with zeros."""

    def call(self, inputs, num_samples=None, training=None):
        draws = super().call(inputs, num_samples, training)
        x = tf.where(tf.math.is_nan(inputs["x"]), 0.0, tf.cast(inputs["x"], tf.float32))
        return draws._replace(log_likelihood=self.decoder(draws.z).log_prob(x))


def test_missing_entries_say_nothing(masked):
    missing_entries_say_nothing(masked)


def test_the_law_rejects_a_likelihood_without_mask():
    model = vae(cls=Peeking)
    with pytest.raises(AssertionError):
        missing_entries_say_nothing(model, lambda m, d: [evaluation.elbo(m, d)])


def test_the_encoder_knows_a_zero_from_a_hole(masked):
    zeros, ones = np.zeros((1, 6), "float32"), np.ones((1, 6), "float32")
    observed = masked.encode({"x": zeros, "mask": ones}).mean()
    missing = masked.encode({"x": zeros, "mask": zeros}).mean()
    assert np.abs(observed - missing).max() > 1e-3


def test_a_mask_of_ones_is_the_likelihood_without_mask(masked):
    draws = masked({"x": ROWS, "mask": np.ones_like(ROWS)})
    np.testing.assert_allclose(
        draws.log_likelihood, masked.decode(draws.z).log_prob(ROWS), rtol=1e-5
    )


def test_eager_graph_and_xla_agree(masked):
    inputs = {"x": tf.constant(HOLES), "mask": tf.constant(MASK)}
    z = masked.encode(inputs).mean()

    def log_likelihood(inputs):
        with masked.noise.stream("test", 0):
            draws = masked(inputs)
        return draws.log_likelihood - masked.decode(draws.z).log_prob(tf.zeros([40, 6]))

    assert z.shape == (40, 2)
    eager = log_likelihood(inputs)
    np.testing.assert_allclose(tf.function(log_likelihood)(inputs), eager, rtol=1e-4, atol=1e-4)
    assert np.isfinite(tf.function(log_likelihood, jit_compile=True)(inputs)).all()


@pytest.mark.parametrize("kind", ["dataset", "generator", "images"])
def test_masks_come_with_any_kind_of_data(kind):
    model, inputs = vae(), {"x": HOLES, "mask": MASK}
    if kind == "images":
        model = tfvae.VAE(
            Conditional(networks.convolutional([4]), Head("Normal", (2,))),
            Conditional(networks.mlp([8]), Head("Bernoulli", (4, 4, 1))),
            seed=0,
        )
        images = (RNG.random((40, 4, 4, 1)) < 0.5).astype("float32")
        missing = np.broadcast_to(np.arange(4)[:, None] < 2, images.shape[1:])[None, ...]
        mask = np.broadcast_to(missing, images.shape)
        inputs = {"x": np.where(mask, images, np.nan).astype("float32"), "mask": mask}
    dataset = tf.data.Dataset.from_tensor_slices(inputs).batch(16)
    data = {"dataset": dataset, "generator": (b for b in dataset), "images": inputs}[kind]
    model.compile("adam", jit_compile=False)
    steps = 3 if kind == "generator" else None
    history = model.fit(data, steps_per_epoch=steps, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert int(model.updates_skipped) == 0
    assert np.isfinite(model.predict(inputs, verbose=0)).all()


def test_saving_keeps_the_mask(masked, tmp_path):
    inputs = {"x": HOLES, "mask": MASK}
    masked.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.predict(inputs, verbose=0), masked.predict(inputs, verbose=0)
    )
    with pytest.raises(DataError, match="`mask` must be given"):
        loaded.encode(ROWS)


# ---- truth
# -------------------------------------------------------------------------------------------


def linear_gaussian(p, cls=tfvae.VAE):
    """The model of `p` with a broad posterior that does not look at x."""
    model = cls(
        Conditional(networks.mlp([2]), Head("Normal", (2,), shared={"scale": (2,)})),
        Conditional(keras.layers.Identity(), Head("Normal", (6,), fixed={"scale": p.sigma})),
        seed=0,
    )
    model.build({"x": (None, 6), "mask": (None, 6)})
    model.encoder.head.projection.set_weights([np.zeros((2, 2)), np.zeros(2)])
    model.decoder.head.projection.set_weights([p.w.T, p.b])
    return model


def evidence_is_that_of_the_observed_entries(cls):
    """It is log N(x_o | b_o, W_o W_o' + sigma**2 I), o being the observed entries of each row."""
    p = exact.random_parameters()._replace(sigma=1.5)
    model = linear_gaussian(p, cls)
    estimate = evaluation.log_evidence(model, {"x": HOLES, "mask": MASK}, num_samples=4_000)
    for row, mask, value, error in zip(
        ROWS, MASK == 1, estimate.log_evidence, estimate.standard_error, strict=True
    ):
        w = p.w[mask]
        covariance = w @ w.T + p.sigma**2 * np.eye(mask.sum())
        truth = exact.log_normal(np.float64(row[None, mask]), p.b[mask], covariance)[0]
        assert abs(value - truth) < 6 * error + 1e-3


def test_evidence_is_that_of_the_observed_entries():
    evidence_is_that_of_the_observed_entries(tfvae.VAE)
    with pytest.raises(AssertionError):
        evidence_is_that_of_the_observed_entries(Peeking)


# ---- exposure
# ----------------------------------------------------------------------------------------


def test_exposure_multiplies_the_reconstruction_and_leaves_the_code_alone(counts):
    once = counts.predict({"x": COUNTS, "exposure": EXPOSURE}, verbose=0)
    twice = counts.predict({"x": COUNTS, "exposure": 2 * EXPOSURE}, verbose=0)
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-5)
    np.testing.assert_array_equal(
        counts.embed({"x": COUNTS, "exposure": EXPOSURE}), counts.embed(COUNTS)
    )


def test_an_exposure_of_one_is_none(counts):
    inputs = {"x": COUNTS, "exposure": np.ones(40)}
    np.testing.assert_allclose(
        counts.evaluate(inputs, verbose=0), counts.evaluate(COUNTS, verbose=0), rtol=1e-6
    )


def test_exposure_explains_what_was_counted_longer():
    """Rates of 3 per unit over exposures of 1 to 20: a decoder that sees no latent finds them."""
    blind = keras.layers.Dense(
        1, kernel_initializer="zeros", bias_initializer="ones", trainable=False
    )
    exposure = RNG.uniform(1.0, 20.0, 200).astype("float32")
    x = RNG.poisson(3.0 * exposure[:, None], (200, 6)).astype("float32")
    model = tfvae.VAE(
        Conditional(networks.mlp([4]), Head("Normal", (1,))),
        Conditional(blind, Head("Poisson", (6,))),
        seed=0,
    )
    model.compile(keras.optimizers.Adam(0.05), jit_compile=False)
    model.fit({"x": x, "exposure": exposure}, batch_size=50, epochs=25, verbose=0)
    most_likely = x.sum(0) / exposure.sum()
    np.testing.assert_allclose(model.decode([[0.0]]).mean()[0], most_likely, rtol=0.05)


# ---- refusals
# ----------------------------------------------------------------------------------------

CALLS = {
    "fit": lambda m, d: m.fit(d, verbose=0),
    "evaluate": lambda m, d: m.evaluate(d, verbose=0),
    "predict": lambda m, d: m.predict(d, verbose=0),
    "encode": lambda m, d: m.encode(d),
    "embed": lambda m, d: m.embed(d),
    "log_evidence": lambda m, d: evaluation.log_evidence(m, d, num_samples=2),
}
HALF = np.where(np.arange(240).reshape(40, 6) == 8, 0.5, 1.0)
WRONG = {
    "no mask": ({"x": ROWS}, "`mask` must be given, as when the model was built.*Fix: pass"),
    "shape": ({"x": ROWS, "mask": MASK[:, :3]}, r"`mask` must have the shape of x.*\(40, 3\)"),
    "rank": ({"x": ROWS, "mask": MASK[:, 0]}, r"`mask` must have the shape of x.*\(40,\)"),
    "values": (
        {"x": ROWS, "mask": HALF},
        r"`mask` must be 1 .* mask\[1, 2\]=0.5, 1 of 240 .*Fix: ",
    ),
    "nan": ({"x": ROWS, "mask": HOLES}, r"`mask` must be 1 where x is observed"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_masks_are_refused_before_anything_happens(masked, call, wrong, state_of):
    inputs, sentence = WRONG[wrong]
    before = state_of(masked)
    with pytest.raises(DataError, match=sentence):
        CALLS[call](masked, inputs)
    for a, b in zip(before, state_of(masked), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("call", CALLS)
def test_a_model_without_mask_refuses_one(counts, call):
    with pytest.raises(DataError, match="`mask` must be left out, as when the model was built"):
        CALLS[call](counts, {"x": COUNTS, "mask": MASK})


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("exposure", "sentence"),
    [
        (-EXPOSURE, r"`exposure` must be positive and finite.*exposure\[0\]=-"),
        (EXPOSURE * np.inf, r"`exposure` must be positive and finite.*exposure\[0\]=inf"),
        (EXPOSURE[:, None], r"`exposure` must have shape \[B\].*\(40, 1\)"),
    ],
)
def test_wrong_exposures_are_refused(counts, call, exposure, sentence):
    with pytest.raises(DataError, match=sentence):
        CALLS[call](counts, {"x": COUNTS, "exposure": exposure})


@pytest.mark.parametrize(
    ("likelihood", "more", "sentence"),
    [
        ("MultivariateNormalTriL", {"mask": MASK}, "depend on each other.*Fix: use a family of"),
        ("Normal", {"exposure": EXPOSURE}, "`exposure` must be left out .* Fix: use Poisson"),
    ],
)
def test_a_likelihood_that_cannot_take_it_says_so_before_training(likelihood, more, sentence):
    model = vae(likelihood)
    model.compile("sgd", jit_compile=False)
    with pytest.raises(DataError, match=sentence) as error:
        model.fit({"x": ROWS, **more}, verbose=0)
    assert "\n" not in str(error.value)
    assert int(model.batches_seen) == 0
    model.fit(ROWS, verbose=0)  # nothing was lost
    with pytest.raises(DataError, match="must be left out"):
        model.evaluate({"x": ROWS, **more}, verbose=0)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: recipes.table_vae((2,), families=[0, 1]), "`families` must be a dictionary"),
        (lambda: recipes.table_vae((3,), families={"Normal": [0, 1]}), "`families` and `classes`"),
        (lambda: recipes.table_vae((2,), families={"Normal": [0, 2]}), "each of 0, ..., D - 1"),
        (lambda: recipes.table_vae((1,), families={}, classes={0: 1}), "an integer >= 2"),
        (lambda: recipes.table_vae((1,), families={"Norml": [0]}), "Did you mean 'Normal'"),
        (lambda: recipes.table_vae((1,), families={}), "`heads` must be a list"),
        (lambda: recipes.table_vae((1,), families={}, classes={"a": 3}), "must be an integer >= 0"),
        (lambda: recipes.sigma_vae((4,), latent_size=0), "`latent_size` must be"),
    ],
)
def test_recipes_refuse_nonsense(make, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        make()


# ---- NaN under the mask
# -------------------------------------------------------------------------------

STREAMS = {
    "dataset": lambda d: tf.data.Dataset.from_tensors(d),
    "generator": lambda d: (batch for batch in [d]),
    "PyDataset": lambda d: OneBatch(d),
}


class OneBatch(keras.utils.PyDataset):
    """A `PyDataset` of one batch."""

    def __init__(self, batch):
        super().__init__()
        self.batch = batch

    def __len__(self):
        return 1

    def __getitem__(self, i):
        return self.batch


WAYS_IN = CALLS | {
    "fit, validation": lambda m, d: m.fit(
        {"x": ROWS, "mask": np.ones_like(ROWS)}, validation_data=d, verbose=0
    ),
    "reconstruct": lambda m, d: m.reconstruct(d),
    "predict_on_batch": lambda m, d: m.predict_on_batch(d),
    "test_on_batch": lambda m, d: m.test_on_batch(d),
    "elbo": lambda m, d: evaluation.elbo(m, d),
    "active_units": lambda m, d: evaluation.active_units(m, d),
    "kl_by_dimension": lambda m, d: evaluation.kl_by_dimension(m, d),
    "aggregate_posterior": lambda m, d: evaluation.aggregate_posterior(m, d),
    **{
        f"{call}, {kind}": lambda m, d, call=call, make=make: CALLS[call](m, make(d))
        for call in ("fit", "evaluate", "predict")
        for kind, make in STREAMS.items()
    },
}


def holes_are_taken_where_they_are_masked(model, call):
    """And where one is not, its index is named."""
    call(model, {"x": HOLES, "mask": MASK})
    row, column = (int(i) for i in np.argwhere(MASK == 0)[3])
    mask = MASK.copy()
    mask[row, column] = 1.0
    with pytest.raises(DataError, match=rf"`x` must be finite.*x\[{row}, {column}\]=nan, 1 of 240"):
        call(model, {"x": HOLES, "mask": mask})


@pytest.fixture(scope="module")
def trainable(masked):
    """A copy that may be trained."""
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(masked))
    copy.encode({"x": HOLES, "mask": MASK})
    copy.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    return copy


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize("name", WAYS_IN)
def test_holes_are_taken_where_they_are_masked(trainable, name):
    holes_are_taken_where_they_are_masked(trainable, WAYS_IN[name])


def test_that_law_rejects_checks_without_the_mask(trainable, monkeypatch):
    check = tfvae.models.value_checks.check_values

    def blind(inputs, *arguments):
        check({"x": inputs["x"]}, *arguments)

    for module in ("vae", "unsupervised_model"):
        monkeypatch.setattr(f"tfvae.models.{module}.check_values", blind)
    for name in ("fit", "encode"):
        with pytest.raises(DataError):
            holes_are_taken_where_they_are_masked(trainable, WAYS_IN[name])


def test_the_law_of_exports_knows_masks(masked, tmp_path, monkeypatch):
    data = {"x": HOLES, "mask": MASK}
    an_export_gives_the_same_numbers(masked, data, str(tmp_path))
    monkeypatch.setattr(tfvae.VAE, "export", lambda self, path, **_: pathlib.Path(path).mkdir())
    with pytest.raises(AssertionError, match="is written"):
        an_export_gives_the_same_numbers(masked, data, str(tmp_path))


@pytest.mark.parametrize("format", ["saved_model", "tflite"])
def test_an_export_refuses_a_mask(masked, format, tmp_path):
    with pytest.raises(ValueError, match="`model` must take x and a condition alone.*with a mask"):
        masked.export(tmp_path / "m.tflite", format=format)
    assert not list(tmp_path.iterdir())


def test_a_vamp_prior_sees_its_pseudo_inputs_whole(tmp_path):
    """Its density is the mean of the posteriors at them, with a mask of ones."""
    model = recipes.vamp_vae(
        (6,), num_components=3, bounds=None, likelihood="Normal", latent_size=2, units=(8,), seed=0
    )
    inputs = {"x": HOLES, "mask": MASK}
    model.compile("sgd", jit_compile=False)
    model.fit(inputs, verbose=0)
    z = RNG.normal(size=(7, 1, 2)).astype("float32")
    seen = model.encode({"x": model.prior.pseudo_inputs, "mask": np.ones((3, 6))}).log_prob(z)
    expected = np.log(np.mean(np.exp(np.float64(seen)), axis=-1))
    np.testing.assert_allclose(model.prior(None).log_prob(z[:, 0]), expected, rtol=1e-4)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.evaluate(inputs, verbose=0), model.evaluate(inputs, verbose=0)
    )
