"""The laws: each takes a row and raises `AssertionError` where the row breaks it."""

import os

import keras
import numpy as np
import tensorflow as tf

import tfvae
from tfvae import evaluation
from tfvae.distributions import center, observed_log_prob

FEATURES = tf.random.stateless_normal([6, 5], [0, 1])
WITHOUT_INPUTS = {
    "Fixed",
    "Mixture",
    "SphericalUniform",
    "StandardNormal",
    "Trainable",
    "VampPrior",
}


def reloaded(layer):
    """Returns a layer made from the config that the layer saves."""
    return keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))


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


STOCHASTIC_LAWS = [
    draws_have_the_event_shape_and_a_density,
    draws_are_a_function_of_the_seed,
    eager_equals_graph,
    config_and_weights_restore_it,
    gradients_reach_every_weight,
    extreme_features_keep_density_and_gradient_finite,
]


# ---- models
# ----------------------------------------------------------------------------------------


def batch_of(data, rows):
    return tf.nest.map_structure(lambda a: a[:rows], data)


def parts(model, data):
    """Deterministic numbers of a forward pass: nothing in them depends on the generator."""
    posterior = model.encode(data)
    if isinstance(posterior, tuple):
        numbers = {f"mean {level}": q.mean() for level, q in enumerate(posterior)}
        return numbers | {"log_likelihood": model.decode([*numbers.values()]).log_prob(data)}
    condition = data.get("condition") if isinstance(data, dict) else None
    x, mask = (data["x"], data.get("mask")) if isinstance(data, dict) else (data, None)
    mean, prior = center(posterior), model.prior(condition)
    if isinstance(model.prior, tfvae.SphericalUniform):
        mean = tf.math.l2_normalize(mean, axis=-1)
    return {
        "mean": mean,
        "log_likelihood": observed_log_prob(model.decode(mean, condition), x, mask),
        "log_prior": prior.log_prob(mean),
        "log_posterior": posterior.log_prob(mean),
    }


def training_lowers_the_loss(model, data):
    """Few epochs lower the loss at the objective's final weights, and all numbers are finite."""
    history = model.fit(data, batch_size=20, epochs=8, verbose=0).history
    assert list(model.evaluate(data, verbose=0, return_dict=True)) == list(
        dict.fromkeys(["elbo", "kl", "log_likelihood", "loss"])
    )
    for name, values in history.items():
        assert np.isfinite(values).all(), name
    assert history["elbo"][-1] > history["elbo"][0]
    for elbo, log_likelihood, kl in zip(
        history["elbo"], history["log_likelihood"], history["kl"], strict=True
    ):
        assert abs(elbo - (log_likelihood - kl)) < 1e-3
        assert kl >= 0 or not model.has_exact_kl


def eager_equals_graph_and_xla(model, data):
    batch = tf.nest.map_structure(tf.constant, batch_of(data, 16))
    eager = parts(model, batch)
    for jit_compile in (False, True):
        compiled = tf.function(lambda b: parts(model, b), jit_compile=jit_compile)(batch)
        for name, value in eager.items():
            np.testing.assert_allclose(value, compiled[name], rtol=2e-4, atol=2e-4, err_msg=name)


def gradients_reach_every_weight_of_the_model(model, data):
    with tf.GradientTape() as tape:
        draws = model(batch_of(data, 32), training=True)
        loss = sum(tf.reduce_mean(o.loss(draws, tf.constant(3))) for o in model.objectives)
    for variable, gradient in zip(
        model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True
    ):
        assert gradient is not None, f"no gradient reaches {variable.path}"
        assert np.isfinite(gradient).all(), f"the gradient of {variable.path} is not finite"
        assert np.any(np.asarray(gradient) != 0), f"the gradient of {variable.path} is zero"


def batching_does_not_bend_the_metrics(model, data):
    """The exact KL and the evaluation's mean are the same however the rows are split."""
    results = [model.evaluate(data, batch_size=b, verbose=0, return_dict=True) for b in (7, 64, 96)]
    if model.has_exact_kl and not isinstance(model, tfvae.LadderVAE):  # its levels see draws
        exact = [r["kl"] for r in results]
        np.testing.assert_allclose(exact, exact[0], rtol=1e-6)
    spread = np.ptp([r["log_likelihood"] for r in results])
    assert spread < 0.2 * abs(results[0]["log_likelihood"])


def evaluating_changes_nothing(model, data):
    before = [v.numpy() for v in model.variables]
    first = model.evaluate(data, batch_size=40, verbose=0)
    model.predict(data, verbose=0)
    assert model.evaluate(data, batch_size=40, verbose=0) == first
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def predictions_are_never_random(model, data):
    first, again = model.predict(data, verbose=0), model.predict(data, verbose=0)
    np.testing.assert_array_equal(first, again)
    assert first.shape == (96, *model.event_shape)


def generated_examples_follow_the_seed(model, data):
    condition = data["condition"][:4] if "condition" in data else None
    for draw in (False, True):
        first, again, other = (
            model.generate(4, condition, seed=s, draw=draw).numpy() for s in (1, 1, 2)
        )
        assert first.shape == (4, *model.event_shape)
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)


def saving_restores_it_and_training_goes_on(model, data, folder, train=True):
    """Outputs and, with `train`, the next epoch of a loaded model equal the original's bits."""
    path = os.path.join(folder, "model.keras")
    model.save(path)
    copy = keras.saving.load_model(path)
    np.testing.assert_array_equal(model.predict(data, verbose=0), copy.predict(data, verbose=0))
    assert model.evaluate(data, verbose=0) == copy.evaluate(data, verbose=0)
    if not train:
        return
    if any(isinstance(layer, keras.layers.Dropout) for layer in model._flatten_layers()):
        return  # Keras does not save the state of a dropout's generator
    histories = [
        m.fit(data, batch_size=20, shuffle=False, verbose=0).history for m in (model, copy)
    ]
    assert histories[0] == histories[1]


def config_restores_it(model, data):
    if isinstance(getattr(model, "prior", None), tfvae.VampPrior | tfvae.UniformCodes):
        return  # a config alone makes two of a shared layer; a saved model does not
    copy = reloaded(model)
    copy.encode(batch_of(data, 2))
    copy.set_weights(model.get_weights())
    batch = batch_of(data, 8)
    np.testing.assert_array_equal(model.reconstruct(batch), copy.reconstruct(batch))


def the_bound_lies_below_the_evidence(model, data):
    """E[ELBO] <= E[IWAE_50], row for row within Monte Carlo error."""
    elbo = evaluation.elbo(model, data, num_samples=50)
    evidence = evaluation.log_evidence(model, data, num_samples=50).log_evidence
    assert np.mean(evidence) >= np.mean(elbo) - 0.05


MODEL_LAWS = [
    training_lowers_the_loss,
    eager_equals_graph_and_xla,
    gradients_reach_every_weight_of_the_model,
    batching_does_not_bend_the_metrics,
    evaluating_changes_nothing,
    predictions_are_never_random,
    generated_examples_follow_the_seed,
    config_restores_it,
    the_bound_lies_below_the_evidence,
]

# Laws that compile programs of their own.
COSTLY_LAWS = [
    eager_equals_graph_and_xla,
    batching_does_not_bend_the_metrics,
    evaluating_changes_nothing,
    predictions_are_never_random,
]
