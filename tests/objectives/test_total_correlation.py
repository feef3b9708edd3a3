"""Total correlation of Gaussian codes, which is known: by stratified batches and by a critic."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.draws import Draws
from tfvae.objectives import CriticTotalCorrelation, TotalCorrelation, critic_total_correlation
from tfvae.objectives.critic_total_correlation import permuted_codes
from tfvae.objectives.total_correlation import log_aggregate
from tfvae.random import seed_pair

tfd = tfp.distributions

# Codes z = m + s e, the means m ~ N(0, M): q(z) = N(0, S), S = M + s**2 I.
MEANS = np.array([[1.0, 0.6, 0.0], [0.6, 0.8, 0.2], [0.0, 0.2, 0.5]])
SCALE = 0.4
TOTAL = MEANS + SCALE**2 * np.eye(3)
TC = 0.5 * (np.log(np.diag(TOTAL)).sum() - np.linalg.slogdet(TOTAL)[1])
MI = 0.5 * (np.linalg.slogdet(TOTAL)[1] - 6 * np.log(SCALE))


def gaussian_draws(size, seed=0):
    """Draws for examples whose posterior means have the covariance `MEANS` exactly."""
    means = np.random.default_rng(seed).normal(size=(size, 3))
    means -= means.mean(axis=0)
    means = np.linalg.solve(np.linalg.cholesky(np.cov(means.T, bias=True)), means.T)
    means = (np.linalg.cholesky(MEANS) @ means).T.astype("float32")
    posterior = tfd.Independent(tfd.Normal(means, SCALE), 1)
    prior = tfd.Independent(tfd.Normal(tf.zeros(3), 1.0), 1)
    z = posterior.sample(1, seed=seed_pair(seed, "codes"))
    log_likelihood = tf.zeros([1, size])
    return Draws(z, log_likelihood, prior.log_prob(z), posterior.log_prob(z), posterior, prior)


class ForgottenExamples(TotalCorrelation):
    """Mutant: the batch's mean density without its weights: log q(z) is too high by log B."""

    def loss(self, draws, step):
        size = tf.math.log(float(self.num_examples))
        return super().loss(draws, step) + size * (1 - draws.z.shape[-1])


class WrongSign(TotalCorrelation):
    """Mutant: correlation is rewarded."""

    def loss(self, draws, step):
        return -super().loss(draws, step)


class JointOnly(TotalCorrelation):
    """Mutant: log q(z) less the posterior's density: minus the mutual information."""

    def loss(self, draws, step):
        return log_aggregate(draws, self.num_examples)[0][0] - draws.log_posterior[0]


@pytest.fixture(scope="module")
def whole():
    """The whole data set as one batch: no estimate is left but that of the mean."""
    return gaussian_draws(2_000)


def check_is_the_closed_form(objective, draws):
    loss = np.asarray(objective.loss(draws, tf.constant(0)), "float64")
    assert abs(loss.mean() - TC) < 5 * loss.std() / np.sqrt(len(loss)) + 0.01


def test_total_correlation_of_the_whole_data_is_the_closed_form(whole):
    check_is_the_closed_form(TotalCorrelation(1.0, 2_000), whole)


@pytest.mark.parametrize("mutant", [ForgottenExamples, WrongSign, JointOnly])
def test_a_wrong_total_correlation_is_not(mutant, whole):
    with pytest.raises(AssertionError):
        check_is_the_closed_form(mutant(1.0, 2_000), whole)


def test_the_kl_is_information_and_total_correlation_and_dimensions(whole):
    """The decomposition of the paper, each part against its own truth."""
    joint, marginals = (np.asarray(v, "float64") for v in log_aggregate(whole, 2_000))
    log_posterior, log_prior = (np.asarray(v)[0] for v in (whole.log_posterior, whole.log_prior))
    information = log_posterior - joint[0]
    dimensions = marginals[0].sum(axis=1) - log_prior
    error = 5 * information.std() / np.sqrt(2_000) + 0.01
    assert information.mean() == pytest.approx(MI, abs=error)
    variances = np.diag(TOTAL)
    truth = 0.5 * (variances - 1 - np.log(variances)).sum()
    assert dimensions.mean() == pytest.approx(truth, abs=5 * dimensions.std() / np.sqrt(2_000))
    kl = np.mean(whole.kl)
    assert kl == pytest.approx(MI + TC + truth, abs=1e-4)


def test_the_estimate_is_too_low_and_gets_better_with_the_batch():
    """The bias that the docstring tells of."""
    means = []
    for size, repeats in ((10, 60), (100, 10), (1_000, 2)):
        losses = [
            TotalCorrelation(1.0, 10**5).loss(gaussian_draws(size, r), 0) for r in range(repeats)
        ]
        means.append(np.mean(losses))
    assert means[0] < means[1] < means[2] < TC + 0.1
    assert TC - means[2] < 0.2


