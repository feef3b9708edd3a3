"""Functions of a model, row by row over any amount of data."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.errors import DataError
from tfvae.models import automatic
from tfvae.models.arrays import is_sparse
from tfvae.models.data import prepare
from tfvae.models.feed import are_arrays
from tfvae.models.inputs import unpack

Batch = dict[str, tf.Tensor]


def over_rows(
    model: Any,
    key: Any,
    function: Callable[[Batch, tf.Tensor], Any],
    inputs: Any,
    batch_size: int,
    draws_per_row: int | None = None,
) -> Any:
    """Returns `function` of all rows, as a structure of numpy arrays [N].

    Sparse matrices are made dense, and files mapped into memory read, batch by batch.

    Args:
        model: The model that `inputs` are for; it is built from them if need be.
        key: What the function is, with all that it depends on beside the batch.
        function: Takes a batch and its number, a scalar; returns a structure of tensors [B].
        inputs: Array [N, ...] or dictionary of arrays.
        batch_size: Rows at a time; the last batch is filled up, so that one graph serves all.
        draws_per_row: Draws that the function decodes for each row, if it does. Where there are
            many in all, XLA compiles it, and draws by its own generator.

    Raises:
        DataError: If the inputs do not fit the model, or have no rows.
    """
    arrays, _ = prepare("inputs", inputs, None, None, None)
    if not are_arrays(arrays):
        raise DataError(
            "`inputs` must be an array or a dictionary of arrays. Received: inputs of type "
            f"{type(inputs).__name__}. Fix: call it for one batch after the other."
        )
    arrays = arrays if isinstance(arrays, dict) else {"x": arrays}
    model.check_shapes(arrays)
    model.build_from_data(arrays)
    model.check_values(arrays)
    num_rows, results = int(arrays["x"].shape[0]), []
    with_xla = draws_per_row is not None and automatic.with_xla(
        model, num_rows * draws_per_row / automatic.DRAWS_PER_STEP
    )
    graph = model.graphs.get(key, function, with_xla)
    for number, start in enumerate(range(0, num_rows, batch_size)):
        rows = np.minimum(np.arange(start, start + min(batch_size, num_rows)), num_rows - 1)
        batch = unpack({k: _taken(v, rows) for k, v in arrays.items()}, model.event_shape)
        batch = {k: v for k, v in batch._asdict().items() if v is not None}
        results.append(graph(batch, tf.constant(number)))
    return tf.nest.map_structure(
        lambda *r: np.concatenate([a.numpy() for a in r])[:num_rows], *results
    )


def _taken(array: Any, rows: np.ndarray) -> Any:
    if is_sparse(array):
        return array[rows].toarray()
    return tf.gather(array, rows) if isinstance(array, tf.Tensor) else np.asarray(array)[rows]
