"""Several steps as one program."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae.models import guard
from tfvae.models.feed import Block


def block_function(
    model: keras.Model, step: Callable, bare_step: Callable | None = None
) -> Callable[[Iterable[Block], int, bool], Any]:
    """Returns a function that runs blocks, so many steps a program, by XLA or not, and gives logs.

    A guard in every step costs a tenth of its time. Several steps are therefore run without one
    where a faulty update leaves its mark, the state is looked at once, and on a mark it is put back
    and the steps are run again with their guards.

    XLA compiles a program for each shape, in seconds. Batches of another shape than the others',
    such as an epoch's last, are therefore left to a graph that takes any number of rows.

    Args:
        model: A compiled model.
        step: Takes a batch and changes the model's state; it guards its own update, if it makes
            one.
        bare_step: The same without the guard, or None where there is nothing to guard.
    """
    trusting = bare_step is not None and guard.keeps_non_finite(model.optimizer)
    inner = bare_step if trusting else step

    def one(source: Any, rows: tf.Tensor) -> Any:
        return step(gather(source, rows))

    def many(source: Any, rows: tf.Tensor, number: tf.Tensor) -> Any:
        state = state_of(model) if trusting else []
        before = [tf.identity(v) for v in state]

        def body(i: tf.Tensor) -> tf.Tensor:
            inner(gather(source, rows[i]))
            return i + 1

        # The number of steps is data: an epoch's last block needs no other program.
        tf.while_loop(lambda i: i < number, body, [tf.constant(0)], parallel_iterations=1)
        ok = guard.still_finite(before, [tf.identity(v) for v in state]) if trusting else True
        for variable, value in zip(state, before, strict=True):
            variable.assign(tf.where(ok, tf.identity(variable), value))
        return model.get_metrics_result(), ok

    one_of = {True: tf.function(one, jit_compile=True, autograph=False), False: _AnyLength(one)}
    many_of = {True: tf.function(many, jit_compile=True, autograph=False), False: _AnyLength(many)}

    def run(blocks: Iterable[Block], size: int, with_xla: bool) -> Any:
        logs = None
        for source, rows, is_whole in blocks:
            compiled, ok = with_xla and is_whole, size > 1
            if ok:
                padded = np.pad(rows, ((0, size - len(rows)), (0, 0)), mode="edge")
                number = tf.constant(len(rows))
                logs, ok = many_of[compiled](source, tf.constant(padded), number)
            if not ok:
                for batch in rows:
                    logs = one_of[compiled](source, tf.constant(batch))
        return logs

    return run


class _AnyLength:
    """A graph of (source, rows, *scalars) whose first axes have any length: it is traced once."""

    def __init__(self, function: Callable):
        self._function, self._graphs = function, {}

    def __call__(self, source: Any, rows: tf.Tensor, *scalars: tf.Tensor) -> Any:
        names = tuple(sorted(source)) if isinstance(source, dict) else ()
        key = names, *[(a.dtype, *a.shape[1:]) for a in tf.nest.flatten(source)]
        if key not in self._graphs:
            specs = [
                tf.nest.map_structure(
                    lambda a: tf.TensorSpec([None, *a.shape[1:]], a.dtype), source
                ),
                tf.TensorSpec([None] * rows.shape.rank, rows.dtype),
                *[tf.TensorSpec([], s.dtype) for s in scalars],
            ]
            self._graphs[key] = tf.function(self._function, input_signature=specs, autograph=False)
        return self._graphs[key](source, rows, *scalars)


def gather(source: Any, rows: tf.Tensor) -> Any:
    """Returns rows of arrays."""
    return tf.nest.map_structure(lambda a: tf.gather(a, rows), source)


def state_of(model: keras.Model) -> list[tf.Variable]:
    """Returns all variables that training changes: weights, optimizer, metrics."""
    variables = [*model.variables, *model.optimizer.variables]
    variables += [v for m in model.metrics for v in m.variables]
    return list({id(v): v.value for v in variables}.values())
