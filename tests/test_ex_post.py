"""A prior fitted to the codes of a trained model."""

import keras
import numpy as np
import pytest

import tfvae
from tfvae import evaluation, flows
from tfvae.random import seeded_initializers


def model_with_clustered_codes(**more):
    """A model whose codes lie in two far clusters, where N(0, I) has none of its mass."""
    with seeded_initializers(0):
        model = tfvae.VAE(
            tfvae.Conditional(
                keras.layers.Identity(), tfvae.Head("Normal", (2,), fixed={"scale": 0.2})
            ),
            tfvae.Conditional(
                keras.layers.Identity(), tfvae.Head("Normal", (4,), fixed={"scale": 0.5})
            ),
            seed=0,
        )
    model.build({"x": (None, 4), **more})
    model.encoder.head.projection.set_weights([np.eye(8 if more else 4, 2), np.zeros(2)])
    model.decoder.head.projection.set_weights([np.eye(2, 4), np.zeros(4)])
    return model


SIGNS = np.random.default_rng(0).choice([-3.0, 3.0], (256, 1))
X = (SIGNS * [1, 1, 0, 0] + 0.3 * np.random.default_rng(1).normal(size=(256, 4))).astype("float32")


def raises_the_evidence(model, prior, nats):
    before = [w.numpy() for w in model.weights]
    fitted = tfvae.fit_prior(model, X, prior, epochs=100, batch_size=64, learning_rate=0.05)
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert fitted.encoder is model.encoder
    assert fitted.decoder is model.decoder
    first, then = (
        evaluation.log_evidence(m, X, num_samples=200).log_evidence.mean() for m in (model, fitted)
    )
    assert then > first + nats
    return fitted


def test_a_mixture_raises_the_evidence_of_clustered_codes(tmp_path):
    model = model_with_clustered_codes()
    with seeded_initializers(0):
        prior = tfvae.Mixture("Normal", (2,), num_components=2)
    fitted = raises_the_evidence(model, prior, nats=5.0)
    means = np.sort(fitted.prior(None).components_distribution.mean().numpy()[:, 0])
    np.testing.assert_allclose(means, [-3.0, 3.0], atol=0.3)
    # The marginal of the codes is known: two Gaussians, with the data's variance and the encoder's.
    scales = fitted.prior(None).components_distribution.stddev().numpy()
    np.testing.assert_allclose(scales, np.sqrt(0.3**2 + 0.2**2), atol=0.12)
    fitted.save(tmp_path / "fitted.keras")
    loaded = keras.saving.load_model(tmp_path / "fitted.keras")
    np.testing.assert_array_equal(loaded.generate(3, seed=0), fitted.generate(3, seed=0))


def test_a_flow_raises_it_too_and_the_seed_decides_all():
    results = []
    for _ in range(2):
        with seeded_initializers(0):
            flow = flows.RealNVP((2,), num_layers=2, units=(16,))
            prior = tfvae.Transformed(tfvae.StandardNormal((2,)), flow)
        fitted = raises_the_evidence(model_with_clustered_codes(), prior, nats=2.0)
        results.append([w.numpy() for w in fitted.prior.trainable_variables])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_vamp_prior_moves_its_pseudo_inputs_alone():
    model = model_with_clustered_codes()
    prior = tfvae.VampPrior(model.encoder, (4,), num_components=2, bounds=None)
    prior.start_from(X)
    before, encoder = prior.pseudo_inputs.numpy(), [w.numpy() for w in model.encoder.weights]
    tfvae.fit_prior(model, X, prior, epochs=1, batch_size=64)
    assert np.any(prior.pseudo_inputs != before)
    for weight, value in zip(model.encoder.weights, encoder, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"prior": tfvae.StandardNormal((2,))}, ValueError, "`prior` must have weights to fit"),
        ({"prior": tfvae.Trainable("Normal", (3,))}, ValueError, "`prior` must have the encoder's"),
        ({"epochs": 0}, ValueError, "`epochs` must be an integer >= 1"),
        ({"learning_rate": 0.0}, ValueError, "`learning_rate` must be > 0"),
        ({"x": np.zeros((0, 4))}, tfvae.DataError, "at least one row"),
        ({"model": "vae"}, TypeError, "`model` must be a `tfvae.VAE`"),
    ],
)
def test_nonsense_is_refused(arguments, error, sentence):
    good = {
        "model": model_with_clustered_codes(),
        "x": X,
        "prior": tfvae.Trainable("Normal", (2,)),
    }
    with pytest.raises(error, match=sentence):
        tfvae.fit_prior(**good | arguments)


def test_missing_entries_and_weights_are_heeded():
    """A Gaussian prior finds the mean of the codes of rows that count."""
    model, mask = (
        model_with_clustered_codes(mask=(None, 4)),
        np.tile([1.0, 1.0, 1.0, 0.0], (256, 1)),
    )
    inputs = {"x": np.where(mask == 1, X, np.nan), "mask": mask}
    weights = np.float32(SIGNS[:, 0] < 0)

    def mean(**more):
        prior = tfvae.Trainable("Normal", (2,))
        options = {"epochs": 60, "batch_size": 64, "learning_rate": 0.05}
        tfvae.fit_prior(model, inputs | more, prior, **options)
        return prior(None).mean().numpy()

    np.testing.assert_allclose(mean(sample_weight=weights), [-3.0, -3.0], atol=0.2)
    np.testing.assert_allclose(mean(), X[:, :2].mean(axis=0), atol=0.4)
    with pytest.raises(tfvae.DataError, match=r"x\[0, 3\]=nan"):
        mean(mask=np.ones_like(mask))
