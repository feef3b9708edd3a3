"""Updates that happen as a whole or not at all."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf


def all_finite(loss: tf.Tensor, gradients: Sequence[Any]) -> tf.Tensor:
    """Returns whether loss and gradients are finite in all replicas, a scalar bool."""
    ok = tf.math.is_finite(loss)
    present = [g for g in gradients if g is not None]
    if present:
        # The norm is finite only if all entries are, and is one pass over each gradient.
        ok = tf.logical_and(ok, tf.math.is_finite(tf.linalg.global_norm(present)))
    context = tf.distribute.get_replica_context()
    if context is not None and context.num_replicas_in_sync > 1:
        votes = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(ok, tf.float32))
        ok = tf.greater(votes, context.num_replicas_in_sync - 0.5)
    return ok


def keeps_non_finite(optimizer: Any) -> bool:
    """Returns whether a gradient that is not finite leaves its mark on the optimizer's state.

    Clipping by value turns an infinite gradient into a finite update, and a `LossScaleOptimizer`
    drops it.
    """
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return not scaled and getattr(optimizer, "clipvalue", None) is None


def still_finite(before: Sequence[tf.Tensor], after: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns whether all that was finite before is finite after, a scalar bool."""

    def finite(values: Sequence[tf.Tensor]) -> tf.Tensor:
        return tf.stack(
            [tf.math.is_finite(tf.reduce_sum(v)) for v in values if v.dtype.is_floating]
        )

    return tf.reduce_all(finite(after) | ~finite(before))


def share_overflow(gradients: Sequence[Any]) -> list[Any]:
    """Returns gradients that are not finite in all replicas if they are not in one of them.

    `LossScaleOptimizer` asks the first replica alone, and would apply the overflow of another.
    """
    context, gradients = tf.distribute.get_replica_context(), list(gradients)
    if context is not None and context.num_replicas_in_sync > 1:
        poison = tf.where(all_finite(tf.constant(0.0), gradients), 0.0, math.nan)
        some = next((i for i, g in enumerate(gradients) if g is not None), None)
        if some is not None:
            gradients[some] = tf.convert_to_tensor(gradients[some]) + poison
    return gradients


def either(ok: tf.Tensor, update: Callable, undo: Callable, *values: Any) -> None:
    """Runs `update(*values)` if `ok`, else `undo(*values)`; both change variables.

    All that differs between replicas, such as gradients, must come in `values`: a closure would
    give each replica the tensors of the first one.

    Under a strategy with merge calls (`MirroredStrategy`) an optimizer cannot run inside a
    `tf.cond` of a replica ("merge_call called while defining a new graph or a tf.function"), so the
    condition is lifted to the cross-replica context, as Keras' `LossScaleOptimizer` does.
    """

    def branch(function: Callable, *args: Any) -> Callable[[], None]:
        def run() -> None:
            function(*args)

        return run

    if tf.__internal__.distribute.strategy_supports_no_merge_call():
        tf.cond(ok, branch(update, *values), branch(undo, *values))
        return

    def across_replicas(strategy: Any, ok: Any, *values: Any) -> None:
        first = strategy.experimental_local_results(ok)[0]
        each = strategy.extended.call_for_each_replica
        tf.cond(first, branch(each, update, values), branch(each, undo, values))

    tf.distribute.get_replica_context().merge_call(across_replicas, args=(ok, *values))
