"""Numbers that are known by other means: linear-Gaussian models and closed-form divergences."""

import keras
import linear_gaussian as exact
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfvae
from tfvae import evaluation, objectives
from tfvae.distributions import exact_kl, exact_kl_parts
from tfvae.random import seed_pair

tfd = tfp.distributions


@pytest.fixture(scope="module")
def parameters():
    return exact.random_parameters()


@pytest.fixture(scope="module")
def x(parameters):
    rng = np.random.default_rng(1)
    z = rng.normal(size=(200, 2))
    noise = rng.normal(size=(200, 6))
    return (z @ parameters.w.T + parameters.b + parameters.sigma * noise).astype("float32")


@pytest.fixture(scope="module")
def vae(parameters):
    model = exact.model(6, 2)
    exact.set_parameters(model, parameters)
    return model


def test_the_closed_forms_agree(parameters, x):
    """ELBO = log p(x) - KL[q || p(z | x)], in float64."""
    gap = exact.log_evidence(parameters, x) - exact.kl_to_posterior(parameters, x)
    np.testing.assert_allclose(exact.elbo(parameters, x), gap, rtol=1e-10)


def test_the_model_has_the_parameters_it_was_given(vae, parameters):
    for received, given in zip(exact.get_parameters(vae), parameters, strict=True):
        np.testing.assert_allclose(received, given, rtol=1e-4, atol=1e-5)


def test_elbo_is_the_closed_form(vae, parameters, x):
    draws = np.stack([evaluation.elbo(vae, x, num_samples=100, seed=s) for s in range(20)])
    error = draws.std(axis=0, ddof=1) / np.sqrt(20)
    z = (draws.mean(axis=0) - exact.elbo(parameters, x)) / error
    assert np.abs(z).max() < 6.0  # 200 t-statistics of 20 draws
    assert abs(np.mean(z)) < 5 / np.sqrt(200)


def test_kl_is_the_closed_form_to_prior(vae, parameters, x):
    vae.compile()
    kl = vae.evaluate(x, verbose=0, return_dict=True)["kl"]
    assert kl == pytest.approx(exact.kl_to_prior(parameters, x).mean(), rel=1e-5)


def test_log_evidence_is_exact_within_its_own_error(vae, parameters, x):
    result = evaluation.log_evidence(vae, x, num_samples=2_050)
    z = (result.log_evidence - exact.log_evidence(parameters, x)) / result.standard_error
    assert np.abs(z).max() < 6.0
    assert 0.5 < z.std() < 1.5
    assert 500 < np.median(result.effective_sample_size) < 2_050


def test_log_evidence_under_the_exact_posterior_has_no_error(x):
    p = exact.random_parameters()
    p = p._replace(w=np.linalg.qr(p.w)[0])  # orthogonal columns: the posterior factorises
    a, c, covariance = exact.exact_posterior(p)
    p = p._replace(a=a, c=c, s=np.sqrt(np.diag(covariance)))
    vae = exact.model(6, 2)
    exact.set_parameters(vae, p)
    result = evaluation.log_evidence(vae, x, num_samples=100)
    np.testing.assert_allclose(result.log_evidence, exact.log_evidence(p, x), atol=1e-3)
    np.testing.assert_allclose(result.effective_sample_size, 100, rtol=1e-4)


def test_log_evidence_rises_with_the_number_of_draws(vae, parameters, x):
    truth = exact.log_evidence(parameters, x).mean()
    means = [evaluation.log_evidence(vae, x, s).log_evidence.mean() for s in (1, 10, 100)]
    assert means[0] < means[1] < means[2] < truth + 0.02


class NegativeKL(objectives.ELBO):
    """Mutant: the sign of the KL."""

    def loss(self, draws, step):
        return -draws.kl - tf.reduce_mean(draws.log_likelihood, axis=0)


class MeanOverPixels(objectives.ELBO):
    """Mutant: the reconstruction term averaged over dimensions."""

    def loss(self, draws, step):
        return draws.kl - tf.reduce_mean(draws.log_likelihood, axis=0) / 10


class ForgottenPrior(objectives.ELBO):
    """Mutant: the entropy of q without the prior's term."""

    def loss(self, draws, step):
        return tf.reduce_mean(draws.log_posterior - draws.log_likelihood, axis=0)


class DetachedPosterior(objectives.ELBO):
    """Mutant: no gradient through the KL."""

    def loss(self, draws, step):
        return tf.stop_gradient(draws.kl) - tf.reduce_mean(draws.log_likelihood, axis=0)


