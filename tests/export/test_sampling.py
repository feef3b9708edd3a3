"""Draws from given noise have the law of the distribution, as scipy and the moments know it."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.export.sampling import RowNoise, draw

tfd, tfb = tfp.distributions, tfp.bijectors
ROWS = 20_000


def noise(rows=ROWS):
    return RowNoise(tf.stack([tf.zeros([rows], tf.int32), tf.range(rows)], axis=1))


SCALAR = {
    "Normal": (tfd.Normal(1.0, 2.0), scipy.stats.norm(1.0, 2.0)),
    "Laplace": (tfd.Laplace(1.0, 2.0), scipy.stats.laplace(1.0, 2.0)),
    "Logistic": (tfd.Logistic(1.0, 2.0), scipy.stats.logistic(1.0, 2.0)),
    "LogNormal": (tfd.LogNormal(0.5, 0.7), scipy.stats.lognorm(0.7, scale=np.exp(0.5))),
    "StudentT": (tfd.StudentT(4.0, 1.0, 2.0), scipy.stats.t(4.0, 1.0, 2.0)),
    "Exponential": (tfd.Exponential(2.0), scipy.stats.expon(scale=0.5)),
    "Gamma": (tfd.Gamma(2.5, 2.0), scipy.stats.gamma(2.5, scale=0.5)),
    "Beta": (tfd.Beta(2.0, 3.0), scipy.stats.beta(2.0, 3.0)),
    "Uniform": (tfd.Uniform(-1.0, 3.0), scipy.stats.uniform(-1.0, 4.0)),
    "Kumaraswamy": (tfd.Kumaraswamy(2.0, 1.0), scipy.stats.beta(2.0, 1.0)),
    "Transformed": (tfb.Scale(3.0)(tfd.Gumbel(0.0, 1.0)), scipy.stats.gumbel_r(0.0, 3.0)),
}


@pytest.mark.parametrize("name", SCALAR)
def test_scalar_families(name):
    distribution, law = SCALAR[name]

    def p_value(values):
        return scipy.stats.kstest(np.asarray(values).ravel(), law.cdf).pvalue

    values = draw(distribution, noise())
    assert values.shape == (ROWS,)
    assert p_value(values) > 1e-4
    shifted = draw(tfb.Shift(0.5)(distribution), noise())  # mutant
    assert p_value(shifted) < 1e-6


COVARIANCE = np.float32([[1.0, 0.6, 0.0], [0.6, 2.0, -0.5], [0.0, -0.5, 0.5]])
SCALE = np.linalg.cholesky(COVARIANCE)
LOC = np.float32([1.0, -2.0, 0.5])
FACTOR = np.float32([[1.0], [-1.0], [0.5]])
MULTIVARIATE = {
    "Independent": (
        tfd.Independent(tfd.Normal(LOC, [1.0, 2.0, 3.0]), 1),
        np.diag([1.0, 4.0, 9.0]),
    ),
    "Diag": (tfd.MultivariateNormalDiag(LOC, [1.0, 2.0, 3.0]), np.diag([1.0, 4.0, 9.0])),
    "TriL": (tfd.MultivariateNormalTriL(LOC, SCALE), COVARIANCE),
    "LowRank": (
        tfd.MultivariateNormalDiagPlusLowRankCovariance(LOC, [1.0, 2.0, 3.0], FACTOR),
        np.diag([1.0, 2.0, 3.0]) + FACTOR @ FACTOR.T,
    ),
    "Flow": (
        tfd.TransformedDistribution(
            tfd.Independent(tfd.Normal(tf.zeros(3), 1.0), 1),
            tfb.Chain([tfb.Shift(LOC), tfb.ScaleMatvecTriL(SCALE)]),
        ),
        COVARIANCE,
    ),
}


def has_moments(values, mean, covariance):
    """Whether each mean and covariance lies within five standard errors."""
    scale = np.sqrt(np.diag(covariance))
    mean_error = np.abs(values.mean(0) - mean) / scale
    error = np.abs(np.cov(values.T) - covariance) / np.outer(scale, scale)
    return max(mean_error.max(), error.max() / np.sqrt(2)) < 5 / np.sqrt(len(values))


def test_directions_on_the_sphere():
    """Their mean is known, and their part along the mean direction is a Beta, whatever that is."""
    mean = np.float32([0.6, 0.0, -0.8, 0.0])
    concentration = 3.0
    law = scipy.stats.beta(1.5 + concentration, 1.5, loc=-1.0, scale=2.0)

    def p_values(distribution):
        values = draw(distribution, noise()).numpy()
        np.testing.assert_allclose(np.sum(values**2, -1), 1.0, rtol=1e-5)
        across = values @ np.float32([0.8, 0.0, 0.6, 0.0])  # symmetric, and not degenerate
        along = scipy.stats.kstest(values @ mean, law.cdf).pvalue
        return along, scipy.stats.wilcoxon(across).pvalue

    assert min(p_values(tfd.PowerSpherical(mean, concentration))) > 1e-4
    assert p_values(tfd.PowerSpherical(-mean, concentration))[0] < 1e-6  # mutants
    assert p_values(tfd.PowerSpherical(mean, concentration + 0.2))[0] < 1e-6
    assert p_values(tfd.PowerSpherical([0.65, 0.0, -0.76, 0.0], concentration))[1] < 1e-6
    uniform = draw(tfd.SphericalUniform(4), noise()).numpy()
    assert (
        scipy.stats.kstest(uniform[:, 2], scipy.stats.beta(1.5, 1.5, -1.0, 2.0).cdf).pvalue > 1e-4
    )
    assert scipy.stats.kstest(uniform[:, 2], scipy.stats.uniform(-1.0, 2.0).cdf).pvalue < 1e-6


@pytest.mark.parametrize("name", MULTIVARIATE)
def test_multivariate_families(name):
    distribution, covariance = MULTIVARIATE[name]
    values = draw(distribution, noise()).numpy()
    assert values.shape == (ROWS, 3)
    assert has_moments(values, LOC, covariance)
    mutant = tfd.MultivariateNormalTriL(LOC, 1.05 * SCALE)
    assert not has_moments(draw(mutant, noise()).numpy(), LOC, COVARIANCE)


def agrees(counts, probabilities):
    expected = np.float64(probabilities)
    expected *= np.sum(counts) / expected.sum()
    return scipy.stats.chisquare(np.float64(counts), expected).pvalue > 1e-4


def test_discrete_families():
    probabilities = np.float32([0.1, 0.6, 0.05, 0.25])
    index = draw(tfd.Categorical(probs=probabilities), noise()).numpy()
    assert agrees(np.bincount(index, minlength=4), probabilities)
    assert not agrees(np.bincount(3 - index, minlength=4), probabilities)  # mutant
    one_hot = draw(tfd.OneHotCategorical(probs=probabilities), noise()).numpy()
    np.testing.assert_array_equal(one_hot.sum(1), 1.0)
    assert agrees(one_hot.sum(0), probabilities)
    ones = draw(tfd.Bernoulli(probs=0.3), noise()).numpy().sum()
    assert agrees([ones, ROWS - ones], [0.3, 0.7])
    # The largest entry of a relaxed one is a categorical draw (Maddison et al., 2017).
    relaxed = draw(tfd.RelaxedOneHotCategorical(0.5, probs=probabilities), noise()).numpy()
    np.testing.assert_allclose(relaxed.sum(1), 1.0, rtol=1e-5)
    assert agrees(np.bincount(relaxed.argmax(1), minlength=4), probabilities)


def test_an_entry_of_a_dirichlet_is_a_beta():
    values = draw(tfd.Dirichlet([0.5, 1.0, 2.5]), noise()).numpy()
    np.testing.assert_allclose(values.sum(1), 1.0, rtol=1e-5)
    for i, (a, b) in enumerate([(0.5, 3.5), (1.0, 3.0), (2.5, 1.5)]):
        assert scipy.stats.kstest(values[:, i], scipy.stats.beta(a, b).cdf).pvalue > 1e-4


def test_mixtures():
    weights, locs, scales = (
        np.float32([0.2, 0.5, 0.3]),
        np.float32([-3, 0, 2]),
        np.float32([1, 0.5, 2]),
    )
    scalar = tfd.MixtureSameFamily(tfd.Categorical(probs=weights), tfd.Normal(locs, scales))

    def cdf(x, weights=weights):
        return weights @ scipy.stats.norm(locs[:, None], scales[:, None]).cdf(x)

    values = draw(scalar, noise()).numpy()
    assert scipy.stats.kstest(values, cdf).pvalue > 1e-4
    assert scipy.stats.kstest(values, lambda x: cdf(x, weights[::-1])).pvalue < 1e-6  # mutant
    # Over vectors, the component is chosen once for the whole of each.
    vectors = tfd.MixtureSameFamily(
        tfd.Categorical(probs=weights),
        tfd.Independent(tfd.Normal(locs[:, None] * np.float32([1, -1]), scales[:, None]), 1),
    )
    values = draw(vectors, noise()).numpy()
    assert scipy.stats.kstest(values[:, 0], cdf).pvalue > 1e-4
    mean = weights @ locs
    covariance = -(weights @ (locs - mean) ** 2)
    assert abs(np.cov(values.T)[0, 1] - covariance) < 0.3
    # One mixture for each entry of an event.
    entries = tfd.Independent(
        tfd.MixtureSameFamily(
            tfd.Categorical(probs=np.stack([weights] * 2)), tfd.Normal(locs, scales)
        ),
        1,
    )
    values = draw(entries, noise()).numpy()
    assert values.shape == (ROWS, 2)
    assert scipy.stats.kstest(values[:, 1], cdf).pvalue > 1e-4
    assert abs(np.corrcoef(values.T)[0, 1]) < 5 / np.sqrt(ROWS)


def test_distributions_that_hold_a_function_are_of_other_classes_in_tfp():
    class Affine(tfb.Bijector):
        """As a flow with a network: TFP cannot turn it into tensors, and gives another class."""

        def __init__(self):
            super().__init__(forward_min_event_ndims=0)

        def _forward(self, x):
            return 2.0 * x + 1.0

        def _inverse(self, y):
            return (y - 1.0) / 2.0

        def _forward_log_det_jacobian(self, x):
            return tf.fill(tf.shape(x), np.float32(np.log(2.0)))

    normal = Affine()(tfd.Normal(tf.zeros([3, 2]), 1.0))
    vectors = tfd.Independent(normal, 1)
    mixture = tfd.MixtureSameFamily(tfd.Categorical(logits=[0.0, 0.0, 0.0]), vectors)
    for distribution, public in [
        (normal, tfd.TransformedDistribution),
        (vectors, tfd.Independent),
        (mixture, tfd.MixtureSameFamily),
    ]:
        assert not isinstance(distribution, public)
    values = draw(mixture, noise()).numpy()
    assert values.shape == (ROWS, 2)
    assert scipy.stats.kstest(values.ravel(), scipy.stats.norm(1.0, 2.0).cdf).pvalue > 1e-4


def test_each_row_has_its_own_parameters_and_seed():
    batch = tfd.MultivariateNormalTriL(tf.range(3.0)[:, None] * 100.0 + LOC, SCALE)
    together = draw(batch, noise(3)).numpy()
    np.testing.assert_allclose(together.mean(1) // 50, [-1, 1, 3], atol=1)
    seed = tf.constant([[0, 1]])
    alone = draw(batch[1:2], RowNoise(seed)).numpy()
    np.testing.assert_allclose(together[1:2], alone, rtol=1e-6)


def test_a_family_without_a_rule_is_named():
    with pytest.raises(NotImplementedError, match="VonMisesFisher from given noise"):
        draw(tfd.VonMisesFisher([1.0, 0.0], 2.0), noise(2))
    with pytest.raises(NotImplementedError, match="Poisson"):
        draw(tfd.Independent(tfd.Poisson([1.0, 2.0]), 1), noise(2))
