"""Updates that happen as a whole or not at all."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfvae.errors import NumericalError

SMALLEST_SCALE = 2.0**-20  # of a loss: gradients of 1e10 would fit float16


def all_finite(
    loss: tf.Tensor, gradients: Sequence[Any], largest_norm: float | None = None
) -> tf.Tensor:
    """Returns whether loss and gradients are finite in all replicas, a scalar bool.

    Args:
        loss: A scalar.
        gradients: Those of this replica.
        largest_norm: Largest norm of all gradients together, summed over replicas; None: any.
    """
    ok = tf.math.is_finite(loss)
    if any(g is not None for g in gradients):
        # The norm is finite only if all entries are, and is one pass over each gradient.
        norm = _norm(gradients, over_replicas=largest_norm is not None)
        ok &= tf.math.is_finite(norm) if largest_norm is None else norm <= largest_norm
    context = tf.distribute.get_replica_context()
    if context is not None and context.num_replicas_in_sync > 1:
        votes = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(ok, tf.float32))
        ok = tf.greater(votes, context.num_replicas_in_sync - 0.5)
    return ok


def small_or_overflown(gradients: Sequence[Any], largest_norm: float, scale: Any) -> tf.Tensor:
    """Returns whether scaled gradients are within a norm, or not finite, which is left to others.

    Args:
        gradients: Those of this replica, multiplied by `scale`.
        largest_norm: Largest norm of the gradients before scaling, summed over replicas.
        scale: That of a `LossScaleOptimizer`.
    """
    norm = _norm(gradients, over_replicas=True) / tf.cast(scale, tf.float32)
    return ~tf.math.is_finite(norm) | (norm <= largest_norm)


def check_loss_scale(optimizer: Any) -> None:
    """Ends a training in float16 whose gradients overflow however small the loss is made.

    `LossScaleOptimizer` halves its scale at each of them, in silence and without end.

    Raises:
        NumericalError: If the scale is below 2**-20; the weights are those of the last update.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) and optimizer.built:
        scale = float(tf.convert_to_tensor(optimizer.dynamic_scale))
        if scale < SMALLEST_SCALE:
            raise NumericalError(
                "`optimizer` must find a loss scale at which gradients fit float16. Received: "
                f"a scale that has fallen to {scale:g}, while every gradient was not finite. The "
                "model has the weights of the last update. Fix: use mixed_bfloat16, or look for "
                "extreme values in x."
            )


def _norm(gradients: Sequence[Any], over_replicas: bool) -> tf.Tensor:
    present = [g for g in gradients if g is not None]
    context = tf.distribute.get_replica_context()
    if over_replicas and context is not None and context.num_replicas_in_sync > 1:
        dense = [tf.convert_to_tensor(g) for g in present]
        present = context.all_reduce(tf.distribute.ReduceOp.SUM, dense)
    return tf.linalg.global_norm(present)


class Streak:
    """How many updates in a row were skipped; no weight, for it says nothing about the model.

    Attributes:
        counts: int64 [2], the present streak and the longest so far.
    """

    def __init__(self):
        self.counts = keras.Variable(
            "zeros", (2,), "int64", trainable=False, aggregation="only_first_replica"
        )

    def add(self) -> None:
        """Counts a skipped update."""
        present, longest = tf.unstack(tf.convert_to_tensor(self.counts.value))
        self.counts.assign(tf.stack([present + 1, tf.maximum(longest, present + 1)]))

    def end(self) -> None:
        """Notes an update that was made."""
        counts = tf.convert_to_tensor(self.counts.value)
        self.counts.assign(counts * tf.constant([0, 1], tf.int64))

    def restart(self) -> None:
        """Forgets all streaks."""
        self.counts.assign([0, 0])

    @property
    def longest(self) -> int:
        """The longest streak so far; reading it waits for the device."""
        return int(self.counts.numpy()[1])


def keeps_non_finite(optimizer: Any) -> bool:
    """Returns whether a gradient that is not finite leaves its mark on the optimizer's state.

    Clipping by value turns an infinite gradient into a finite update, and a `LossScaleOptimizer`
    drops it.
    """
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return not scaled and getattr(optimizer, "clipvalue", None) is None


def still_finite(
    trained: Sequence[tf.Tensor], before: Sequence[tf.Tensor], after: Sequence[tf.Tensor]
) -> tf.Tensor:
    """Returns whether training has left nothing behind that is not finite, a scalar bool.

    Args:
        trained: Weights and the optimizer's state, after training. Training that found one of them
            not finite cannot be told from training that made it so, and is said not to be finite.
        before: The rest of the state, in which some may never be finite, as a running minimum.
        after: The same after training.
    """
    ok = tf.reduce_all(_finite(trained))
    return ok & tf.reduce_all(_finite(after) | ~_finite(before))


def _finite(values: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns whether each is finite, those of one dtype after the other.

    One question a dtype, not one a variable: a program took XLA a quarter longer to compile with
    those, of which an optimizer such as Adam has three for every weight.
    """
    dtypes = dict.fromkeys(v.dtype for v in values if v.dtype.is_floating)
    finite = [
        tf.math.is_finite(tf.stack([tf.reduce_sum(v) for v in values if v.dtype == dtype]))
        for dtype in dtypes
    ]
    return tf.concat([tf.zeros([0], tf.bool), *finite], axis=0)


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
