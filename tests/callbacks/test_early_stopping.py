"""Early stopping counts no epoch of a warm-up."""

import types

import keras
import numpy as np
import pytest

from tfvae import objectives, schedules
from tfvae.callbacks import EarlyStopping
from tfvae.schedules import is_over

# The ELBO is highest while the KL costs nothing: by the ELBO alone, training would stop at once.
FALLING = [-10.0, -20.0, -30.0, -29.0, -28.0, -28.5, -28.6, -27.0]


def stopped_at(callback, elbos, beta, steps_an_epoch=10):
    """Returns the epoch at which a callback stops a training with these ELBOs, and its best."""
    optimizer = types.SimpleNamespace(iterations=np.int64(0))
    model = types.SimpleNamespace(
        optimizer=optimizer,
        objectives=[objectives.ELBO(beta=beta)],
        stop_training=False,
        get_weights=lambda: [],
    )
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, elbo in enumerate(elbos):
        optimizer.iterations = np.int64((epoch + 1) * steps_an_epoch)
        callback.on_epoch_end(epoch, {"val_elbo": elbo})
        if model.stop_training:
            return epoch, callback.best
    return None, callback.best


@pytest.mark.parametrize(
    "beta",
    [
        schedules.Linear(0.0, 1.0, steps=30),
        schedules.Cyclical(0.0, 1.0, period=60, ramp=0.5),
        keras.optimizers.schedules.PolynomialDecay(0.001, 30, end_learning_rate=1.0),
    ],
)
def test_epochs_of_a_warm_up_count_for_nothing(beta):
    assert stopped_at(EarlyStopping(patience=2), FALLING, beta) == (6, -28.0)


def test_without_a_warm_up_it_is_keras_own():
    """The mutant: the class that it is made from stops in the middle of the warm-up."""
    warm_up = schedules.Linear(0.0, 1.0, steps=30)
    plain = keras.callbacks.EarlyStopping("val_elbo", mode="max", patience=2)
    for callback, beta in ((plain, warm_up), (EarlyStopping(patience=2), 1.0)):
        assert stopped_at(callback, FALLING, beta) == (2, -10.0)


def test_schedules_are_over_where_they_stay():
    linear = schedules.Linear(0.0, 1.0, steps=100)
    assert [is_over(linear, s) for s in (0, 99, 100, 10**6)] == [False, False, True, True]
    cyclical = schedules.Cyclical(0.0, 1.0, period=10, ramp=0.25)
    assert [is_over(cyclical, s) for s in (2, 3, 11)] == [False, True, True]
    decay = keras.optimizers.schedules.ExponentialDecay(1.0, 100, 0.5)
    assert [is_over(decay, s) for s in (0, 100, 1_000)] == [False, False, True]


def test_the_defaults_are_the_elbo_of_the_validation():
    callback = EarlyStopping()
    assert (callback.monitor, callback.mode) == ("val_elbo", "max")
