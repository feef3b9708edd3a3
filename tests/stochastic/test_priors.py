"""Mixtures, VampPrior, fixed and conditional priors, against known densities."""

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

import tfvae
from tfvae import networks
from tfvae.layers.inference_mode import in_inference_mode
from tfvae.random import seeded_initializers
from tfvae.serialization import serializable
from tfvae.stochastic import vamp_prior

tfd = tfp.distributions

Z = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")


def test_mixture_density_is_that_of_scipy():
    layer = tfvae.Mixture("Normal", (3,), num_components=4)
    d = layer(None)
    layer.logits.assign([0.3, -1.0, 2.0, 0.0])
    d = layer(None)
    parts = d.components_distribution.distribution
    weights = scipy.special.log_softmax([0.3, -1.0, 2.0, 0.0])
    by_part = [
        scipy.stats.norm(np.float64(m), np.float64(s)).logpdf(Z).sum(-1)
        for m, s in zip(parts.loc.numpy(), parts.scale.numpy(), strict=True)
    ]
    expected = scipy.special.logsumexp(np.stack(by_part, -1) + weights, axis=-1)
    np.testing.assert_allclose(d.log_prob(Z), expected, rtol=1e-5)
    unweighted = scipy.special.logsumexp(np.stack(by_part, -1), axis=-1) - np.log(4)
    assert np.abs(unweighted - expected).max() > 0.1  # a mutant that forgets the weights


def test_components_differ_from_the_start():
    """Equal components would get equal gradients for ever."""
    layer = tfvae.Mixture("MultivariateNormalTriL", (3,), num_components=3)
    means = layer(None).components_distribution.mean().numpy()
    assert np.ptp(means, axis=0).min() > 0.01


def test_a_mixture_far_away_has_a_finite_density():
    layer = tfvae.Mixture("Normal", (3,), num_components=3, fixed={"scale": 1e-3})
    with tf.GradientTape() as tape:
        log_prob = layer(None).log_prob(100.0 + Z)
    assert np.isfinite(log_prob).all()
    assert all(np.isfinite(g).all() for g in tape.gradient(log_prob, layer.trainable_variables))


def vamp(network=None, **arguments):
    with seeded_initializers(0):
        encoder = tfvae.Conditional(network or networks.mlp([8]), tfvae.Head("Normal", (3,)))
        return tfvae.VampPrior(encoder, (6,), num_components=5, **arguments)


def test_vamp_prior_is_the_mean_of_the_posteriors_at_its_pseudo_inputs():
    prior = vamp()
    prior(None)
    posteriors = [prior.encoder(u[None]).log_prob(Z).numpy() for u in prior.pseudo_inputs]
    expected = scipy.special.logsumexp(np.float64(posteriors), axis=0) - np.log(5)
    np.testing.assert_allclose(prior(None).log_prob(Z), expected, rtol=1e-5)


def stochastic_network():
    return keras.Sequential(
        [
            keras.layers.Dense(8),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5, seed=0),
            keras.layers.Activation("tanh"),
        ]
    )


def prior_ignores_the_mode(prior):
    """Dropout and batch statistics of the encoder do not touch the prior."""
    prior(None)
    before = [w.numpy() for w in prior.non_trainable_variables if "moving" in w.path]
    densities = [prior(None, training=t).log_prob(Z).numpy() for t in (False, True, True)]
    np.testing.assert_array_equal(densities[0], densities[1])
    np.testing.assert_array_equal(densities[1], densities[2])
    after = [w.numpy() for w in prior.non_trainable_variables if "moving" in w.path]
    for a, b in zip(after, before, strict=True):
        np.testing.assert_array_equal(a, b)


