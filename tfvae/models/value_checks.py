"""Values of data, held against what the likelihood can give, in arrays and in streams.

XLA drops assertions from a compiled step, so batches are looked at on the host, before they are
joined to a block; where Keras' own loops read a dataset, in its pipeline.
"""

import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from types import GeneratorType
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfvae.distributions.support import NON_NEGATIVE, POSITIVE, REALS, Support
from tfvae.errors import DataError
from tfvae.models.arrays import as_array, is_sparse
from tfvae.models.inputs import parts_of

# Squares of larger numbers, over a small variance, leave float32.
LARGEST = 1e15
CHUNK = 2**22  # numbers looked at at a time


class Beside(NamedTuple):
    """What goes with x: its support, that in words, and what to do about other values."""

    support: Support
    rule: str
    fix: str


BESIDE = {
    "condition": Beside(REALS, "finite", "correct condition."),
    "sample_weight": Beside(NON_NEGATIVE, "finite numbers >= 0", "correct sample_weight."),
    "exposure": Beside(POSITIVE, "positive and finite", "leave out rows without exposure."),
    "mask": Beside(
        Support(low=0.0, high=1.0, is_integer=True),
        "1 where x is observed and 0 where it is missing",
        "`mask = np.isfinite(x)`.",
    ),
}


def check_values(inputs: Any, support: Support, batch: int | None = None) -> None:
    """Refuses inputs with a value that is not finite, or that the likelihood never gives.

    Args:
        inputs: Array, or dictionary of arrays; masked cells of x may be anything.
        support: What x may be.
        batch: Number of the batch, for errors.

    Raises:
        DataError: If there is one; it names the first, and how many there are.
    """
    parts = inputs if isinstance(inputs, Mapping) else {"x": inputs}
    for name, other in BESIDE.items():
        if parts.get(name) is not None:
            _check(name, parts[name], other.support, None, batch)
    _check("x", parts["x"], support, parts.get("mask"), batch)


def check_batch(inputs: Mapping[str, Any], support: Support, number: int) -> None:
    """As `check_values`, of a batch of a stream, whose number is in the error; it must have rows.

    Raises:
        DataError: If it has none, or a value that does not fit.
    """
    shape = inputs["x"].shape
    if 0 in shape[:1]:
        raise DataError(
            "`x` must have at least one row in every batch. "
            f"Received: batch {number} of shape {tuple(shape)}. "
            "Fix: leave out empty batches."
        )
    check_values(inputs, support, number)


def _check(name: str, array: Any, support: Support, mask: Any, batch: int | None) -> None:
    first, count, size, rule = None, 0, 0, None
    for start, chunk in _chunks(array):
        size += chunk.size
        seen = None if mask is None else _dense(mask[start : start + len(chunk)]) != 0
        if _is_fine(chunk, support, seen):
            continue
        for kind, bad in _faults(chunk, support):
            if seen is not None and bad.ndim == chunk.ndim:
                bad = bad & seen
            if kind == rule or (first is None and bad.any()):
                if first is None:
                    index = tuple(int(i) for i in np.argwhere(bad)[0])
                    first, rule = (start + index[0], *index[1:]), kind
                    value = chunk[index] if bad.ndim == chunk.ndim else chunk[index].sum()
                    column = (slice(None), *index[1:]) if support.is_by_column else slice(None)
                    low, high = _range(chunk[column])
                count += int(bad.sum())
    if first is None:
        return
    where = f"{name}[{', '.join(map(str, first))}]"
    where = where if rule != "total" else f"the sum of {where}"
    some = f"1 of {size} values" if count == 1 else f"the first of {count} in {size} values"
    within = "" if batch is None else f" in batch {batch}"
    of = f" of x in [{low:g}, {high:g}]" if rule == "range" and name == "x" else ""
    must, fix = _rule(rule, support, first), _fix(rule, support.at(first[1:]), low, high)
    if name in BESIDE:
        must, fix = (must if rule == "huge" else BESIDE[name].rule), BESIDE[name].fix
    raise DataError(
        f"`{name}` must be {must}. Received: {where}={value:g}, {some}{within}{of}. Fix: {fix}"
    )


