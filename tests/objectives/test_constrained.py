"""GECO's multiplier and the capacity: which way they push, and what training does to them."""

import keras
import linear_gaussian as exact
import numpy as np
import pytest
import tensorflow as tf

from tfvae import recipes, schedules
from tfvae.draws import Draws
from tfvae.objectives import Capacity, Constrained


def draws_with(error, kl=1.0):
    """Draws whose reconstruction errors and KL are these, by example."""
    error = tf.convert_to_tensor([error], tf.float32)
    return Draws(None, -error, -kl * tf.ones_like(error), tf.zeros_like(error))


def moved(objective, *errors, weight=None):
    """Returns the multiplier after batches of these errors."""
    for error in errors:
        ones = tf.ones(len(error)) if weight is None else tf.constant(weight)
        objective.update(draws_with(error), ones)
    return float(objective.multiplier)


def check_follows_the_constraint(make):
    """Up while the error is above the tolerance, down below it, still at it."""
    assert moved(make(10.0), [10.0, 14.0]) > 1.0
    assert moved(make(10.0), [10.0, 6.0]) < 1.0
    assert moved(make(10.0), [8.0, 12.0]) == 1.0
    # The first average is that of the first batch; later ones remember it.
    assert moved(make(10.0), [10.5]) == pytest.approx(np.exp(0.01 * 0.5))
    first, second = 0.5, (0.99 * 0.5 - 0.3) / 1.99
    assert moved(make(10.0), [10.5], [9.7]) == pytest.approx(
        np.exp(0.01 * (first + second)), rel=1e-4
    )


class WrongWay(Constrained):
    """Mutant: the multiplier falls while the constraint is broken."""

    def update(self, draws, weight):
        before = tf.identity(self._log_multiplier.value)
        super().update(draws, weight)
        self._log_multiplier.assign(2 * before - self._log_multiplier)


class NoMemory(Constrained):
    """Mutant: the last batch alone."""

    def __init__(self, tolerance):
        super().__init__(tolerance, rate=0.01, decay=0.0)


def test_the_multiplier_follows_the_constraint():
    with pytest.raises(AssertionError):
        check_follows_the_constraint(lambda t: WrongWay(t, rate=0.01))
    with pytest.raises(AssertionError):
        check_follows_the_constraint(NoMemory)
    check_follows_the_constraint(lambda t: Constrained(t, rate=0.01))


def test_the_multiplier_is_bounded_and_examples_count_by_weight():
    assert moved(Constrained(0.0, rate=0.1), [1e9]) == pytest.approx(np.e)
    assert moved(Constrained(0.0, rate=100.0), [1e9]) == pytest.approx(1e6, rel=1e-3)
    assert moved(Constrained(0.0, rate=100.0), [-1e9]) == pytest.approx(1e-6, rel=1e-3)
    weighed = moved(Constrained(10.0), [10.5, 999.0], weight=[2.0, 0.0])
    assert weighed == pytest.approx(moved(Constrained(10.0), [10.5]))
    assert moved(Constrained(10.0), [999.0], weight=[0.0]) == 1.0


def test_the_loss_is_the_lagrangian_and_looking_at_it_moves_nothing():
    objective = Constrained(10.0, rate=0.1)
    moved(objective, [30.0])
    loss = objective.loss(draws_with([12.0, 7.0], kl=3.0), 0)
    np.testing.assert_allclose(loss, 3.0 + np.e * np.array([2.0, -3.0]), rtol=1e-5)
    assert float(objective.multiplier) == pytest.approx(np.e)


X = (np.random.default_rng(0).normal(size=(96, 6)) * [3, 2, 1, 1, 1, 1]).astype("float32")


def constrained(tolerance, steps=1, **arguments):
    model = exact.model(6, 2, Constrained(tolerance, **arguments))
    p = exact.ppca(X, 2)
    exact.set_parameters(model, p._replace(sigma=1.0))
    model.decoder.trainable = False
    model.compile(keras.optimizers.Adam(3e-2), steps_per_execution=steps)
    return model


def test_training_meets_the_constraint_at_the_least_kl():
    """At a fixed decoder the best posterior is that of likelihood**multiplier, in closed form."""
    tolerance = 11.0
    model = constrained(tolerance, steps=8, rate=0.02, decay=0.9, num_samples=10)
    model.fit(X, batch_size=48, epochs=300, verbose=0)
    result = model.evaluate(X, verbose=0, return_dict=True)
    assert -result["log_likelihood"] == pytest.approx(tolerance, abs=0.1)
    p = exact.get_parameters(model)
    tempered = p._replace(sigma=p.sigma / np.sqrt(float(model.objective.multiplier)))
    a, c, covariance = exact.exact_posterior(tempered)
    best = p._replace(a=a, c=c, s=np.sqrt(np.diag(covariance)))
    assert result["kl"] == pytest.approx(exact.kl_to_prior(best, X).mean(), rel=0.05)
    assert abs(exact.kl_to_prior(exact.ppca(X, 2), X).mean() - result["kl"]) > 0.3  # the ELBO's


def state(model):
    return [v.numpy() for v in model.objective.variables]


def test_a_skipped_update_leaves_the_multiplier():
    model = constrained(8.0)
    model.check_data = False
    model.train_on_batch(X[:8])
    before = state(model)
    broken = X[:8].copy()
    broken[0] = np.nan
    model.train_on_batch(broken)
    assert int(model.updates_skipped) == 1
    np.testing.assert_array_equal(before, state(model))
    model.train_on_batch(X[:8])
    assert state(model) != before
    model.evaluate(X, verbose=0)
    after = state(model)
    model.evaluate(X, verbose=0)
    np.testing.assert_array_equal(after, state(model))


def test_several_steps_an_execution_move_it_to_the_same_place():
    states = []
    for steps in (1, 4):
        model = constrained(8.0, steps)
        model.fit(X, batch_size=16, epochs=2, shuffle=False, verbose=0)
        states.append(state(model))
    assert np.any(np.array(states[0]) != 0)
    np.testing.assert_array_equal(*states)


# ---- capacity


def test_capacity_prices_the_distance_of_the_kl():
    objective = Capacity(schedules.Linear(0.0, 4.0, steps=10), weight=7.0)
    for step, kl in ((0, 0.0), (0, 3.0), (5, 3.0), (5, 1.0), (10, 4.0), (99, 4.0)):
        target = min(step / 10, 1.0) * 4.0
        loss = objective.loss(draws_with([5.0], kl), tf.constant(step))
        np.testing.assert_allclose(loss, 5.0 + 7.0 * abs(kl - target), rtol=1e-6)


def test_training_brings_the_kl_to_the_capacity():
    """The ELBO alone ends at 1.8 nats."""
    model = recipes.capacity_vae(
        (6,), capacity=3.0, steps=1, latent_size=2, units=(8,), likelihood="Normal", seed=0
    )
    model.compile(keras.optimizers.Adam(2e-2))
    model.fit(X, batch_size=48, epochs=60, verbose=0)
    kl = model.evaluate(X, verbose=0, return_dict=True)["kl"]
    assert kl == pytest.approx(3.0, rel=0.15)
