"""Path gradients: what flows to a posterior through its draws, and what does not."""

import linear_gaussian as exact
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.gradients import stopped, weighted_path
from tfvae.objectives import DReG, Objective, StickingTheLanding

tfd = tfp.distributions


def test_weighted_path_weights_the_gradient_and_nothing_else():
    z = tf.random.stateless_normal([3, 4, 2], [0, 1])
    weight = tf.random.stateless_normal([3, 4], [2, 3])
    with tf.GradientTape() as tape:
        tape.watch(z)
        same = weighted_path(z, lambda: weight)
        loss = tf.reduce_sum(same**2)
    np.testing.assert_array_equal(same, z)
    np.testing.assert_allclose(tape.gradient(loss, z), 2 * z * weight[..., None], rtol=1e-6)


def test_stopped_leaves_the_path_and_drops_the_score():
    loc, scale, noise = tf.constant([0.5, -1.0]), tf.constant([0.7, 2.0]), tf.constant([0.3, -1.2])
    with tf.GradientTape() as tape:
        tape.watch(loc)
        z = loc + scale * noise
        density = stopped(tfd.Independent(tfd.Normal(loc, scale), 1)).log_prob(z)
    np.testing.assert_allclose(tape.gradient(density, loc), -noise / scale, rtol=1e-6)


class LogWeight(Objective):
    """The ELBO by draws alone: the score's noise stays in its gradient."""

    def loss(self, draws, step):
        return -tf.reduce_mean(draws.log_weight, axis=0)


def largest_gradient(objective):
    """Returns the largest gradient of the encoder at the exact posterior, for one set of draws."""
    p = exact.random_parameters()
    p = p._replace(w=np.linalg.qr(p.w)[0])  # orthogonal columns: the posterior factorises
    a, c, covariance = exact.exact_posterior(p)
    p = p._replace(a=a, c=c, s=np.sqrt(np.diag(covariance)))
    vae = exact.model(6, 2, objective)
    exact.set_parameters(vae, p)
    x = np.random.default_rng(0).normal(size=(20, 6)).astype("float32")
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(objective.loss(vae(x), 0))
    gradients = tape.gradient(loss, vae.encoder.trainable_variables)
    return max(float(tf.reduce_max(tf.abs(g))) for g in gradients)


def test_the_path_gradient_has_no_noise_at_the_exact_posterior():
    assert largest_gradient(StickingTheLanding()) < 1e-4
    assert largest_gradient(DReG(num_samples=5)) < 1e-4
    assert largest_gradient(LogWeight()) > 1e-2
