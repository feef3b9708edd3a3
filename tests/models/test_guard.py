"""Steps that leave the finite numbers: skipped, counted, named; the last good weights stay."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae.models import guard
from tfvae.models.diagnosis import describe_first

MARK = 7.0  # in the first column of a row that poisons what meets it
GOOD = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")
BAD = np.where(np.arange(3) == 0, MARK, GOOD[:8]).astype("float32")


@keras.saving.register_keras_serializable("tests")
class Poison(keras.layers.Layer):
    """Passes features on; for marked rows, one of output, loss or gradient is NaN."""

    def __init__(self, where="output", **kwargs):
        super().__init__(**kwargs)
        self.where = where

    def call(self, x):
        is_marked = tf.equal(x[:, :1], MARK)
        if self.where == "loss":
            self.add_loss(tf.reduce_sum(tf.where(is_marked, np.nan, 0.0)))
            return x
        if self.where == "output":
            return tf.where(is_marked, np.nan, x)
        # The derivative of a root at zero is infinite, that of its unused branch is infinity * 0.
        return tf.where(is_marked, x, x + 0.0 * tf.sqrt(tf.where(is_marked, 0.0, 1.0) * x**2))


@tf.custom_gradient
def with_nan_gradient(x, is_marked):
    return tf.identity(x), lambda g: (tf.where(is_marked, np.nan, g), None)


@keras.saving.register_keras_serializable("tests")
class PoisonGradient(keras.layers.Layer):
    """Passes features on; the gradient that comes back through a marked row is NaN."""

    def call(self, x):
        return with_nan_gradient(x, tf.equal(x[:, :1], MARK))


def small(*first, latent=2, **arguments):
    with tfvae.random.seeded_initializers(0):
        network = keras.Sequential([*first, keras.layers.Dense(4, "tanh")])
        return tfvae.VAE(
            tfvae.Conditional(network, tfvae.Head("Normal", (latent,))),
            tfvae.Conditional(
                tfvae.networks.mlp([4]), tfvae.Head("Normal", (3,), fixed={"scale": 1.0})
            ),
            **{"seed": 0} | arguments,
        )


def trained(model, x, **how):
    model.compile(keras.optimizers.SGD(1e-2, momentum=0.9), **how)
    model.fit(x, batch_size=8, shuffle=False, verbose=0)
    return model


def state(model):
    return [v.numpy() for v in (*model.trainable_variables, *model.optimizer.variables)]


def assert_trained_alike(model, other):
    for a, b in zip(state(model), state(other), strict=True):
        np.testing.assert_array_equal(a, b)


def as_dataset(x):
    return tf.data.Dataset.from_tensor_slices(x).batch(8)


LONG = np.concatenate([GOOD, np.tile(BAD, (40, 1))])


@pytest.mark.parametrize("data", [LONG, as_dataset(LONG)], ids=["array", "dataset"])
@pytest.mark.parametrize("steps", [1, 4])
def test_many_in_a_row_end_training_with_the_last_good_weights(data, steps):
    model = small(Poison())
    expected = trained(small(Poison()), GOOD)
    with pytest.raises(tfvae.NumericalError) as error:
        trained(model, data, steps_per_execution=steps)
    assert "updates in a row" in str(error.value)
    assert "the output of encoder.network.layers[0] (Poison)" in str(error.value)
    assert_trained_alike(model, expected)
    assert int(model.updates_skipped) < 40  # and not at the end of all batches
    assert int(model.batches_seen) == 3 + int(model.updates_skipped)


def test_a_guard_that_updates_anyway_is_found_out(monkeypatch):
    """Mutant: the same comparison rejects it."""
    monkeypatch.setattr(guard, "either", lambda ok, update, undo, *values: update(*values))
    expected = trained(small(Poison()), GOOD)
    model = trained(small(Poison()), LONG)
    with pytest.raises(AssertionError):
        assert_trained_alike(model, expected)


@pytest.mark.parametrize(
    ("bad", "limit", "raises"),
    [(9, 10, False), (10, 10, True), (12, None, False), (3, 3, True)],
)
def test_as_many_as_allowed(bad, limit, raises):
    """A good batch in between begins a new count."""
    model = small(Poison())
    model.max_skipped = limit
    rows = np.concatenate([np.tile(BAD, (bad, 1)), GOOD[:8], np.tile(BAD, (max(bad - 1, 0), 1))])
    if raises:
        with pytest.raises(tfvae.NumericalError, match=f"{bad} updates in a row"):
            trained(model, rows)
    else:
        trained(model, rows)
    assert int(model.optimizer.iterations) == 1


def test_a_compiled_block_ends_too():
    model = small(Poison())
    with pytest.raises(tfvae.NumericalError, match="layers\\[0\\] \\(Poison\\)"):
        trained(model, LONG, steps_per_execution=4, jit_compile=True)
    assert all(np.isfinite(v).all() for v in state(model))


def nan_variable(model, owner):
    variable = next(v for v in model.trainable_variables if owner in v.path)
    variable.assign(np.nan * variable)


@keras.saving.register_keras_serializable("tests")
class NaNObjective(tfvae.objectives.ELBO):
    """The ELBO of marked rows is fine, and its loss is NaN."""

    def loss(self, draws, step):
        return super().loss(draws, step) * np.nan


CULPRITS = {
    "the data": (lambda: small(), np.full_like(BAD, np.nan)),
    "the output of encoder.network.layers[0] (Poison)": (lambda: small(Poison()), BAD),
    "the extra losses of the layers": (lambda: small(Poison("loss")), BAD),
    "the gradient of": (lambda: small(keras.layers.Dense(3), PoisonGradient()), None),
    "the log-likelihood, log p(x|z)": (lambda: small(), np.full_like(BAD, 1e30)),
    "the loss of NaNObjective": (lambda: small(objective=NaNObjective()), BAD),
    "unknown": (lambda: small(), BAD),
}


@pytest.mark.parametrize("culprit", CULPRITS)
def test_what_left_the_numbers_first_is_named(culprit):
    """The batch is run again layer by layer, and that changes nothing."""
    make, batch = CULPRITS[culprit]
    model = make()
    model.compile("sgd")
    model.encode(GOOD)
    if batch is None:  # a marked row behind the first layer
        model.encoder.network.layers[0].kernel.assign(np.eye(3))
        batch = BAD
    before = [v.numpy() for v in model.variables]
    assert describe_first(model, [GOOD, batch]).startswith(culprit)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    assert not any("call" in vars(layer) for layer in model._flatten_layers())


STEEP = np.concatenate([GOOD[:8], 1e3 * GOOD[8:16], GOOD[16:]])


@pytest.mark.parametrize("steps", [1, 3])
def test_a_norm_above_the_limit_is_skipped(steps):
    model = trained(small(), STEEP, skip_above_norm=100.0, steps_per_execution=steps)
    assert (int(model.batches_seen), int(model.updates_skipped)) == (3, 1)
    assert int(model.optimizer.iterations) == 2
    free = trained(small(), STEEP)
    assert int(free.updates_skipped) == 0
    norms = [np.abs(m.trainable_variables[0].numpy()).max() for m in (model, free)]
    assert norms[1] > 2 * norms[0]


def test_the_limit_is_of_the_gradient_before_loss_scaling():
    model = small()
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1e-2), initial_scale=2.0**12)
    model.compile(scaled, skip_above_norm=100.0)
    model.fit(STEEP, batch_size=8, shuffle=False, verbose=0)
    assert (int(model.updates_skipped), int(scaled.inner_optimizer.iterations)) == (1, 2)


def test_the_limit_is_saved_and_refused_where_it_is_no_limit(tmp_path):
    model = trained(small(), GOOD, skip_above_norm=100.0)
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").skip_above_norm == 100.0
    for limit in (0.0, -1.0, float("nan"), "1"):
        with pytest.raises((ValueError, TypeError), match="`skip_above_norm` must be"):
            model.compile("sgd", skip_above_norm=limit)


def test_replicas_share_limit_and_streak(replicas):
    """The norm is that of the whole batch's gradient, which one replica alone makes large."""
    steep = np.concatenate([GOOD[:8], GOOD[8:12], 1e3 * GOOD[12:16], GOOD[16:]])
    with replicas.scope():
        model = small(Poison())
        trained(model, steep, skip_above_norm=100.0)
    assert (model.updates_skipped.numpy(), model.optimizer.iterations.numpy()) == (1, 2)
    before = state(model)
    with pytest.raises(tfvae.NumericalError, match="10 updates in a row"):
        model.fit(np.tile(BAD, (10, 1)), batch_size=8, shuffle=False, verbose=0)
    for a, b in zip(state(model), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("steps", [1, 3])
def test_a_learning_rate_that_is_no_number_changes_nothing(steps):
    """As a callback or a schedule may make it; of the gradients all are finite."""
    model = small()
    model.compile(keras.optimizers.SGD(1e-2), steps_per_execution=steps)
    model.encode(GOOD)
    before = [v.numpy() for v in model.trainable_variables]
    broken = keras.callbacks.LearningRateScheduler(lambda epoch: float("nan"))
    with pytest.raises(tfvae.NumericalError, match="numbers: the learning rate, nan"):
        model.fit(GOOD, batch_size=8, epochs=5, verbose=0, callbacks=[broken])
    for variable, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -1.0])
