"""The scale that fits the decoder's errors best."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfvae import CalibratedNormal, recipes
from tfvae.distributions import observed_log_prob

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(8, 3)).astype("float32")
X = RNG.normal(size=(8, 4)).astype("float32")


def layer_and_errors(**arguments):
    layer = CalibratedNormal((4,), **arguments)
    errors = X - layer(FEATURES).mean().numpy()
    return layer, errors


def scale_is_the_most_likely_one(density):
    """No other scale of a normal gives the batch a higher log-density."""
    layer, errors = layer_and_errors()
    total = float(np.sum(density(layer(FEATURES, training=True))))
    scales = np.geomspace(0.1, 10.0, 2_001)
    best = max(stats.norm.logpdf(errors, scale=s).sum() for s in scales)
    assert total == pytest.approx(best, abs=1e-3)


def test_in_training_the_scale_is_the_most_likely_one():
    scale_is_the_most_likely_one(lambda d: d.log_prob(X))
    with pytest.raises(AssertionError):  # the scale of the first row alone
        scale_is_the_most_likely_one(lambda d: d.log_prob(X[:1]) * 8)


def test_missing_entries_do_not_count_in_the_scale():
    layer, errors = layer_and_errors()
    mask = RNG.random(X.shape) < 0.5
    scale = np.sqrt(np.mean(errors[mask] ** 2))
    value = observed_log_prob(layer(FEATURES, training=True), np.where(mask, X, np.nan), mask)
    expected = (stats.norm.logpdf(errors, scale=scale) * mask).sum(-1)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_the_gradient_is_that_of_the_log_of_the_mean_square_error():
    """-log N(x | f, s**2 I) at its best s is (D / 2) log MSE and a constant (section 3.2)."""
    layer, _ = layer_and_errors()
    kernel = layer.head.projection.kernel.value
    with tf.GradientTape(persistent=True) as tape:
        log_density = tf.reduce_sum(layer(FEATURES, training=True).log_prob(X))
        mean_square = tf.reduce_mean((X - layer(FEATURES).mean()) ** 2)
        expected = -0.5 * X.size * tf.math.log(mean_square)
    np.testing.assert_allclose(
        tape.gradient(log_density, kernel), tape.gradient(expected, kernel), rtol=1e-4, atol=1e-5
    )


def test_outside_of_training_the_scale_is_the_running_one():
    layer, errors = layer_and_errors(momentum=0.5)
    np.testing.assert_allclose(layer(FEATURES).stddev(), 1.0)
    mean_squares = []
    for shift in (0.0, 3.0):
        layer(FEATURES, training=True).log_prob(X + shift)
        mean_squares.append(np.mean((errors + shift) ** 2))
    running = (0.5 * mean_squares[0] + mean_squares[1]) / 1.5
    np.testing.assert_allclose(layer(FEATURES).stddev(), np.sqrt(running), rtol=1e-5)
    before = layer.get_weights()
    layer(FEATURES, training=False).log_prob(X + 100.0)
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_errors_of_zero_meet_the_floor():
    layer, errors = layer_and_errors()
    log_prob = layer(FEATURES, training=True).log_prob(X - errors)
    np.testing.assert_allclose(log_prob, 4 * stats.norm.logpdf(0.0, scale=1e-3), rtol=1e-4)


def test_a_sigma_vae_finds_the_noise_of_its_data():
    """Data on a line with noise of 0.3: whatever their unit, the scale comes out, in `evaluate`."""
    z = RNG.normal(size=(512, 1))
    line = z @ RNG.normal(size=(1, 6)) + 0.3 * RNG.normal(size=(512, 6))
    model = recipes.sigma_vae((6,), latent_size=1, units=(16,), seed=0)
    model.compile(keras.optimizers.Adam(1e-2), steps_per_execution=8, jit_compile=False)
    model.fit(line, batch_size=64, epochs=40, verbose=0)
    assert float(model.decode([[0.0]]).stddev()[0, 0]) == pytest.approx(0.3, rel=0.15)
    first, again = (model.evaluate(line, batch_size=b, verbose=0) for b in (64, 64))
    assert first == again


@pytest.mark.parametrize("momentum", [1.0, -0.1, np.nan])
def test_momentum_is_a_weight(momentum):
    with pytest.raises(ValueError, match="`momentum` must be"):
        CalibratedNormal((4,), momentum=momentum)
