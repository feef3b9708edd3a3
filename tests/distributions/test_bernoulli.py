"""The Bernoulli log-density and its gradient against their formulas."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfvae
from tfvae.distributions import Bernoulli

LOGITS = np.array([-50.0, -20.0, -3.0, -0.5, 0.0, 0.5, 3.0, 20.0, 50.0], "float32")


def log_density_error(cls, x):
    """Returns the largest error of log p(x) in units of what float32 can hold of the logits."""
    exact = -np.logaddexp(0.0, (1 - 2 * x) * np.float64(LOGITS))
    return np.max(np.abs(cls(logits=LOGITS).log_prob(x) - exact) / (1 + np.abs(LOGITS)))


class ExchangedOutcomes(tfp.distributions.Bernoulli):
    """A mutant."""

    def _log_prob(self, event):
        return event * self.logits - tf.math.softplus(-self.logits)


@pytest.mark.parametrize("x", [0.0, 1.0])
def test_the_log_density_is_log_sigmoid(x):
    assert log_density_error(Bernoulli, x) < 2e-7
    assert log_density_error(ExchangedOutcomes, x) > 1e-2


def test_the_gradient_is_x_minus_p_and_finite():
    logits = tf.constant(LOGITS)
    for x in (0.0, 0.25, 1.0):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            log_prob = Bernoulli(logits=logits).log_prob(x)
        expected = x - 1 / (1 + np.exp(-np.float64(LOGITS)))
        np.testing.assert_allclose(tape.gradient(log_prob, logits), expected, atol=1e-6)


def test_the_name_gives_it_to_every_head():
    for family in ("Bernoulli", tfp.distributions.Bernoulli):
        d = tfvae.Head(family, (2,))(tf.zeros([3, 4]))
        assert isinstance(d.distribution, Bernoulli)
