"""Updates that happen as a whole or not at all."""

from collections.abc import Callable, Sequence
from typing import Any

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


def either(ok: tf.Tensor, update: Callable[[], Any], undo: Callable[[], Any]) -> None:
    """Runs `update` if `ok`, else `undo`; both change variables and return nothing.

    Under a strategy with merge calls (`MirroredStrategy`) an optimizer cannot run inside a `tf.cond` of a
    replica ("merge_call called while defining a new graph or a tf.function"), so the condition is lifted
    to the cross-replica context, as Keras' `LossScaleOptimizer` does.
    """

    def branch(function: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            function()

        return run

    if tf.__internal__.distribute.strategy_supports_no_merge_call():
        tf.cond(ok, branch(update), branch(undo))
        return

    def across_replicas(strategy: Any, ok: Any) -> None:
        first = strategy.experimental_local_results(ok)[0]
        each = strategy.extended.call_for_each_replica
        tf.cond(first, branch(lambda: each(update)), branch(lambda: each(undo)))

    tf.distribute.get_replica_context().merge_call(across_replicas, args=(ok,))
