"""Gradients of importance-weighted bounds: unbiased, and as quiet as their papers say."""

import itertools

import linear_gaussian as exact
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.draws import Draws
from tfvae.objectives import ELBO, VIMCO, DReG, ImportanceWeighted, Objective, StickingTheLanding
from tfvae.objectives.importance_weighted import importance_bound
from tfvae.objectives.vimco import leave_one_out_bound

tfd = tfp.distributions

NUM_DRAWS, REPEATS = 6, 30


def gradients(objective):
    """Returns gradients of encoder and decoder for repeated sets of draws, [REPEATS, weights]."""
    p = exact.random_parameters()
    vae = exact.model(6, 2, objective)
    exact.set_parameters(vae, p)
    x = np.random.default_rng(0).normal(size=(1_600, 6)).astype("float32")

    @tf.function
    def gradient(repeat):
        with tf.GradientTape() as tape, vae.noise.stream("test", repeat):
            loss = tf.reduce_mean(objective.loss(vae(x), 0))
        return tape.gradient(
            loss, [vae.encoder.trainable_variables, vae.decoder.trainable_variables]
        )

    parts = [gradient(tf.constant(r)) for r in range(REPEATS)]
    return [
        np.array([np.concatenate([np.ravel(g) for g in part[i]]) for part in parts], "float64")
        for i in (0, 1)
    ]


@pytest.fixture(scope="module")
def iwae():
    return gradients(ImportanceWeighted(NUM_DRAWS))


def z_scores(first, second):
    """Returns z-scores of the mean difference of two estimates from the same draws, [weights]."""
    difference = first - second
    error = difference.std(axis=0, ddof=1) / np.sqrt(len(difference)) + 1e-6
    return np.abs(difference.mean(axis=0)) / error


class WeightsNotSquared(DReG):
    """Mutant: the path gets the normalised weights once."""

    def path_weight(self, draws):
        return tf.ones_like(draws.log_weight)


class WeightsCubed(DReG):
    """Mutant: the path gets them three times."""

    def path_weight(self, draws):
        return super().path_weight(draws) ** 2


class DetachedLikelihood(DReG):
    """Mutant: the decoder is given the squared weights too, as by TFP's helper."""

    def loss(self, draws, step):
        weight = tf.stop_gradient(tf.nn.softmax(draws.log_weight, axis=0))
        return -tf.reduce_sum(weight**2 * draws.log_likelihood, axis=0)