def _is_fine(chunk: np.ndarray, support: Support, seen: np.ndarray | None = None) -> bool:
    """Whether a chunk needs no closer look: two passes, or three where numbers must be whole.

    Args:
        chunk: Numbers with rows.
        support: What they may be.
        seen: Where they are looked at, of the shape of `chunk`; None: everywhere.
    """
    if chunk.size == 0:
        return True
    axis = 0 if support.is_by_column else None
    least, greatest = (np.minimum, np.maximum) if seen is None else (np.fmin, np.fmax)
    low, high = (f.reduce(chunk, axis=axis).astype("float64") for f in (least, greatest))
    # NaN goes through the first pair of functions, is passed over by the second, and is less or
    # greater than nothing.
    if np.isnan(low).any() if seen is None else (np.isnan(chunk) & seen).any():
        return False
    beyond = np.where(
        support.is_open,
        (low <= support.low) | (high >= support.high),
        (low < support.low) | (high > support.high),
    )
    if (beyond | (low < -LARGEST) | (high > LARGEST)).any():
        return False
    if np.any(support.is_integer):
        fractional = _fractional(chunk) & support.is_integer
        if (fractional if seen is None else fractional & seen).any():
            return False
    return support.total is None or not _off_total(chunk, support.total).any()


def _faults(chunk: np.ndarray, support: Support) -> Iterator[tuple[str, np.ndarray]]:
    """Yields kinds of faults and where they are; the first that occurs is reported."""
    is_wide = chunk.dtype.kind == "f" and chunk.dtype.itemsize >= 4
    numbers = chunk if is_wide else chunk.astype("float64")
    finite = np.isfinite(numbers)
    yield "finite", ~finite
    with np.errstate(invalid="ignore"):
        yield "huge", finite & (np.abs(numbers) > LARGEST)
        outside = np.where(
            support.is_open,
            (numbers <= support.low) | (numbers >= support.high),
            (numbers < support.low) | (numbers > support.high),
        )
        yield "range", finite & outside
        if np.any(support.is_integer):
            yield "integer", finite & np.asarray(support.is_integer) & _fractional(numbers)
        if support.total is not None:
            yield "total", _off_total(numbers, support.total)


def _off_total(numbers: np.ndarray, total: float) -> np.ndarray:
    return np.abs(numbers.sum(axis=-1, dtype="float64") - total) > 1e-3 * max(total, 1.0)


def _fractional(chunk: np.ndarray) -> np.ndarray:
    return np.zeros(chunk.shape, bool) if chunk.dtype.kind in "biu" else chunk != np.rint(chunk)


def _range(chunk: np.ndarray) -> tuple[float, float]:
    return float(chunk.min()), float(chunk.max())


def _rule(kind: str, support: Support, index: tuple[int, ...]) -> str:
    if kind == "finite":
        return "finite"
    if kind == "huge":
        return f"at most {LARGEST:g} in size, for squares must fit float32"
    if support.is_by_column:
        column = ", ".join(map(str, index[1:]))
        return f"{support.at(index[1:]).describe()} in column {column}, as the likelihood is"
    return support.describe() + ", as the likelihood is"


def _fix(kind: str, support: Support, low: float, high: float) -> str:
    is_unit = support.high == 1.0 and not support.is_integer
    if kind == "finite":
        return "drop the rows or impute the values, or mark missing cells by a `mask`."
    if kind == "huge":
        return "standardise: subtract each column's mean and divide by its standard deviation."
    if kind == "total":
        return "divide each row by its sum, or choose another likelihood."
    if kind == "range" and is_unit and 0 <= low and 1 < high <= 255:
        return f"scale it, x / {255 if high > 16 else high:g}, or choose another likelihood."
    if kind == "range" and is_unit and support.is_open and 0 <= low and high <= 1:
        return 'choose "ContinuousBernoulli", which takes 0 and 1, or move the values inside.'
    if kind == "range" and support.total == 1.0:
        return "one-hot encode the classes."
    if kind == "integer":
        return (
            "give raw counts or codes, before any normalisation; or choose a likelihood of reals."
        )
    return 'scale it into the range, or choose a likelihood of reals such as "Normal".'


