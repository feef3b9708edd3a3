"""Where the batches of a block come from: arrays, of which rows are taken, or an iterator.

Keras slices arrays in a `tf.data` pipeline that competes with the step for the same cores, and
launches one program a step. Here an epoch is a permutation of row numbers; of arrays that lie on
the device, the numbers of a block's rows are all that goes there.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfvae.models.inputs import split_batch

USUAL_BATCH_SIZE = 128  # where a dataset does not say
LARGEST = 2**31  # bytes of arrays that are placed on the device; larger ones stay where they are


class Block(NamedTuple):
    """Batches of one size, for one program to run.

    Attributes:
        source: Tensor or dictionary of tensors, [N, ...].
        rows: The rows of `source` in each of k batches, int32 [k, b].
        is_whole: Whether the batches have the shapes of all but an epoch's last.
    """

    source: Any
    rows: np.ndarray
    is_whole: bool


class Feed:
    """Arrays by blocks.

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
        self._lies_on_device = _bytes_of(arrays) <= LARGEST
        if self._lies_on_device:
            arrays = tf.nest.map_structure(tf.convert_to_tensor, arrays)
        self.source = arrays
        self.num_rows = int(tf.nest.flatten(arrays)[0].shape[0])
        self.batch_size, self.steps = min(batch_size, self.num_rows), steps
        self.num_batches = -(-self.num_rows // batch_size)
        self._seed, self._counter = seed, counter
        self.restart()

    def restart(self) -> None:
        """Begins again with the first batch of a new epoch."""
        self._order, self._row, self._step = None, 0, 0
        self._counted: int | None = None  # what the order is a function of
        self._before = 0, 0  # row and step before the last block
        self.batches = 0  # drawn since the epoch began

    def position(self, missing: int = 0) -> dict[str, Any]:
        """Returns where the feed is, as JSON.

        Args:
            missing: Batches of the last block that were not run.
        """
        row, step = self._row, self._step
        if missing:
            size = -(-(row - self._before[0]) // self.batch_size)
            row = self._before[0] + (size - missing) * self.batch_size
            step = (self._before[1] + size - missing) % (self.steps or 1)
        return {"counted": self._counted, "row": row, "step": step}

    def seek(self, position: dict[str, Any], batches: int) -> None:
        """Goes to a position in an epoch of which so many batches have been drawn."""
        self._counted, self._row = position["counted"], position["row"]
        self._step, self.batches = position["step"], batches
        self._order = None if self._counted is None else self._order_of(self._counted)

    def reseed(self, seed: int) -> None:
        """Takes another seed, if there is one at all."""
        self._seed = None if self._seed is None else seed

    def rows(self, start: int, stop: int) -> Any:
        """Returns neighbouring rows, as tensors."""
        return _rows_of(self.source, slice(start, stop))

    def stand_in(self) -> tf.data.Dataset:
        """A dataset of as many elements as there are batches, for Keras to count."""
        return tf.data.Dataset.range(self.num_batches)

    def blocks(self, size: int, iterator: Iterator[Any] | None = None) -> Iterator[Block]:
        """Yields the next `size` batches, at most to the end of the epoch.

        All but a shorter last batch are in the first block.
        """
        for rows in self._next_rows(size):
            is_whole = rows.shape[1] == self.batch_size
            if self._lies_on_device:
                yield Block(self.source, rows, is_whole)
            else:
                flat = (_filled_up(rows, size) if is_whole else rows).ravel()
                source = _rows_of(self.source, flat)
                yield Block(source, _in_sequence(rows.shape), is_whole)

    def _next_rows(self, size: int) -> list[np.ndarray]:
        if self._order is None or self._row >= self.num_rows:
            self._counted, self._row = 0 if self._seed is None else self._counter(), 0
            self._order = self._order_of(self._counted)
        self._before = self._row, self._step
        if self.steps is not None:
            size = min(size, self.steps - self._step)
            self._step = (self._step + size) % self.steps
        stop = min(self._row + size * self.batch_size, self.num_rows)
        rows, self._row = self._order[self._row : stop], stop
        whole = len(rows) - len(rows) % self.batch_size
        parts = rows[:whole].reshape(-1, self.batch_size), rows[whole:].reshape(1, -1)
        parts = [p for p in parts if p.size]
        self.batches += sum(len(p) for p in parts)
        return parts

    def _order_of(self, counted: int) -> np.ndarray:
        if self._seed is None:
            return np.arange(self.num_rows, dtype=np.int32)
        rng = np.random.default_rng([self._seed, counted])
        return rng.permutation(self.num_rows).astype(np.int32)


class Stream:
    """The batches of an iterator by blocks; neighbours of equal shapes are joined.

    Args:
        data: What is iterated, to learn the number and size of its batches.
        steps: Batches after which Keras begins another epoch, or None for all.
        look: Called with each batch and its number before any of a block is run; None for nothing.
    """

    def __init__(
        self,
        data: Any = None,
        steps: int | None = None,
        look: Callable[[Any, int], Any] | None = None,
    ):
        self.steps, self.num_batches = steps, getattr(data, "num_batches", None)
        self._look = look
        self.batch_size = USUAL_BATCH_SIZE
        if isinstance(data, tf.data.Dataset):
            number = int(data.cardinality().numpy())
            self.num_batches = number if number >= 0 else None
            shape = tf.nest.flatten(data.element_spec)[0].shape
            self.batch_size = (shape[0] if shape.rank else None) or USUAL_BATCH_SIZE
        self._shapes: Any = None  # of the first batch
        self.restart()

    def restart(self) -> None:
        """Begins to count the batches of a new epoch."""
        self._step = 0
        self._iterator: Any = None
        self._number = 0  # batches drawn from the iterator

    def position(self) -> Any:
        """Returns what a stream that goes on with later batches must know of earlier ones."""
        return self._shapes

    def seek(self, position: Any, batches: int, drawn: int) -> None:
        """Goes on in an epoch.

        Args:
            position: What `position` returned.
            batches: Batches of this epoch that have been drawn.
            drawn: Batches that the iterator has given.
        """
        self._shapes = position and [tuple(shape) for shape in position]
        self._step = 0 if self.steps is None else batches % self.steps
        self._iterator, self._number = None, drawn

    def blocks(self, size: int, iterator: Iterator[Any]) -> Iterator[Block]:
        """Yields the next `size` batches of an iterator, at most to the end of the epoch.

        Raises:
            tf.errors.OutOfRangeError: If there is none; nothing has been run by then.
        """
        if self._iterator is not None and iterator is not self._iterator:
            self._number = 0
        self._iterator = iterator
        if self.steps is not None:
            size = min(size, self.steps - self._step)
            self._step = (self._step + size) % self.steps
        batches = [_as_input(b) for b in itertools.islice(iterator, size)]
        if not batches:
            self._step = 0
            raise tf.errors.OutOfRangeError(None, None, "the data are at their end")
        if self._look is not None:
            for number, batch in enumerate(batches, self._number):
                self._look(batch, number)
        self._number += len(batches)
        for shapes, group in itertools.groupby(batches, key=_shapes_of):
            group = list(group)
            if self._shapes is None:
                self._shapes = shapes
            rows, is_whole = _in_sequence((len(group), shapes[0][0])), shapes == self._shapes
            if is_whole:
                group += group[-1:] * (size - len(group))
            source = tf.nest.map_structure(lambda *parts: tf.concat(parts, 0), *group)
            yield Block(source, rows, is_whole)


def are_arrays(data: Any) -> bool:
    """Whether data are arrays of numbers, of which rows can be taken."""
    return all(hasattr(a, "dtype") and hasattr(a, "shape") for a in tf.nest.flatten(data))


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


def _rows_of(arrays: Any, rows: np.ndarray | slice) -> Any:
    return tf.nest.map_structure(lambda a: tf.convert_to_tensor(a[rows]), arrays)


def _bytes_of(arrays: Any) -> int:
    return sum(
        int(np.prod(a.shape)) * getattr(a.dtype, "itemsize", getattr(a.dtype, "size", 8))
        for a in tf.nest.flatten(arrays)
    )


def _in_sequence(shape: tuple[int, int]) -> np.ndarray:
    return np.arange(shape[0] * shape[1], dtype=np.int32).reshape(shape)


def _filled_up(rows: np.ndarray, size: int) -> np.ndarray:
    """Repeats the last batch, so that all blocks have one size and need one program."""
    return np.pad(rows, ((0, size - len(rows)), (0, 0)), mode="edge")


def _as_input(batch: Any) -> Any:
    """Returns a batch of an iterator as a tensor or a dictionary of tensors."""
    # Keras' pipeline wraps what a generator's tuples may lack.
    inputs = split_batch(tf.nest.map_structure(_value_of, batch))
    if isinstance(inputs, dict):
        inputs = {k: v for k, v in inputs.items() if v is not None}
    return tf.nest.map_structure(tf.convert_to_tensor, inputs)


def _value_of(part: Any) -> Any:
    if not isinstance(part, tf.experimental.Optional):
        return part
    return part.get_value() if part.has_value() else None


def _shapes_of(batch: Any) -> list[tuple[int, ...]]:
    return [tuple(a.shape) for a in tf.nest.flatten(batch)]