@pytest.mark.parametrize("objective", [DReG, VIMCO], ids=lambda o: o.__name__)
def test_gradient_is_that_of_the_bound(objective, iwae):
    """The posterior's in the mean, the likelihood's draw for draw."""
    encoder, decoder = gradients(objective(NUM_DRAWS))
    assert z_scores(encoder, iwae[0]).max() < 6.0
    np.testing.assert_allclose(decoder, iwae[1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("mutant", [WeightsNotSquared, WeightsCubed])
def test_a_wrong_path_weight_is_seen(mutant, iwae):
    encoder, _ = gradients(mutant(NUM_DRAWS))
    assert z_scores(encoder, iwae[0]).max() > 8.0


def test_squared_weights_of_the_likelihood_are_seen(iwae):
    _, decoder = gradients(DetachedLikelihood(NUM_DRAWS))
    assert np.abs(decoder - iwae[1]).max() > 0.1


def test_dreg_is_quieter_than_iwae(iwae):
    encoder, _ = gradients(DReG(NUM_DRAWS))
    assert np.median(encoder.std(axis=0) / iwae[0].std(axis=0)) < 0.5


def signal_to_noise(objective, num_rows=60_000):
    """Returns |mean| / sd of one example's gradient, the median over the encoder's weights."""
    p = exact.random_parameters()
    vae = exact.model(6, 2, objective)
    exact.set_parameters(vae, p)
    x = np.random.default_rng(0).normal(size=(1, 6)).astype("float32")
    rows, repeats = num_rows // 200, 200

    @tf.function
    def gradient(repeat):
        with tf.GradientTape() as tape, vae.noise.stream("test", repeat):
            loss = tf.reduce_mean(objective.loss(vae(tf.repeat(x, rows, axis=0)), 0))
        return tape.gradient(loss, vae.encoder.trainable_variables)

    parts = [gradient(tf.constant(r)) for r in range(repeats)]
    parts = np.array([np.concatenate([np.ravel(g) for g in part]) for part in parts], "float64")
    return np.median(np.abs(parts.mean(axis=0)) / (np.sqrt(rows) * parts.std(axis=0, ddof=1)))


def test_more_draws_drown_the_signal_of_iwae_and_raise_that_of_dreg():
    """As K**(-1/2) and K**(1/2): Rainforth et al., 2018, arXiv:1802.04537; arXiv:1810.04152."""
    iwae = signal_to_noise(ImportanceWeighted(64)) / signal_to_noise(ImportanceWeighted(4))
    dreg = signal_to_noise(DReG(64)) / signal_to_noise(DReG(4))
    assert 0.5 * 0.25 < iwae < 2 * 0.25
    assert 0.5 * 4.0 < dreg < 2 * 4.0


class ScoreOnly(Objective):
    """Mutant: the gradient through the draws is left out."""

    num_samples = NUM_DRAWS

    def path_weight(self, draws):
        return tf.zeros_like(draws.log_weight)

    def loss(self, draws, step):
        return -tf.reduce_mean(draws.log_weight, axis=0)


def test_sticking_the_landing_has_the_gradient_of_the_elbo():
    elbo = gradients(ELBO(num_samples=NUM_DRAWS))
    landing = gradients(StickingTheLanding(NUM_DRAWS))
    assert z_scores(landing[0], elbo[0]).max() < 6.0
    np.testing.assert_allclose(landing[1], elbo[1], rtol=1e-3, atol=1e-3)
    assert z_scores(gradients(ScoreOnly())[0], elbo[0]).max() > 10.0


# ---- discrete latents: three binary ones, all triples of draws enumerated


class OwnSampleInBaseline(VIMCO):
    """Mutant: the baseline knows the draw that it is a baseline of."""

    def loss(self, draws, step):
        log_posterior = draws.posterior.log_prob(draws.z)
        log_weight = draws.log_likelihood + draws.log_prior - log_posterior
        bound = importance_bound(log_weight)
        signal = tf.stop_gradient(bound - log_weight)
        return -(bound + tf.reduce_sum(signal * log_posterior, axis=0))


class NoScore(VIMCO):
    """Mutant: the weights' gradient alone."""

    def loss(self, draws, step):
        return -importance_bound(draws.log_weight)


class WrongSign(VIMCO):
    """Mutant: the score pushes away from what is good."""

    def loss(self, draws, step):
        log_posterior = draws.posterior.log_prob(draws.z)
        log_weight = draws.log_likelihood + draws.log_prior - log_posterior
        bound = importance_bound(log_weight)
        signal = tf.stop_gradient(bound - leave_one_out_bound(log_weight))
        return -(bound - tf.reduce_sum(signal * log_posterior, axis=0))


def enumerated_gradients(objective):
    """Returns the mean of the estimator over all triples of states, and the bound's own gradient.

    Both are exact: 8 states, 512 triples.
    """
    states = np.array(list(itertools.product([0, 1], repeat=3)), "float32")
    triples = np.array(list(itertools.product(range(8), repeat=3))).T  # [S, B]
    z = tf.constant(states[triples])
    logits = tf.constant([0.3, -0.8, 1.2])
    table = tf.constant(np.random.default_rng(0).normal(size=8) * 2 - 3, tf.float32)
    prior = tfd.Independent(tfd.Bernoulli(logits=[0.5, 0.0, -0.5]), 1)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([logits, table])
        posterior = tfd.Independent(tfd.Bernoulli(logits=logits), 1)
        log_posterior = posterior.log_prob(z)
        draws = Draws(z, tf.gather(table, triples), prior.log_prob(z), log_posterior, posterior)
        chance = tf.exp(tf.reduce_sum(log_posterior, axis=0))
        estimate = tf.reduce_sum(tf.stop_gradient(chance) * objective.loss(draws, 0))
        mean_weight = tf.reduce_mean(tf.exp(draws.log_weight), axis=0)
        truth = -tf.reduce_sum(chance * tf.math.log(mean_weight))
    first, second = (
        [tf.convert_to_tensor(tape.gradient(t, v)) for v in (logits, table)]
        for t in (estimate, truth)
    )
    return float(estimate), float(truth), np.concatenate(first), np.concatenate(second)


def test_vimco_is_unbiased_by_enumeration():
    estimate, truth, gradient, expected = enumerated_gradients(VIMCO(3))
    assert estimate == pytest.approx(truth, rel=1e-5)
    np.testing.assert_allclose(gradient, expected, atol=1e-5)


@pytest.mark.parametrize("mutant", [OwnSampleInBaseline, NoScore, WrongSign])
def test_a_wrong_score_is_biased(mutant):
    *_, gradient, expected = enumerated_gradients(mutant(3))
    assert np.abs(gradient - expected).max() > 1e-2


def test_a_baseline_is_the_bound_without_its_own_draw():
    """The paper's formula, in log space: weights of exp(-1000) do not vanish."""
    log_weight = tf.random.stateless_normal([4, 5], [0, 1])
    baseline = leave_one_out_bound(log_weight)
    weight = np.exp(np.float64(log_weight))
    for s in range(4):
        others = np.delete(weight, s, axis=0)
        mean = np.exp(np.log(others).mean(axis=0))
        np.testing.assert_allclose(baseline[s], np.log((others.sum(axis=0) + mean) / 4), rtol=1e-5)
    np.testing.assert_allclose(leave_one_out_bound(log_weight - 1e3) + 1e3, baseline, atol=1e-3)
