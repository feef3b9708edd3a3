"""Functions of a model, row by row over any amount of data."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.errors import DataError
from tfvae.models import automatic
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

    Args:
        model: The model that `inputs` are for; it is built from them if need be.
        key: What the function is, with all that it depends on beside the batch.
        function: Takes a batch and its number, a scalar; returns a structure of tensors [B].
        inputs: Array [N, ...] or dictionary of arrays.
        batch_size: Rows at a time; the last batch is filled up, so that one graph serves all.
        draws_per_row: Draws that the function decodes for each row, if it does. Where there are
            many in all, XLA compiles it.

    Raises:
        DataError: If the inputs do not fit the model, or have no rows.
    """
    parts = {k: v for k, v in unpack(inputs, model.event_shape)._asdict().items() if v is not None}
    num_rows = int(parts["x"].shape[0])
    if num_rows == 0:
        raise DataError("`inputs` must have at least one row. Received: an empty array.")
    model.check_shapes(parts)
    model.build_from_data(parts)
    model.check_values(parts)
    with_xla = draws_per_row is not None and automatic.with_xla(
        model, num_rows * draws_per_row / automatic.DRAWS_PER_STEP
    )
    graph = model.graphs.get(key, function, with_xla)
    results = []
    for number, start in enumerate(range(0, num_rows, batch_size)):
        rows = np.minimum(np.arange(start, start + min(batch_size, num_rows)), num_rows - 1)
        batch = {k: tf.gather(v, rows) for k, v in parts.items()}
        results.append(graph(batch, tf.constant(number)))
    return tf.nest.map_structure(
        lambda *r: np.concatenate([a.numpy() for a in r])[:num_rows], *results
    )
