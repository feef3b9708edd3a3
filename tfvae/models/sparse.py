"""Sparse matrices, such as counts of words or genes, made dense batch by batch."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.models.arrays import is_sparse


def dense_batches(
    arrays: Any,
    batch_size: int,
    steps: int | None = None,
    seed: int | None = None,
    counter: Callable[[], int] = int,
) -> Any:
    """Returns a dataset of dense batches, or `arrays` as they are if none is sparse.

    The order of a pass is a function of (seed, the count of batches when it starts), the same as
    that of dense arrays. A training that is resumed within a pass draws it again from its start.

    Args:
        arrays: Array or dictionary of arrays, [N, ...], some of them sparse matrices of scipy.
        batch_size: Rows in a batch; the last of an epoch may have fewer.
        steps: Batches after which Keras begins another epoch, or None for all.
        seed: Seed of the order; None keeps the rows in place.
        counter: Returns the count of batches so far.
    """
    flat = tf.nest.flatten(arrays)
    if not any(is_sparse(a) for a in flat):
        return arrays
    num_rows, start, passes = int(flat[0].shape[0]), counter(), itertools.count()
    num_batches = -(-num_rows // batch_size)

    def take(array: Any, rows: np.ndarray) -> np.ndarray:
        if is_sparse(array):
            return array[rows].toarray().astype("float32")
        return np.asarray(array)[rows].astype("float32")

    def batches() -> Iterator[Any]:
        order = np.arange(num_rows)
        if seed is not None:
            # One iterator has all passes where steps are given, else each pass has its own.
            done = (counter() - start) // num_batches if steps is None else next(passes)
            rng = np.random.default_rng([seed, start + done * num_batches])
            order = rng.permutation(num_rows)
        for first in range(0, num_rows, batch_size):
            rows = order[first : first + batch_size]
            yield tf.nest.map_structure(lambda a, rows=rows: take(a, rows), arrays)

    def spec(array: Any) -> tf.TensorSpec:
        return tf.TensorSpec((None, *array.shape[1:]), tf.float32)

    dataset = tf.data.Dataset.from_generator(
        batches, output_signature=tf.nest.map_structure(spec, arrays)
    ).apply(tf.data.experimental.assert_cardinality(num_batches))
    return dataset if steps is None else dataset.repeat()
