"""Several steps as one program."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae.distributions.tracing import tracing_for_xla
from tfvae.models import guard
from tfvae.models.feed import Block


class Blocks:
    """Runs blocks of batches, several steps as one program, and returns the last logs.

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

    Attributes:
        program: The XLA program of several steps: a function of (source, rows [K, B], number of
            steps).
    """

    def __init__(self, model: keras.Model, step: Callable, bare_step: Callable | None = None):
        self._model, self._step, self._bare_step = model, step, bare_step
        self._is_trusting = bare_step is not None and guard.keeps_non_finite(model.optimizer)
        self.program = compiled(self._many)
        self._many_of = {True: self.program, False: _AnyLength(self._many)}
        self._one_of = {True: compiled(self._one), False: _AnyLength(self._one)}

    def __call__(self, blocks: Iterable[Block], size: int, with_xla: bool) -> Any:
        """Runs blocks, `size` steps a program; whole ones by XLA if wanted."""
        logs = None
        for source, rows, is_whole in blocks:
            by_xla, ok = with_xla and is_whole, size > 1
            if ok:
                padded = np.pad(rows, ((0, size - len(rows)), (0, 0)), mode="edge")
                number = tf.constant(len(rows))
                logs, ok = self._many_of[by_xla](source, tf.constant(padded), number)
            if not ok:
                for batch in rows:
                    logs = self._one_of[by_xla](source, tf.constant(batch))
        return logs

    def _one(self, source: Any, rows: tf.Tensor) -> Any:
        return self._step(gather(source, rows))

    def _many(self, source: Any, rows: tf.Tensor, number: tf.Tensor) -> Any:
        step = self._bare_step if self._is_trusting else self._step
        state = state_of(self._model) if self._is_trusting else []
        before = [tf.identity(v) for v in state]

        def body(i: tf.Tensor) -> tf.Tensor:
            step(gather(source, rows[i]))
            return i + 1

        # The number of steps is data: an epoch's last block needs no other program.
        tf.while_loop(lambda i: i < number, body, [tf.constant(0)], parallel_iterations=1)
        ok = True
        if state:
            ok = self._still_finite(state, before)
        for variable, value in zip(state, before, strict=True):
            variable.assign(tf.where(ok, tf.identity(variable), value))
        return self._model.get_metrics_result(), ok

    def _still_finite(self, state: list[tf.Variable], before: list[tf.Tensor]) -> tf.Tensor:
        trained = [*self._model.trainable_variables, *self._model.optimizer.variables]
        trained = {id(v.value) for v in trained}
        others = [i for i, v in enumerate(state) if id(v) not in trained]
        return guard.still_finite(
            [tf.identity(v) for v in state if id(v) in trained],
            [before[i] for i in others],
            [tf.identity(state[i]) for i in others],
        )


def compiled(function: Callable, generator: str = "philox") -> Callable:
    """Returns a function as an XLA program.

    Args:
        function: What is traced.
        generator: As of `tracing_for_xla`.
    """

    def traced(*args: Any) -> Any:
        with tracing_for_xla(generator):
            return function(*args)

    return tf.function(traced, jit_compile=True, autograph=False)


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
    variables = [*model.variables, *model.optimizer.variables, *model.unsaved_state]
    variables += [v for m in model.metrics for v in m.variables]
    return list({id(v): v.value for v in variables}.values())
