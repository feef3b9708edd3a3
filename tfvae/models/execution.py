"""Batches without a pipeline: arrays lie where the step runs, and it gathers its own rows.

Keras slices arrays in a `tf.data` pipeline that competes with the step for the same cores, and
launches one program a step. Here an epoch is a permutation of row numbers; a block of K batches of
them is all that goes to the device, and with XLA the K steps are one program.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae.models import guard

LARGEST = 2**31  # bytes; larger arrays are streamed


class Feed:
    """The row numbers of each batch of arrays, in blocks.

    The order of an epoch is a function of (seed, `counter()` when the epoch starts).

    Args:
        arrays: Array or dictionary of arrays, [N, ...].
        batch_size: Rows in a batch; the last of an epoch may have fewer.
        steps: Batches after which Keras begins another epoch, or None for all.
        seed: Seed of the order; None keeps the rows in place.
        counter: Returns a number that differs between epochs.
    """

    def __init__(
        self,
        arrays: Any,
        batch_size: int,
        steps: int | None = None,
        seed: int | None = None,
        counter: Callable[[], int] | None = None,
    ):
        self.source = tf.nest.map_structure(tf.convert_to_tensor, arrays)
        self.num_rows = int(tf.nest.flatten(self.source)[0].shape[0])
        self.batch_size, self.steps = batch_size, steps
        self.num_batches = -(-self.num_rows // batch_size)
        self._seed, self._counter = seed, counter
        self.restart()

    def restart(self) -> None:
        """Begins again with the first batch of a new epoch."""
        self._order, self._row, self._step = None, 0, 0

    def stand_in(self) -> tf.data.Dataset:
        """A dataset of as many elements as there are batches, for Keras to count."""
        return tf.data.Dataset.range(self.num_batches)

    def blocks(self, size: int) -> list[np.ndarray]:
        """Returns the next `size` batches, at most to the end of the epoch, as int32 [k, b] arrays.

        All but a shorter last batch are in the first array.
        """
        if self._order is None or self._row >= self.num_rows:
            self._order, self._row = self._next_order(), 0
        if self.steps is not None:
            size = min(size, self.steps - self._step)
            self._step = (self._step + size) % self.steps
        stop = min(self._row + size * self.batch_size, self.num_rows)
        rows, self._row = self._order[self._row : stop], stop
        whole = len(rows) - len(rows) % self.batch_size
        parts = rows[:whole].reshape(-1, self.batch_size), rows[whole:].reshape(1, -1)
        return [p for p in parts if p.size]

    def _next_order(self) -> np.ndarray:
        if self._seed is None:
            return np.arange(self.num_rows, dtype=np.int32)
        rng = np.random.default_rng([self._seed, self._counter()])
        return rng.permutation(self.num_rows).astype(np.int32)


def can_be_resident(arrays: Any) -> bool:
    """Whether data are arrays of numbers, in memory, of a moderate size."""
    flat = tf.nest.flatten(arrays)
    return all(hasattr(a, "dtype") and hasattr(a, "shape") for a in flat) and (
        sum(
            np.dtype(a.dtype if not isinstance(a, tf.Tensor) else a.dtype.as_numpy_dtype).itemsize
            * int(np.prod(a.shape))
            for a in flat
        )
        <= LARGEST
    )


def block_function(
    model: keras.Model, step: Callable, bare_step: Callable | None = None
) -> Callable[[Feed], Any]:
    """Returns a function that runs the next `steps_per_execution` steps of a feed.

    A guard in every step costs a tenth of its time. Several steps are therefore run without one
    where a faulty update leaves its mark, the state is looked at once, and on a mark it is put back
    and the steps are run again with their guards.

    Args:
        model: A compiled model.
        step: Takes a batch and changes the model's state; it guards its own update, if it makes
            one.
        bare_step: The same without the guard, or None where there is nothing to guard.
    """
    trusting = bare_step is not None and guard.keeps_non_finite(model.optimizer)
    inner = bare_step if trusting else step

    @tf.function(jit_compile=model.jit_compile, autograph=False)
    def one(source: Any, rows: tf.Tensor) -> Any:
        return step(gather(source, rows))

    @tf.function(jit_compile=model.jit_compile, autograph=False)
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

    def run(feed: Feed) -> Any:
        size = model.steps_per_execution
        for rows in feed.blocks(size):
            ok = size > 1 and rows.shape[1] == feed.batch_size
            if ok:
                padded = np.pad(rows, ((0, size - len(rows)), (0, 0)), mode="edge")
                logs, ok = many(feed.source, tf.constant(padded), tf.constant(len(rows)))
            if not ok:
                for batch in rows:
                    logs = one(feed.source, tf.constant(batch))
        return logs

    return run


def gather(source: Any, rows: tf.Tensor) -> Any:
    """Returns rows of arrays."""
    return tf.nest.map_structure(lambda a: tf.gather(a, rows), source)


def state_of(model: keras.Model) -> list[tf.Variable]:
    """Returns all variables that training changes: weights, optimizer, metrics."""
    variables = [*model.variables, *model.optimizer.variables, *model.unsaved_state]
    variables += [v for m in model.metrics for v in m.variables]
    return list({id(v): v.value for v in variables}.values())


def split_rows(arrays: Any, share: float) -> tuple[Any, tuple[Any]]:
    """Splits the last rows off, as Keras' `validation_split` does.

    Raises:
        ValueError: If the data are no arrays, or either part would be empty.
    """
    flat = tf.nest.flatten(arrays)
    if not all(hasattr(a, "shape") for a in flat):
        raise ValueError(
            "`validation_split` must be 0 for data that are no arrays. "
            f"Received: validation_split={share} with x of type {type(arrays).__name__}. "
            "Fix: pass `validation_data`."
        )
    num_rows = int(flat[0].shape[0])
    at = int(num_rows * (1.0 - share))
    if not 0 < at < num_rows:
        raise ValueError(
            "`validation_split` must leave rows on both sides. "
            f"Received: validation_split={share} with {num_rows} rows."
        )
    first = tf.nest.map_structure(lambda a: a[:at], arrays)
    return first, (tf.nest.map_structure(lambda a: a[at:], arrays),)