def densities_over_batches(log_densities):
    """Returns mean densities over all batches of three that hold example 0 of six, and the truth.

    The truth is the mean of the six posteriors' densities at example 0's draw.
    """
    draws = gaussian_draws(6)
    parts = draws.posterior.distribution
    estimates = []
    for others in itertools.combinations(range(1, 6), 2):
        rows = [0, *others]
        posterior = tfd.Independent(tfd.Normal(tf.gather(parts.loc, rows), SCALE), 1)
        batch = draws._replace(z=tf.gather(draws.z, rows, axis=1), posterior=posterior)
        joint, marginals = log_densities(batch)
        estimates.append(np.exp([joint[0, 0], *marginals[0, 0]]))
    each = np.exp(parts.log_prob(draws.z[0, 0]))
    return np.mean(estimates, axis=0), [each.prod(axis=1).mean(), *each.mean(axis=0)]


def test_the_estimate_of_the_density_is_unbiased():
    estimate, truth = densities_over_batches(lambda batch: log_aggregate(batch, 6))
    np.testing.assert_allclose(estimate, truth, rtol=1e-5)


def test_a_plain_mean_over_the_batch_is_biased():
    """It counts an example's own posterior once in B instead of once in N."""
    estimate, truth = densities_over_batches(lambda batch: log_aggregate(batch, 3))
    assert estimate[0] > 1.5 * truth[0]


# ---- the critic


class Quadratic(keras.layers.Layer):
    """`amount` times log q(z) - sum_d log q(z_d) of the Gaussian codes: the best critic at 1."""

    def __init__(self, amount):
        super().__init__()
        self.amount = self.add_weight(name="amount", shape=(), initializer="zeros")
        self.amount.assign(amount)
        self.form = tf.constant(np.linalg.inv(TOTAL) - np.diag(1 / np.diag(TOTAL)), tf.float32)

    def call(self, z):
        best = TC - 0.5 * tf.reduce_sum(tf.matmul(z, self.form) * z, axis=-1)
        return self.amount * best[:, None]


def critic_gradients(amount, step=0, cls=CriticTotalCorrelation):
    """Returns the mean loss, the gradient of the codes and that of the critic's weight."""
    objective = cls(2.0, Quadratic(amount))
    objective.build((None, 3))
    draws = gaussian_draws(20_000)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(draws.z)
        loss = tf.reduce_mean(objective.loss(draws, tf.constant(step)))
    return (
        float(loss),
        20_000 * tape.gradient(loss, draws.z),
        float(tape.gradient(loss, objective.critic.amount)),
    )


class EncoderHelpsCritic(CriticTotalCorrelation):
    """Mutant: the codes get the gradient of the cross-entropy too."""

    def loss(self, draws, step):
        logit = self._logit(draws.z)
        return super().loss(draws, step) + tf.reduce_mean(tf.nn.softplus(-logit), axis=0)


class CriticSeesTheLoss(CriticTotalCorrelation):
    """Mutant: the critic lowers its own output for the encoder's sake."""

    def loss(self, draws, step):
        logit = self._logit(tf.stop_gradient(draws.z))
        return super().loss(draws, step) + 2.0 * tf.reduce_mean(logit, axis=0)


def check_gives_each_its_own_gradient(cls):
    """The codes go down the critic's slope; the critic's optimum is the density's ratio."""
    loss, codes, critic = critic_gradients(1.0, cls=cls)
    assert loss == pytest.approx(2.0 * TC, abs=0.06)
    assert abs(critic) < 0.01
    slope = -2.0 * np.asarray(gaussian_draws(20_000).z) @ np.asarray(Quadratic(1.0).form)
    np.testing.assert_allclose(codes, slope, atol=1e-3)
    assert critic_gradients(0.5, cls=cls)[2] < -0.01  # downhill is up, to 1
    assert critic_gradients(2.0, cls=cls)[2] > 0.01


def test_critic_and_encoder_get_their_own_gradients():
    check_gives_each_its_own_gradient(CriticTotalCorrelation)


@pytest.mark.parametrize("mutant", [EncoderHelpsCritic, CriticSeesTheLoss])
def test_shared_gradients_are_seen(mutant):
    with pytest.raises(AssertionError):
        check_gives_each_its_own_gradient(mutant)


def test_a_critic_of_codes_that_stay_in_place_learns_nothing(monkeypatch):
    """Mutant: without the permutation there is nothing to tell apart, and 1 is no optimum."""
    monkeypatch.setattr(critic_total_correlation, "permuted_codes", lambda z, seed: z)
    with pytest.raises(AssertionError):
        check_gives_each_its_own_gradient(CriticTotalCorrelation)


def test_permuted_codes_keep_their_marginals_and_lose_their_correlation():
    z = gaussian_draws(5_000).z
    permuted, again, other = (permuted_codes(z, seed_pair(0, "test", s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(permuted, again)
    assert not np.array_equal(permuted, other)
    np.testing.assert_array_equal(np.sort(permuted, axis=1), np.sort(z, axis=1))
    correlation = np.corrcoef(np.asarray(permuted)[0].T)
    assert np.abs(correlation - np.eye(3)).max() < 5 / np.sqrt(5_000)


def test_permutations_follow_the_step():
    objective = CriticTotalCorrelation(1.0, Quadratic(0.5), seed=3)
    objective.build((None, 3))
    draws = gaussian_draws(50)

    def gradient(step):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(objective.loss(draws, tf.constant(step)))
        return float(tape.gradient(loss, objective.critic.amount))

    assert gradient(5) == gradient(5)
    assert gradient(5) != gradient(6)
