"""Low-rank, spherical and relaxed posteriors against known densities and divergences."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

import tfvae
from tfvae.distributions import center, exact_kl
from tfvae.random import seeded_initializers

tfd = tfp.distributions

FEATURES = 2.0 * tf.random.stateless_normal([3, 5], [0, 1])


@pytest.fixture(scope="module")
def low_rank():
    with seeded_initializers(0):
        return tfvae.LowRankNormal((4,), rank=2)(FEATURES)


def test_low_rank_density_is_that_of_the_dense_covariance(low_rank):
    z = low_rank.sample(7, seed=[0, 1])
    for row, covariance in enumerate(np.float64(low_rank.covariance())):
        off = covariance - np.diag(np.diag(covariance))
        assert np.abs(off).max() > 0.05  # a mutant without its factor is far off
        dense = scipy.stats.multivariate_normal(np.float64(low_rank.mean()[row]), covariance)
        np.testing.assert_allclose(low_rank.log_prob(z)[:, row], dense.logpdf(z[:, row]), rtol=1e-4)


def test_low_rank_draws_have_that_covariance(low_rank):
    z = np.float64(low_rank.sample(40_000, seed=[0, 1]))
    for row, covariance in enumerate(np.float64(low_rank.covariance())):
        scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
        assert np.abs((np.cov(z[:, row].T) - covariance) / scale).max() < 0.05


def test_low_rank_kl_is_that_of_the_dense_formula(low_rank):
    loc, scale = np.array([0.1, -0.5, 0.0, 2.0]), np.array([0.5, 1.0, 2.0, 1.5])
    p = tfd.Independent(tfd.Normal(np.float32(loc), np.float32(scale)), 1)
    m, s = np.float64(low_rank.mean()), np.float64(low_rank.covariance())
    expected = 0.5 * (
        np.einsum("bii,i->b", s, scale**-2)
        + np.square((m - loc) / scale).sum(-1)
        - 4
        + 2 * np.log(scale).sum()
        - np.linalg.slogdet(s)[1]
    )
    np.testing.assert_allclose(exact_kl(low_rank, p), expected, rtol=1e-4)
    assert exact_kl(low_rank, tfd.Independent(tfd.Laplace(loc, scale), 1)) is None


def test_low_rank_stays_finite_where_features_are_huge():
    layer = tfvae.LowRankNormal((20,), rank=5)
    layer(FEATURES)
    with tf.GradientTape() as tape:
        q = layer(1e4 * FEATURES)
        z = q.sample(seed=[0, 1])
        total = tf.reduce_sum(q.log_prob(z))
    assert np.isfinite(total)
    assert all(np.isfinite(g).all() for g in tape.gradient(total, layer.trainable_variables))


def spherical(concentration):
    """A power-spherical posterior in three dimensions, of these concentrations."""
    layer = tfvae.PowerSpherical((3,))
    layer(FEATURES)
    q = layer(FEATURES[: len(concentration)])
    return tfd.PowerSpherical(q.mean_direction, tf.constant(concentration, tf.float32))


def kl_by_quadrature(concentration):
    """KL to the uniform on the sphere in R^3, where t = mu.x has density c (1 + t)^k."""
    t = np.linspace(-1, 1, 2_000_001)[1:]
    log_c = np.log(concentration + 1) - (concentration + 1) * np.log(2)
    log_density = log_c + concentration * np.log1p(t)
    return np.trapezoid(np.exp(log_density) * (log_density - np.log(0.5)), t)


def test_spherical_kl_is_exact():
    concentrations = [0.5, 4.0, 60.0]
    q, p = spherical(concentrations), tfvae.SphericalUniform((3,))(None)
    expected = [kl_by_quadrature(c) for c in concentrations]
    np.testing.assert_allclose(exact_kl(q, p), expected, rtol=1e-3)
    z, log_q = q.experimental_sample_and_log_prob(40_000, seed=[0, 1])
    np.testing.assert_allclose(tf.linalg.norm(z, axis=-1), 1.0, atol=1e-5)
    by_draws = np.float64(log_q - p.log_prob(z))
    error = 5 * by_draws.std(0) / np.sqrt(40_000)
    assert np.all(np.abs(by_draws.mean(0) - expected) < error + 1e-3)


def test_uniform_on_the_sphere_has_the_density_of_its_area():
    d = tfvae.SphericalUniform((3,))(None)
    np.testing.assert_allclose(d.log_prob(d.sample(5, seed=[0, 1])), -np.log(4 * np.pi), rtol=1e-5)


def relaxed_density(log_z, logits, temperature):
    """Density of exp(log_z) on the simplex, in terms of log_z: Maddison et al., equation 10."""
    n = len(logits)
    log_p = scipy.special.log_softmax(logits) - temperature * log_z
    constant = scipy.special.gammaln(n) + (n - 1) * np.log(temperature)
    return constant + log_p.sum(-1) - n * scipy.special.logsumexp(log_p, axis=-1)


def test_relaxed_density_is_that_of_the_paper():
    logits = np.array([0.3, -1.0, 0.8])
    layer = tfvae.Fixed(
        "ExpRelaxedOneHotCategorical", (3,), {"logits": logits.tolist(), "temperature": 0.67}
    )
    z = layer(None).sample(20, seed=[0, 1])
    expected = relaxed_density(np.float64(z), logits, 0.67)
    np.testing.assert_allclose(layer(None).log_prob(z), expected, rtol=1e-4, atol=1e-4)
    assert np.abs(relaxed_density(np.float64(z), logits, 0.5) - expected).max() > 0.1


def test_relaxed_density_is_finite_at_the_corners_of_the_simplex():
    """A share of exp(-1000) is 0 as a number, and -1000 as a logarithm."""
    head = tfvae.Head("ExpRelaxedOneHotCategorical", (2, 3), fixed={"temperature": 0.1})
    head(FEATURES)
    with tf.GradientTape() as tape:
        q = head(100.0 * FEATURES)
        z = q.sample(50, seed=[0, 1])
        log_prob = q.log_prob(z)
    assert np.min(z) < -200.0
    assert np.isfinite(log_prob).all()
    assert all(np.isfinite(g).all() for g in tape.gradient(log_prob, head.trainable_variables))


def test_the_center_of_a_relaxed_code_has_its_probabilities():
    head = tfvae.Head("ExpRelaxedOneHotCategorical", (2, 3), fixed={"temperature": 0.5})
    q = head(FEATURES)
    shares = tf.exp(center(q)).numpy()
    np.testing.assert_allclose(shares.sum(-1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(shares, q.distribution.probs_parameter(), rtol=1e-5)
    plain = tfd.RelaxedOneHotCategorical(0.5, logits=tf.constant([0.3, -1.0, 0.8]))
    np.testing.assert_allclose(center(plain), tf.nn.softmax([0.3, -1.0, 0.8]), rtol=1e-5)


def test_relaxed_kl_is_not_taken_for_exact():
    q = tfd.RelaxedOneHotCategorical(0.5, logits=tf.constant([0.3, -1.0, 0.8]))
    p = tfd.RelaxedOneHotCategorical(0.5, logits=tf.zeros(3))
    assert exact_kl(q, p) is None


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: tfvae.LowRankNormal((3,), rank=4), "`rank` must be at most D"),
        (lambda: tfvae.LowRankNormal((3,), rank=0), "`rank` must be an integer >= 1"),
        (lambda: tfvae.LowRankNormal((3,), 1)(tf.zeros([2, 3, 3])), "`features` of a LowRank"),
        (lambda: tfvae.PowerSpherical((1,)), r"`event_shape` must be \(D,\)"),
        (lambda: tfvae.PowerSpherical((3,))(tf.zeros([2, 3, 3])), "`features` of a PowerSph"),
        (lambda: tfvae.SphericalUniform((2, 2)), r"`event_shape` must be \(D,\)"),
    ],
)
def test_nonsense_is_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
