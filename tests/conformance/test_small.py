"""Objectives, schedules and networks; and that every public name has a row."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from conformance import laws, rows

import tfvae
from tfvae import flows, networks, objectives, recipes, schedules
from tfvae.draws import Draws
from tfvae.layers.building import build_once

tfd = tfp.distributions


@pytest.mark.parametrize("row", rows.SCHEDULES)
def test_schedule_is_restored_from_its_config(row):
    schedule = rows.SCHEDULES[row]()
    copy = laws.reloaded(schedule)
    for step in range(25):
        assert float(copy(step)) == float(schedule(step))


def test_linear_goes_from_start_to_end_and_stays():
    linear = schedules.Linear(0.5, 2.0, steps=10)
    assert [float(linear(s)) for s in (0, 5, 10, 1_000)] == [0.5, 1.25, 2.0, 2.0]


def test_cyclical_repeats_itself():
    cyclical = schedules.Cyclical(0.0, 1.0, period=8, ramp=0.25)
    values = [float(cyclical(s)) for s in range(16)]
    assert values[:8] == values[8:] == [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("row", rows.NETWORKS)
def test_network_is_built_by_its_data_and_restored_from_its_config(row):
    builder, shape = rows.NETWORKS[row]
    network = builder()
    x = tf.random.stateless_normal([3, *shape], [0, 1])
    features = network(x)
    assert features.shape[0] == 3
    copy = laws.reloaded(network)
    copy(x)
    copy.set_weights(network.get_weights())
    np.testing.assert_array_equal(copy(x), features)


@pytest.mark.parametrize("row", rows.OBJECTIVES)
def test_objective_gives_a_finite_loss_per_example_and_is_restored(row):
    objective = rows.OBJECTIVES[row]()
    model = recipes.vae((8, 8, 1), objective=objective, **rows.SMALL)
    draws = model(rows.IMAGES[:10])
    assert draws.log_likelihood.shape == (objective.num_samples, 10)
    loss = objective.loss(draws, tf.constant(7))
    assert loss.shape == (10,)
    assert np.isfinite(loss).all()
    copy = laws.reloaded(objective)
    build_once(copy, (None, 3))
    copy.set_weights(objective.get_weights())
    np.testing.assert_array_equal(copy.loss(draws, tf.constant(7)), loss)


@pytest.mark.slow
def test_objectives_agree_in_eager_graph_and_xla():
    """Losses and their gradients to the draws, all in one program, with the update of their state.

    A model's step would be a program for each of them.
    """
    objects = [make() for make in rows.OBJECTIVES.values()]
    for o in objects:
        build_once(o, (None, 3))
    loc, noise, x = (tf.random.stateless_normal(s, [0, 1]) for s in ([10, 3], [5, 10, 3], [10, 4]))
    prior = tfvae.StandardNormal((3,))(None)

    def step(number):
        results = []
        for o in objects:
            with tf.GradientTape() as tape:
                tape.watch(loc)
                z = loc + 0.5 * noise[: o.num_samples]
                q = tfd.Independent(tfd.Normal(loc, 0.5), 1)
                likelihood = tf.reduce_sum(-tf.square(x - tf.reduce_sum(z, -1)[..., None]), -1)
                draws = Draws(z, likelihood, prior.log_prob(z), q.log_prob(z), q, prior)
                loss = o.loss(draws, number)
            gradient = tape.gradient(loss, loc)
            assert gradient is not None, type(o).__name__
            o.update(draws, tf.ones([10]))
            results.append((loss, gradient))
        return results

    state = [[v.numpy() for v in o.variables] for o in objects]
    outcomes = []
    for function in (step, tf.function(step), tf.function(step, jit_compile=True)):
        for o, values in zip(objects, state, strict=True):
            o.set_weights(values)
        outcomes.append(
            (function(tf.constant(3)), [v.numpy() for o in objects for v in o.variables])
        )
    for other in outcomes[1:]:
        for name, eager, compiled in zip(rows.OBJECTIVES, outcomes[0][0], other[0], strict=True):
            for a, b in zip(eager, compiled, strict=True):
                assert np.isfinite(b).all()
                if name == "MMD" and other is outcomes[2]:
                    continue  # XLA draws other numbers from the same seed
                np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3, err_msg=name)
        np.testing.assert_allclose(outcomes[0][1][0], other[1][0], rtol=1e-5)


def test_elbo_weights_the_kl_alone():
    model = recipes.vae((8, 8, 1), **rows.SMALL)
    draws = model(rows.IMAGES[:10], num_samples=4)
    reconstruction = -tf.reduce_mean(draws.log_likelihood, axis=0)
    for beta in (0.0, 0.5, 4.0):
        loss = objectives.ELBO(beta=beta).loss(draws, 0)
        np.testing.assert_allclose(loss, reconstruction + beta * draws.kl, rtol=1e-6)


def test_free_bits_charge_each_dimension_at_least_that_much():
    model = recipes.vae((8, 8, 1), **rows.SMALL)
    draws = model(rows.IMAGES[:10])
    reconstruction = -tf.reduce_mean(draws.log_likelihood)
    per_dimension = np.mean(draws.kl_parts, axis=0)
    for free_bits in (1e-6, 0.05, 100.0):
        loss = tf.reduce_mean(objectives.ELBO(free_bits=free_bits).loss(draws, 0))
        charged = np.maximum(per_dimension, free_bits).sum()
        np.testing.assert_allclose(loss - reconstruction, charged, rtol=1e-4)


def names_in(rows_of_kind):
    """Names of what the rows are for: before the bracket, and in it for a class and its recipe."""
    parts = [part for name in rows_of_kind for part in name.rstrip(")").split("(")]
    return {part.removeprefix("recipes.") for part in parts}


@pytest.mark.parametrize(
    ("module", "kind", "rows_of_kind"),
    [
        (tfvae, tfvae.StochasticLayer, rows.STOCHASTIC | rows.CODES | {"UniformCodes": None}),
        (objectives, objectives.Objective, rows.OBJECTIVES),
        (flows, flows.Flow, rows.FLOWS),
        (schedules, schedules.Schedule, rows.SCHEDULES),
        (tfvae, keras.Model, rows.MODELS),
    ],
    ids=["stochastic", "objectives", "flows", "schedules", "models"],
)
def test_every_public_class_has_a_row(module, kind, rows_of_kind):
    abstract = {"Flow", "StochasticLayer", "Objective", "LatentVariableModel", "Schedule"}
    public = {
        name
        for name, c in vars(module).items()
        if inspect.isclass(c) and issubclass(c, kind) and name not in abstract
    }
    assert public <= names_in(rows_of_kind)


@pytest.mark.parametrize(
    ("module", "rows_of_kind"), [(networks, rows.NETWORKS), (recipes, rows.MODELS | rows.TRAINED)]
)
def test_every_public_function_has_a_row(module, rows_of_kind):
    assert set(module.__all__) <= names_in(rows_of_kind)