def test_an_optimizer_that_cannot_descend_is_refused(rate):
    for optimizer in (keras.optimizers.SGD, keras.optimizers.Adam):
        with pytest.raises(ValueError, match="`optimizer` must have a learning rate .*Received"):
            small().compile(optimizer(rate))


def test_gradients_whose_squares_leave_float32_are_named():
    model = tfvae.VAE(
        tfvae.Conditional(keras.layers.Dense(4, "tanh"), tfvae.Head("Normal", (2,))),
        tfvae.Conditional(keras.layers.Dense(4), tfvae.Head("Normal", (3,), fixed={"scale": 1e-4})),
    )
    model.compile("sgd")
    model.build((None, 3))
    assert describe_first(model, [1e13 * GOOD]) == "the gradient's norm, inf"


def test_a_loss_scale_that_collapses_is_named():
    """Keras halves it for ever."""
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1e-2), initial_scale=2.0**-18)
    model = small(keras.layers.Dense(3), PoisonGradient())
    model.encode(GOOD)
    model.encoder.network.layers[0].kernel.assign(np.eye(3))
    model.compile(scaled)
    before = [v.numpy() for v in model.trainable_variables]
    with pytest.raises(tfvae.NumericalError, match="a scale that has fallen to .*mixed_bfloat16"):
        model.fit(np.tile(BAD, (6, 1)), batch_size=8, verbose=0)
    for variable, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.parametrize(
    ("trained", "before", "after", "expected"),
    [
        ([[1.0, 2.0]], [1.0], [2.0], True),
        ([[1.0, math.inf]], [1.0], [1.0], False),
        ([1.0], [1.0], [math.nan], False),
        ([1.0], [math.inf, 1.0], [math.inf, 2.0], True),
        ([1.0], [math.inf, 1.0], [2.0, math.nan], False),
        ([1.0, tf.constant(math.nan, tf.float64)], [], [], False),
        (
            [1.0],
            [tf.constant(1.0, tf.float64), 1.0],
            [tf.constant(math.nan, tf.float64), 1.0],
            False,
        ),
        ([tf.constant(7)], [tf.constant(7)], [tf.constant(8)], True),
    ],
)
def test_what_was_never_finite_is_no_mark_of_a_faulty_update(trained, before, after, expected):
    sides = [[tf.convert_to_tensor(v) for v in side] for side in (trained, before, after)]
    assert bool(guard.still_finite(*sides)) is expected
