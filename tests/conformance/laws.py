"""The laws: each takes a row and raises `AssertionError` where the row breaks it."""

import numpy as np
import tensorflow as tf

from tfvae.testing.law_tools import reloaded

FEATURES = tf.random.stateless_normal([6, 5], [0, 1])
WITHOUT_INPUTS = {
    "Fixed",
    "Mixture",
    "SphericalUniform",
    "StandardNormal",
    "Trainable",
    "VampPrior",
}


def inputs_of(layer, features=FEATURES):
    """Returns the call's argument: features, or None for layers without inputs."""
    layer = getattr(layer, "base", layer)  # of a flow
    return None if type(layer).__name__ in WITHOUT_INPUTS else features


# ---- stochastic layers
# -----------------------------------------------------------------------------


def draws_have_the_event_shape_and_a_density(layer):
    """Sample and log-density have the shapes of event and batch, in float32."""
    d = layer(inputs_of(layer))
    batch = [] if inputs_of(layer) is None else [6]
    z = d.sample(3, seed=[0, 1])
    assert tuple(d.event_shape) == layer.event_shape
    assert z.shape == [3, *batch, *layer.event_shape]
    assert d.log_prob(z).shape == [3, *batch]
    assert d.log_prob(z).dtype == tf.float32
    assert np.isfinite(d.log_prob(z)).all()


def draws_are_a_function_of_the_seed(layer):
    inputs = inputs_of(layer)
    first, again, other = (layer(inputs).sample(50, seed=[0, s]).numpy() for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def eager_equals_graph(layer):
    def density():
        d = layer(inputs_of(layer))
        return d.log_prob(d.sample(seed=[0, 1]))

    np.testing.assert_allclose(density(), tf.function(density)(), rtol=2e-5, atol=2e-5)


def config_and_weights_restore_it(layer):
    d = layer(inputs_of(layer))
    copy = reloaded(layer)
    copy(inputs_of(copy))
    for variable in layer.trainable_variables:
        noise = tf.random.stateless_normal(variable.shape, [2, 3], stddev=0.1)
        variable.assign(variable.value + noise)
    copy.set_weights(layer.get_weights())
    z = d.sample(seed=[0, 1])
    np.testing.assert_array_equal(
        layer(inputs_of(layer)).log_prob(z), copy(inputs_of(copy)).log_prob(z)
    )


def gradients_reach_every_weight(layer):
    """The log-density's gradient is finite, and is not zero for any weight."""
    layer(inputs_of(layer))
    with tf.GradientTape() as tape:
        d = layer(inputs_of(layer, 0.3 * FEATURES))
        z = tf.stop_gradient(d.sample(20, seed=[0, 1]))
        loss = tf.reduce_mean(d.log_prob(z))
    for variable, gradient in zip(
        layer.trainable_variables, tape.gradient(loss, layer.trainable_variables), strict=True
    ):
        assert gradient is not None, f"no gradient reaches {variable.path}"
        assert np.isfinite(gradient).all(), f"the gradient of {variable.path} is not finite"
        assert np.any(np.asarray(gradient) != 0), f"the gradient of {variable.path} is zero"


def extreme_features_keep_density_and_gradient_finite(layer):
    """Features a thousand times too large must not give NaN or infinity at any draw."""
    if inputs_of(layer) is None:
        return
    layer(FEATURES)
    with tf.GradientTape() as tape:
        d = layer(1e3 * FEATURES)
        moderate = tf.stop_gradient(layer(FEATURES).sample(seed=[0, 1]))
        log_prob = d.log_prob(moderate)
    assert np.isfinite(log_prob).all()
    for gradient in tape.gradient(log_prob, layer.trainable_variables):
        assert np.isfinite(gradient).all()


def draws_follow_the_density(layer):
    """The score, the gradient of the log-density of own draws, has mean zero in every weight.

    E[d log q(z) / d w] = d/dw of the integral of q = 0 holds only if z is drawn from q.
    """
    features = inputs_of(layer, 0.3 * FEATURES)
    layer(features)
    weights = layer.trainable_variables
    if not weights:
        return

    @tf.function
    def score(seed):
        with tf.GradientTape() as tape:
            d = layer(features)
            log_prob = d.log_prob(tf.stop_gradient(d.sample(400, seed=seed)))
            mean = tf.reduce_mean(log_prob)
        return tape.gradient(mean, weights, unconnected_gradients="zero")

    scores = [score(tf.constant([7, repeat])) for repeat in range(30)]
    scores = np.array([np.concatenate([np.ravel(g) for g in s]) for s in scores], "float64")
    error = scores.std(axis=0, ddof=1) / np.sqrt(len(scores)) + 1e-6
    assert np.max(np.abs(scores.mean(axis=0)) / error) < 6.0


STOCHASTIC_LAWS = [
    draws_have_the_event_shape_and_a_density,
    draws_are_a_function_of_the_seed,
    eager_equals_graph,
    config_and_weights_restore_it,
    gradients_reach_every_weight,
    extreme_features_keep_density_and_gradient_finite,
    draws_follow_the_density,
]
