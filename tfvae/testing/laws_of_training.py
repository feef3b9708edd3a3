"""Laws of what training does to a model."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae.testing.law_tools import (
    batch_of,
    copy_of,
    require,
    rows_of,
    same_bits,
    state_of,
    with_x,
    x_of,
)


def training_lowers_the_loss(model: Any, data: Any) -> None:
    """Few epochs lower the loss at the objective's final weights, and all numbers are finite."""
    history = model.fit(data, batch_size=20, epochs=8, verbose=0).history
    names = list(model.evaluate(data, verbose=0, return_dict=True))
    require(names == ["elbo", "kl", "log_likelihood", "loss"], f"evaluate gives {names}")
    for name, values in history.items():
        require(np.isfinite(values).all(), f"{name} is not finite: {values}")
    elbo = history["elbo"]
    require(elbo[-1] > elbo[0], f"the ELBO went from {elbo[0]} to {elbo[-1]}")
    for bound, log_likelihood, kl in zip(
        elbo, history["log_likelihood"], history["kl"], strict=True
    ):
        gap = abs(bound - (log_likelihood - kl))
        require(gap < 1e-3, f"elbo differs from log_likelihood - kl by {gap}")
        require(kl >= 0 or not model.has_exact_kl, f"the KL is {kl}")


def gradients_reach_every_weight_of_the_model(model: Any, data: Any) -> None:
    """Each trainable weight has a gradient that is finite and not zero."""
    with tf.GradientTape() as tape:
        draws = model(batch_of(data, 32), training=True)
        loss = sum(tf.reduce_mean(o.loss(draws, tf.constant(3))) for o in model.objectives)
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        require(gradient is not None, f"no gradient reaches {variable.path}")
        require(np.isfinite(gradient).all(), f"the gradient of {variable.path} is not finite")
        require(np.any(np.asarray(gradient) != 0), f"the gradient of {variable.path} is zero")


def training_is_a_function_of_the_seed(model: Any, data: Any) -> None:
    """Two copies take the same steps, bit for bit."""
    copies = [copy_of(model), copy_of(model)]
    for copy in copies:
        _steps(copy, data)
    same_bits(state_of(copies[1]), state_of(copies[0]), "the second copy")


def every_batch_is_counted(model: Any, data: Any) -> None:
    """`batches_seen` goes up by one a step."""
    before = int(model.batches_seen.numpy())
    _steps(model, data)
    seen = int(model.batches_seen.numpy()) - before
    require(seen == 2, f"two steps were counted as {seen}")


def a_bad_update_changes_nothing(model: Any, data: Any) -> None:
    """Where loss or gradient is not finite, weights and optimizer stay, and it is counted."""
    model = copy_of(model)
    batch = batch_of(data, 8)
    bad = with_x(batch, np.full(np.shape(x_of(batch)), np.nan, "float32"))
    before, skipped = state_of(model), int(model.updates_skipped.numpy())
    model.train_step(bad)
    same_bits(state_of(model), before, "state after a batch of NaN")
    require(int(model.updates_skipped.numpy()) == skipped + 1, "the skipped update is not counted")


def a_step_too_steep_is_skipped(model: Any, data: Any) -> None:
    """`skip_above_norm` leaves an update out."""
    model = copy_of(model)
    model.compile(keras.optimizers.SGD(1.0), skip_above_norm=1e-12)
    model.optimizer.build(model.trainable_variables)
    before = state_of(model)
    model.train_step(batch_of(data, 8))
    same_bits(state_of(model), before, "state after a steep batch")


def a_clipped_step_is_short(model: Any, data: Any) -> None:
    """`global_clipnorm` of the optimizer bounds the step."""
    model = copy_of(model, keras.optimizers.SGD(1.0, global_clipnorm=1e-3))
    before = [v.numpy() for v in model.trainable_variables]
    model.train_step(batch_of(data, 8))
    moved = [v.numpy() - b for v, b in zip(model.trainable_variables, before, strict=True)]
    length = np.sqrt(sum(np.sum(np.float64(m) ** 2) for m in moved))
    require(0 < length < 1.1e-3, f"a step of length {length}, clipped to 0.001")


def evaluating_in_between_does_not_change_training(model: Any, data: Any) -> None:
    """Validation and generated pictures leave the next step as it would have been."""
    copies = [copy_of(model), copy_of(model)]
    _steps(copies[0], data)
    _steps(copies[1], data, between=lambda m: m.test_step(batch_of(data, 8)))
    same_bits(state_of(copies[1]), state_of(copies[0]), "the copy that was evaluated")


def several_steps_an_execution_are_the_same_steps(model: Any, data: Any, folder: str) -> None:
    """Blocks of three batches end in the bits of single ones."""
    copies = [copy_of(model), copy_of(model)]
    for copy, steps in zip(copies, (1, 3), strict=True):
        copy.compile(keras.optimizers.Adam(1e-2), steps_per_execution=steps)
        copy.fit(data, batch_size=max(1, rows_of(data) // 7), verbose=0)
    same_bits(state_of(copies[1]), state_of(copies[0]), "three steps at a time")


def a_compiled_step_is_the_same_step(model: Any, data: Any, folder: str) -> None:
    """XLA trains, and evaluates a finite loss afterwards."""
    model = copy_of(model)
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=True)
    history = model.fit(data, batch_size=32, epochs=2, verbose=0).history
    require(np.isfinite(history["loss"]).all(), f"losses under XLA: {history['loss']}")
    require(int(model.updates_skipped.numpy()) == 0, "updates were skipped under XLA")


def _steps(model: Any, data: Any, between: Any = None) -> None:
    """Two eager steps."""
    model.train_step(batch_of(data, 8))
    if between is not None:
        between(model)
    model.train_step(batch_of(data, 8, 8))
