"""Flow priors and posteriors: densities, draws, conditions."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfvae
from tfvae import flows
from tfvae.distributions import center, exact_kl
from tfvae.gradients import stopped
from tfvae.random import seeded_initializers

tfd = tfp.distributions

FLOWS = {
    "RealNVP": lambda: flows.RealNVP((2,), units=(8,)),
    "NeuralSpline": lambda: flows.NeuralSpline((2,), num_layers=2, units=(8,)),
    "MaskedAutoregressive": lambda: flows.MaskedAutoregressive((2,), units=(8,)),
    "Planar": lambda: flows.Planar((2,), num_layers=4),
}


def shaken(layer, inputs=None):
    layer(inputs)
    for i, w in enumerate(layer.trainable_variables):
        w.assign(w.value + tf.random.stateless_normal(w.shape, [3, i], stddev=0.3))
    return layer


@pytest.fixture(scope="module", params=FLOWS)
def prior(request):
    with seeded_initializers(0):
        return shaken(tfvae.Transformed(tfvae.StandardNormal((2,)), FLOWS[request.param]()))


def integral_and_moments(d):
    """Returns the integral of a density over the plane, and its mean and covariance."""
    width = 0.05
    axis = np.arange(-14, 14, width)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2).astype("float32")
    mass = np.exp(np.float64(d.log_prob(grid))) * width**2
    mean = (mass[:, None] * grid).sum(0) / mass.sum()
    covariance = np.einsum("n,ni,nj->ij", mass, grid - mean, grid - mean) / mass.sum()
    return mass.sum(), mean, covariance


def density_and_draws_agree(d):
    """The density integrates to one, and the draws have its mean and covariance."""
    total, mean, covariance = integral_and_moments(d)
    assert abs(total - 1.0) < 2e-3
    n = 40_000
    z = d.sample(n, seed=[0, 1]).numpy().astype("float64")
    errors = 5.0 * np.sqrt(np.diag(covariance) / n)
    assert np.all(np.abs(z.mean(0) - mean) < errors)
    assert np.all(
        np.abs(np.cov(z.T) - covariance) < 0.05 * np.sqrt(np.linalg.det(covariance)) + 0.05
    )


def test_density_and_draws_agree(prior):
    density_and_draws_agree(prior(None))


def test_that_law_rejects_a_density_without_its_log_det(prior):
    class Mutant:
        def __init__(self, d):
            self.sample = d.sample
            self.log_prob = lambda z: d.distribution.log_prob(d.bijector.inverse(z))

    with pytest.raises(AssertionError):
        density_and_draws_agree(Mutant(prior(None)))


def test_draws_come_with_their_density(prior):
    d = prior(None)
    z, log_prob = d.experimental_sample_and_log_prob(50, seed=[0, 1])
    np.testing.assert_allclose(d.log_prob(tf.identity(z)), log_prob, atol=2e-3)


def test_stopped_parameters_leave_the_path_alone():
    """No gradient of log q at stopped parameters reaches a weight, but for that through z."""
    layer = shaken(
        tfvae.Transformed(tfvae.Head("Normal", (2,)), FLOWS["MaskedAutoregressive"]()),
        tf.ones([3, 4]),
    )
    with tf.GradientTape() as tape:
        q = layer(tf.ones([3, 4]))
        z = tf.constant([[0.1, 0.2]] * 3)
        log_prob = stopped(q).log_prob(z)
    np.testing.assert_allclose(log_prob, q.log_prob(z), rtol=1e-5)
    assert all(g is None for g in tape.gradient(log_prob, layer.trainable_variables))


def test_a_condition_gives_each_row_its_own_prior():
    layer = tfvae.Transformed(tfvae.StandardNormal((2,)), FLOWS["RealNVP"]())
    condition = tf.eye(3)
    d = shaken(layer, condition)(condition)
    assert d.batch_shape == (3,)
    z = d.sample(7, seed=[0, 1])
    assert z.shape == (7, 3, 2)
    whole = d.log_prob(z)
    for row in range(3):
        alone = layer(condition[row : row + 1]).log_prob(z[:, row : row + 1])
        np.testing.assert_allclose(whole[:, row], alone[:, 0], atol=1e-4)


def test_its_kl_is_not_taken_for_exact():
    features = tf.ones([3, 4])
    q = tfvae.Transformed(tfvae.Head("Normal", (2,)), FLOWS["RealNVP"]())(features)
    full = tfvae.Head("MultivariateNormalTriL", (2,))(features)
    p = tfvae.Transformed(tfvae.StandardNormal((2,)), FLOWS["RealNVP"]())(None)
    mixture = tfvae.Mixture("Normal", (2,), num_components=2)(None)
    normal = tfvae.StandardNormal((2,))(None)
    for a, b in [(q, normal), (q, p), (full, p), (full, mixture), (normal, p), (q, mixture)]:
        assert exact_kl(a, b) is None
    assert exact_kl(full, normal).shape == (3,)


def test_center_is_the_image_of_the_bases_mean():
    q = tfvae.Transformed(tfvae.Head("Normal", (2,)), FLOWS["RealNVP"]())(tf.ones([3, 4]))
    np.testing.assert_array_equal(center(q), q.bijector.forward(q.distribution.mean()))


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match=r"`flow` must have the base's event_shape \(3,\)"):
        tfvae.Transformed(tfvae.StandardNormal((3,)), flows.RealNVP((2,)))
    with pytest.raises(TypeError, match="`flow` must be a flow"):
        tfvae.Transformed(tfvae.StandardNormal((3,)), tfp.bijectors.Exp())
    with pytest.raises(TypeError, match="`base` must be a stochastic layer"):
        tfvae.Transformed(tfd.Normal(0.0, 1.0), flows.RealNVP((2,)))