def gradient_z_scores(objective):
    """Returns z-scores of the loss's gradient at probabilistic PCA's optimum, where it is zero."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 10)) + 0.5 * rng.normal(size=(300, 10))
    vae = exact.model(10, 3, objective)
    exact.set_parameters(vae, exact.ppca(x, 3))
    gradients = []
    for repeat in range(20):
        with tf.GradientTape() as tape, vae.noise.stream("test", repeat):
            loss = tf.reduce_mean(objective.loss(vae(x.astype("float32"), num_samples=50), 0))
        parts = tape.gradient(loss, vae.trainable_variables)
        gradients.append(np.concatenate([np.ravel(g) for g in parts if g is not None]))
    gradients = np.array(gradients)
    error = gradients.std(axis=0, ddof=1) / np.sqrt(len(gradients)) + 1e-5
    return np.abs(gradients.mean(axis=0) / error)


def test_probabilistic_pca_is_a_stationary_point_of_the_elbo():
    assert gradient_z_scores(objectives.ELBO()).max() < 6.0


@pytest.mark.parametrize("mutant", [NegativeKL, MeanOverPixels, ForgottenPrior, DetachedPosterior])
def test_probabilistic_pca_is_no_stationary_point_of_a_wrong_elbo(mutant):
    assert gradient_z_scores(mutant()).max() > 10.0


@pytest.mark.slow
def test_fit_attains_probabilistic_pcas_evidence():
    """Lucas et al. (2019): at its optimum the linear VAE's ELBO is the evidence of PPCA."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2_000, 3)) @ rng.normal(size=(3, 10)) + 0.5 * rng.normal(size=(2_000, 10))
    x = x.astype("float32")
    keras.utils.set_random_seed(0)
    vae = exact.model(10, 3)
    epochs, batch_size = 300, 100
    rate = keras.optimizers.schedules.CosineDecay(2e-2, epochs * len(x) // batch_size)
    vae.compile(keras.optimizers.Adam(rate))
    vae.fit(x, batch_size=batch_size, epochs=epochs, verbose=0)
    optimum = exact.ppca(x.astype("float64"), 3)
    evidence = exact.log_evidence(optimum, x).mean()
    trained = exact.get_parameters(vae)
    assert evidence - 0.01 <= exact.elbo(trained, x).mean() <= evidence + 1e-4
    assert trained.sigma == pytest.approx(optimum.sigma, rel=0.01)
    assert evaluation.elbo(vae, x, num_samples=100).mean() == pytest.approx(evidence, abs=0.02)


KL_PAIRS = {
    "normal": (tfd.Normal(0.3, 0.7), tfd.Normal(0.0, 1.0)),
    "diagonal": (
        tfd.Independent(tfd.Normal([0.3, -1.0], [0.7, 2.0]), 1),
        tfd.Independent(tfd.Normal([0.0, 0.0], 1.0), 1),
    ),
    "full to diagonal": (
        tfd.MultivariateNormalTriL([0.3, -1.0], [[0.7, 0.0], [0.5, 1.2]]),
        tfd.Independent(tfd.Normal(tf.zeros(2), 1.0), 1),
    ),
    "diagonal to full": (
        tfd.Independent(tfd.Normal([0.3, -1.0], [0.7, 2.0]), 1),
        tfd.MultivariateNormalTriL([0.1, 0.2], [[0.7, 0.0], [0.5, 1.2]]),
    ),
    "bernoulli": (tfd.Bernoulli(logits=0.8), tfd.Bernoulli(logits=-0.3)),
    "gamma": (tfd.Gamma(2.0, 3.0), tfd.Gamma(1.5, 1.0)),
    "beta": (tfd.Beta(2.0, 3.0), tfd.Beta(1.0, 1.0)),
    "dirichlet": (tfd.Dirichlet([2.0, 3.0, 1.0]), tfd.Dirichlet([1.0, 1.0, 1.0])),
    "laplace": (tfd.Laplace(0.3, 0.7), tfd.Laplace(0.0, 1.0)),
}


@pytest.mark.parametrize("pair", KL_PAIRS)
def test_exact_kl_agrees_with_monte_carlo(pair):
    q, p = KL_PAIRS[pair]
    z = q.sample(200_000, seed=seed_pair(0, pair))
    log_ratio = np.asarray(q.log_prob(z) - p.log_prob(z), "float64")
    error = log_ratio.std() / np.sqrt(len(log_ratio))
    assert abs(log_ratio.mean() - float(exact_kl(q, p))) < 5 * error


def test_kl_parts_add_up_to_the_kl():
    q = tfd.Independent(tfd.Normal(tf.random.stateless_normal([7, 2, 3], [0, 1]), 0.5), 2)
    p = tfvae.StandardNormal((2, 3))(None)
    parts = exact_kl_parts(q, p)
    assert parts.shape == (7, 6)
    np.testing.assert_allclose(tf.reduce_sum(parts, axis=1), exact_kl(q, p), rtol=1e-6)


def test_unknown_kl_is_none_and_draws_estimate_it():
    q = tfd.Normal(tf.constant([0.3]), 0.7)
    p = tfd.MixtureSameFamily(tfd.Categorical(logits=[0.0]), tfd.Normal([0.0], [1.0]))
    assert exact_kl(q, p) is None
    z = q.sample(200_000, seed=[1, 2])
    draws = tfvae.draws.Draws(z, tf.zeros_like(z), p.log_prob(z), q.log_prob(z), q, p)
    assert float(draws.kl[0]) == pytest.approx(
        float(exact_kl(q, tfd.Normal(0.0, 1.0))[0]), abs=0.01
    )


def test_bits_per_dimension_of_a_uniform_code():
    assert evaluation.bits_per_dimension(-784 * np.log(256.0), (28, 28)) == pytest.approx(
        8.0, abs=1e-9
    )