def the_mode_of_the_pass_goes_on(prior):
    """A layer that is called after the prior in a training pass is in training mode still."""

    class Pass(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.prior, self.dropout = prior, keras.layers.Dropout(0.5, seed=0)

        def call(self, x, training=None):
            self.prior(None)
            return self.dropout(x)

    x = tf.ones([100])
    assert np.any(Pass()(x, training=True) == 0)
    assert np.all(Pass()(x, training=False) == 1)


def test_vamp_prior_passes_its_encoder_as_at_inference():
    prior = vamp(stochastic_network())
    prior_ignores_the_mode(prior)
    the_mode_of_the_pass_goes_on(prior)


def test_those_laws_reject_other_ways_to_call_the_encoder(monkeypatch):
    prior = vamp(stochastic_network())
    prior(None)
    monkeypatch.setattr(
        vamp_prior, "in_inference_mode", lambda layer, u, training: layer(u, training=training)
    )
    with pytest.raises(AssertionError):
        prior_ignores_the_mode(prior)
    monkeypatch.setattr(
        vamp_prior, "in_inference_mode", lambda layer, u, training: layer(u, training=False)
    )
    with pytest.raises(AssertionError):
        the_mode_of_the_pass_goes_on(prior)
    monkeypatch.setattr(vamp_prior, "in_inference_mode", in_inference_mode)
    the_mode_of_the_pass_goes_on(prior)


def test_pseudo_inputs_start_from_data_and_stay_in_their_range(x):
    prior = vamp()
    prior.start_from(x)
    np.testing.assert_allclose(prior.pseudo_inputs, np.clip(x[:5], 0.01, 0.99), atol=1e-5)
    prior.unbounded.assign(1e3 * prior.unbounded.value)
    assert np.all((prior.pseudo_inputs >= 0) & (prior.pseudo_inputs <= 1))
    free = vamp(bounds=None)
    free.start_from(10.0 * x)
    np.testing.assert_allclose(free.pseudo_inputs, 10.0 * x[:5], rtol=1e-6)


def test_a_loaded_vamp_prior_shares_the_models_encoder(x, tmp_path):
    model = tfvae.recipes.vamp_vae((6,), num_components=3, latent_size=2, units=(8,), seed=0)
    model.encode(x)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.prior.encoder is loaded.encoder
    assert len(loaded.weights) == len(model.weights)
    np.testing.assert_array_equal(
        loaded.prior(None).log_prob(Z[:, :2]), model.prior(None).log_prob(Z[:, :2])
    )


def test_dirichlet_laplace_has_the_moments_of_the_approximation():
    """Against the mean and variance of z from a numerical Laplace approximation."""
    a = np.array([0.5, 1.0, 3.0])
    d = tfvae.dirichlet_laplace(a)(None)
    # In the softmax basis with one direction left free, log p(z) = a . log softmax(z) has its
    # mode at log a + c; the Hessian there, inverted on the space orthogonal to (1, 1, 1):
    theta = a / a.sum()
    hessian = a.sum() * (np.diag(theta) - np.outer(theta, theta))
    covariance = np.linalg.pinv(hessian)
    np.testing.assert_allclose(d.mean(), np.log(a) - np.log(a).mean(), atol=1e-6)
    np.testing.assert_allclose(np.square(d.stddev()), np.diag(covariance), rtol=1e-5)


def test_flat_dirichlet_has_variance_one_minus_one_over_k():
    """The prior of ProdLDA at a = 1."""
    d = tfvae.dirichlet_laplace([1.0] * 50)(None)
    np.testing.assert_allclose(d.mean(), 0.0, atol=1e-7)
    np.testing.assert_allclose(np.square(d.stddev()), 1.0 - 1.0 / 50, rtol=1e-6)


def test_uniform_codes_cost_log_k_each():
    d = tfvae.Fixed("OneHotCategorical", (5, 8), {"logits": 0.0})(None)
    np.testing.assert_allclose(d.log_prob(d.sample(3, seed=[0, 1])), -5 * np.log(8), rtol=1e-6)


def test_the_kl_of_a_conditional_prior_is_exact_row_by_row(x, condition):
    model = conditional_prior_model()
    inputs = {"x": x, "condition": condition}
    draws = model(inputs)
    assert model.has_exact_kl
    q, p = model.encode(inputs), model.prior(condition)
    m, s, n, t = (np.float64(v) for v in (q.mean(), q.stddev(), p.mean(), p.stddev()))
    kl = (np.log(t / s) + (s**2 + (m - n) ** 2) / (2 * t**2) - 0.5).sum(-1)
    np.testing.assert_allclose(draws.kl, kl, rtol=1e-4)
    assert np.ptp(p.mean(), axis=0).max() > 0.01  # else a prior of another row would pass


def test_generation_follows_the_condition(condition):
    """Each row is drawn from the prior of its own condition."""
    model = conditional_prior_model()
    model.build({"x": (None, 6), "condition": (None, 3)})
    projection = model.prior.head.projection  # to two locations, then two scales
    projection.bias.assign([0.0, 0.0, -6.0, -6.0])
    projection.kernel.assign(projection.kernel.value * [[10.0, 10.0, 0.0, 0.0]])
    rows = np.repeat(np.eye(3, dtype="float32"), 4, axis=0)
    generated = model.generate(12, condition=rows, seed=0).numpy().reshape(3, 4, -1)
    expected = model.decode(model.prior(rows).mean(), rows).mean().numpy().reshape(3, 4, -1)
    assert np.abs(generated - expected).max() < 0.5 * np.ptp(expected[:, 0], axis=0).max()


def conditional_prior_model():
    with seeded_initializers(0):
        return tfvae.VAE(
            tfvae.Conditional(networks.mlp([8]), tfvae.Head("Normal", (2,))),
            tfvae.Conditional(networks.mlp([8]), tfvae.Head("Bernoulli", (6,))),
            prior=tfvae.Conditional(networks.mlp([8]), tfvae.Head("Normal", (2,))),
            seed=0,
        )


@serializable
class Rounding(tfvae.StochasticLayer):
    """Not a `Conditional`: integer draws reach the decoder all the same."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.event_shape = (2,)

    def build(self, shape, condition_shape=None):
        self.built = True

    def call(self, x, condition=None):
        return tfd.Independent(tfd.Bernoulli(logits=x[:, :2]), 1)


def test_binary_codes_have_an_exact_kl_and_reach_the_decoder(x):
    decoder = tfvae.Conditional(networks.mlp([4]), tfvae.Head("Bernoulli", (6,)))
    model = tfvae.VAE(
        Rounding(),
        decoder,
        prior=tfvae.Fixed("Bernoulli", (2,), {"logits": 0.0}),
        objective=tfvae.objectives.VIMCO(num_samples=2),
        seed=0,
    )
    draws = model(x, num_samples=1)
    p = scipy.special.expit(np.float64(x[:, :2]))
    kl = (scipy.special.xlogy(p, 2 * p) + scipy.special.xlogy(1 - p, 2 * (1 - p))).sum(-1)
    np.testing.assert_allclose(draws.kl, kl, rtol=1e-4)
    np.testing.assert_allclose(draws.log_prior, np.full((1, 61), 2 * np.log(0.5)), rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: tfvae.Mixture("Normal", (3,), 1), ValueError, "`num_components` must be"),
        (lambda: tfvae.Mixture("Normal", (3,), 2.0), TypeError, "`num_components` must be"),
        (lambda: vamp(bounds=(1.0, 0.0)), ValueError, "`bounds` must be None or two finite"),
        (lambda: vamp(bounds=3), ValueError, "`bounds` must be None or two finite"),
        (
            lambda: tfvae.VampPrior(networks.mlp([3]), (6,), 5),
            TypeError,
            "`encoder` must be the model's encoder",
        ),
        (lambda: vamp().start_from(np.zeros((4, 6))), ValueError, "`x` must have at least 5 rows"),
        (lambda: vamp().build((None, 3)), ValueError, "which a VampPrior does not"),
        (
            lambda: conditional_prior_model().encode(np.zeros((2, 6))),
            ValueError,
            "`condition` must be given to a model whose prior is a `Conditional`",
        ),
        (
            lambda: tfvae.Fixed("Normal", (3,), {"loc": 0.0, "sigma": 1.0}),
            ValueError,
            "`parameters` must name parameters of Normal",
        ),
        (
            lambda: tfvae.Fixed("Normal", (3,), {"loc": 0.0, "scale": -1.0}),
            ValueError,
            "`parameters` must be valid for Normal",
        ),
        (
            lambda: tfvae.Fixed("Normal", (3,), {"loc": [0.0, 1.0], "scale": 1.0}),
            ValueError,
            r"`parameters\['loc'\]` must be numbers that broadcast",
        ),
        (lambda: tfvae.Fixed("Normal", (3,), {"loc": 0.0}), ValueError, "must be valid for Normal"),
        (lambda: tfvae.dirichlet_laplace([1.0, -1.0]), ValueError, "`concentration` must be"),
        (lambda: tfvae.dirichlet_laplace(3.0), ValueError, "`concentration` must be"),
    ],
)
def test_nonsense_is_refused(make, error, sentence):
    with pytest.raises(error, match=sentence):
        make()
