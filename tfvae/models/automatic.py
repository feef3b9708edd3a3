"""What "auto" means for `steps_per_execution` and `jit_compile`.

Both are functions of model, data and arguments alone, never of a clock: the noise of an XLA program
is not that of a graph, and equal runs must give equal bits.
"""

import logging
from typing import Any

import keras
import numpy as np
import tensorflow as tf

log = logging.getLogger("tfvae")

MOST_STEPS = 64  # in a block; more gain nothing
BLOCK_WORK = 4e9  # weights times rows in a block: about a quarter of a second on two cores
BLOCK_BYTES = 2**26  # of a block's batches
CONVOLUTION_STEPS = 8  # in a block, where a weight works at many places
REPAID_AFTER = 2_000  # training steps, in which a CPU gains what the compilation cost
DRAWS_PER_STEP = 1_000  # decoded draws that gain by XLA what a training step gains
TESTS_PER_STEP = 3  # evaluated batches that take the time of a training step


def steps(model: keras.Model, batch_size: int, num_batches: int | None, callbacks: Any) -> int:
    """Returns how many steps make a program: as many as take a fraction of a second.

    One, if a callback of the user's looks at each batch.
    """
    if any(_looks_at_batches(c) for c in _listed(callbacks)):
        return 1
    weights = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    limits = (
        CONVOLUTION_STEPS if has_convolutions(model) else MOST_STEPS,
        BLOCK_WORK / max(weights * batch_size, 1),
        BLOCK_BYTES / (4 * batch_size * int(np.prod(model.event_shape))),
        num_batches or MOST_STEPS,
    )
    return max(int(min(limits)), 1)


def with_xla(model: keras.Model, num_steps: float | None) -> bool:
    """Returns whether XLA pays for so many training steps to come, and logs why.

    Args:
        model: A built model.
        num_steps: Steps to come; None if not known.
    """
    chosen, reason = _choice(model, num_steps)
    log.info("jit_compile='auto': XLA is %s, for %s.", "used" if chosen else "not used", reason)
    return chosen


def has_convolutions(model: keras.Model) -> bool:
    """Returns whether a layer of the model is a convolution."""
    return any("Conv" in type(layer).__name__ for layer in _layers(model))


def has_accelerator() -> bool:
    """Returns whether TensorFlow sees a device that is no CPU."""
    return any(d.device_type != "CPU" for d in tf.config.list_logical_devices())


def _choice(model: keras.Model, num_steps: float | None) -> tuple[bool, str]:
    refusing = [layer for layer in _layers(model) if not layer.supports_jit]
    if refusing:
        return False, f"layer {refusing[0].name!r} does not support it"
    if has_accelerator():
        return True, "there is an accelerator"
    if has_convolutions(model):
        return False, "its convolutions are slow on a CPU"
    if num_steps is None:
        return False, "the number of steps is not known"
    repaid = num_steps >= REPAID_AFTER
    return repaid, (
        f"{num_steps:,.0f} steps {'repay' if repaid else 'do not repay'} its compilation, as "
        f"{REPAID_AFTER:,} do"
    )


def _layers(model: keras.Model) -> list[keras.layers.Layer]:
    return list(model._flatten_layers(include_self=False))


def _listed(callbacks: Any) -> list[Any]:
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks.callbacks
    return callbacks if isinstance(callbacks, list | tuple) else [callbacks] * bool(callbacks)


def _looks_at_batches(callback: Any) -> bool:
    """Whether a callback that is neither Keras' nor ours has a hook for batches of training."""
    hooks = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
    if any(hook in vars(callback) for hook in hooks):  # such as those of `LambdaCallback`
        return True
    if type(callback).__module__.split(".")[0] in ("keras", "tfvae"):
        return False
    return any(
        getattr(type(callback), hook, None) is not getattr(keras.callbacks.Callback, hook)
        for hook in hooks
    )