def _chunks(array: Any) -> Iterator[tuple[int, np.ndarray]]:
    """Yields parts of an array's rows, with the number of the first."""
    if isinstance(array, tf.Tensor):
        array = np.asarray(array)  # the tensor's own memory, where that is the host's
    rows = max(1, CHUNK // max(1, math.prod(array.shape[1:])))
    for start in range(0, int(array.shape[0]), rows):
        yield start, _dense(array[start : start + rows])


def _dense(rows: Any) -> np.ndarray:
    rows = rows.toarray() if is_sparse(rows) else np.asarray(rows)
    return rows.astype("float32") if rows.dtype.kind == "V" else rows  # bfloat16


class Watch:
    """Streams that are checked as they pass; what was wrong with them is kept to be raised.

    An error inside a pipeline comes out as one of TensorFlow's, with a traceback for a message.

    Attributes:
        error: The fault found first, or None.
    """

    def __init__(self):
        self.error = None

    def over(self, data: Any, support: Support, check_shapes: Callable[[Any], None]) -> Any:
        """Returns a dataset, generator or `PyDataset` like `data`, of which each batch is checked.

        Batches of generators and of `PyDataset`s may be what arrays may be: lists, data frames,
        sparse matrices.

        Args:
            data: What Keras iterates; anything else is returned as it is.
            support: What x may be.
            check_shapes: Raises a `DataError` for a dictionary of arrays that does not fit.
        """

        def look(batch: Any, number: int) -> Any:
            return self.look(batch, support, number, check_shapes)

        if isinstance(data, tf.data.Dataset):
            return data.enumerate().map(lambda number, batch: self._passed(number, batch, support))
        if isinstance(data, GeneratorType):
            return ((look(batch, number),) for number, batch in enumerate(data))
        if isinstance(data, keras.utils.PyDataset):
            return _WatchedDataset(data, look)
        return data

    def look(
        self,
        batch: Any,
        support: Support,
        number: int,
        check_shapes: Callable[[Any], None] = lambda _: None,
    ) -> Any:
        """Returns a batch as arrays, or raises a `DataError` that names the batch's number."""
        try:
            parts = batch_of_arrays(batch)
            check_shapes(parts)
            check_batch(parts, support, number)
        except DataError as error:
            self.error = self.error or error  # a pipeline is ahead of its reader
            raise
        return parts if len(parts) > 1 else parts["x"]

    def _passed(self, number: tf.Tensor, batch: Any, support: Support) -> Any:
        parts = _parts(batch)

        def report(number: tf.Tensor, *tensors: tf.Tensor) -> bool:
            self.look(dict(zip(parts, tensors, strict=True)), support, int(number))
            return True

        with tf.control_dependencies([tf.py_function(report, [number, *parts.values()], tf.bool)]):
            return tf.nest.map_structure(lambda t: None if t is None else tf.identity(t), batch)


def _parts(batch: Any) -> dict[str, Any]:
    """Returns a batch as a dictionary; labels, which `predict` passes over, are left out."""
    x, _, weight = parts_of(batch)
    parts = dict(x) if isinstance(x, Mapping) else {"x": x}
    parts |= {} if weight is None else {"sample_weight": weight}
    return {k: v for k, v in parts.items() if v is not None}


def batch_of_arrays(batch: Any) -> dict[str, Any]:
    """Returns a batch of a generator or `PyDataset` as dense arrays with rows, by key.

    Raises:
        DataError: If it has no x, or something in it is no array of numbers.
    """
    parts = {k: as_array(k, v) for k, v in _parts(batch).items()}
    if "x" not in parts:
        raise DataError(
            f"`x` must be in every batch. Received: a batch of type {type(batch).__name__} without."
        )
    return {k: v.toarray() if is_sparse(v) else v for k, v in parts.items()}


class _WatchedDataset(keras.utils.PyDataset):
    """A `PyDataset` of which each batch is looked at as it is made."""

    def __init__(self, data: keras.utils.PyDataset, look: Callable[[Any, int], Any]):
        super().__init__(data.workers, data.use_multiprocessing, data.max_queue_size)
        self.watched, self._look = data, look

    @property
    def num_batches(self) -> int | None:
        return self.watched.num_batches

    def __getitem__(self, index: int) -> Any:
        return self._look(self.watched[index], index)

    def on_epoch_begin(self) -> None:
        self.watched.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self.watched.on_epoch_end()


def raises_data_errors(method: Callable) -> Callable:
    """Makes a method of a model raise what is wrong with its streams, not TensorFlow's error.

    A record that cannot be read, or a source that raises, is a `DataError` too.
    """

    @functools.wraps(method)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._watch.error = None
        try:
            return method(self, *args, **kwargs)
        except DataError as error:
            # Keras puts what a layer says between its own lines.
            said = str(error).rpartition("\x1b[1m")[2].partition("\x1b[0m")[0]
            if said == str(error):
                raise
            raise DataError(said) from None
        except tf.errors.OpError as error:
            if self._watch.error is not None:
                raise self._watch.error from None
            reason = str(error.message)
            from_data = "Iterator::" in reason or "IteratorGetNext" in reason
            if not from_data and not isinstance(error, tf.errors.DataLossError):
                raise
            causes = re.findall(
                r"^(?:\w+\.)*\w*(?:Error|Exception)\b.*$|\w+Error: .*$", reason, re.M
            )
            raise DataError(
                "`x` must be readable to its end. Received: a dataset of which a batch fails: "
                f"{(causes or reason.splitlines() or [type(error).__name__])[-1][:300]} "
                "Fix: mend or leave out the record; the model is as after the last batch before it."
            ) from error

    return checked
