"""A row of a table whose columns have families of their own."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.distributions.observed import entry_of, observed_log_prob, with_exposure
from tfvae.distributions.support import Support, support_of
from tfvae.errors import DataError

tfd = tfp.distributions


class ColumnBlocks(tfd.Distribution):
    """Independent blocks of columns, each with a distribution; the event is the row [D].

    Args:
        distributions: One a block, over events [k], of the same batch shape.
        columns: The k column numbers of each block; together they are 0, ..., D - 1.
        name: Name of the distribution.
    """

    def __init__(
        self,
        distributions: Sequence[Any],
        columns: Sequence[Sequence[int]],
        name: str = "ColumnBlocks",
    ):
        parameters = {"distributions": distributions, "columns": columns, "name": name}
        self.distributions, self.columns = list(distributions), [list(c) for c in columns]
        self._order = np.argsort([c for block in self.columns for c in block])
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    @property
    def support(self) -> Support:
        """That of each column; what the rows of a block add up to is not part of it."""
        blocks = [support_of(d) for d in self.distributions]

        def row(field: str) -> np.ndarray:
            values = [
                np.broadcast_to(getattr(support, field), len(columns))
                for support, columns in zip(blocks, self.columns, strict=True)
            ]
            return np.concatenate(values)[self._order]

        return Support(*(row(field) for field in Support._fields[:5]))

    def masked_log_prob(self, x: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
        """Returns the log-density of the entries [..., D] where the mask is true."""
        return sum(
            observed_log_prob(d, self._block(x, c), self._block(mask, c))
            for d, c in zip(self.distributions, self.columns, strict=True)
        )

    def with_exposure(self, exposure: tf.Tensor) -> "ColumnBlocks":
        """Returns the blocks with the exposure [B] in those that have a rate.

        Raises:
            DataError: If none has one.
        """
        changed, refusals = [], []
        for d in self.distributions:
            try:
                changed.append(with_exposure(d, exposure))
            except DataError as error:
                changed.append(d)
                refusals.append(error)
        if len(refusals) == len(self.distributions):
            raise refusals[0]
        return ColumnBlocks(changed, self.columns)

    def _log_prob(self, x: tf.Tensor) -> tf.Tensor:
        return self.masked_log_prob(x, None)

    def _sample_n(self, n: int, seed: Any = None) -> tf.Tensor:
        seeds = tfp.random.split_seed(seed, len(self.distributions), salt="ColumnBlocks")
        return self._row([d.sample(n, seed=seeds[i]) for i, d in enumerate(self.distributions)])

    def _mean(self) -> tf.Tensor:
        return self._row([_center(d) for d in self.distributions])

    def _block(self, row: tf.Tensor | None, columns: list[int]) -> tf.Tensor | None:
        return None if row is None else tf.gather(row, columns, axis=-1)

    def _row(self, blocks: list[tf.Tensor]) -> tf.Tensor:
        joined = tf.concat([tf.cast(b, tf.float32) for b in blocks], axis=-1)
        return tf.gather(joined, self._order, axis=-1)

    def _event_shape(self) -> tf.TensorShape:
        return tf.TensorShape([len(self._order)])

    def _event_shape_tensor(self) -> tf.Tensor:
        return tf.constant([len(self._order)])

    def _batch_shape(self) -> tf.TensorShape:
        return self.distributions[0].batch_shape

    def _batch_shape_tensor(self, **_: Any) -> tf.Tensor:
        return self.distributions[0].batch_shape_tensor()

    def _default_event_space_bijector(self) -> None:
        return None


def _center(distribution: Any) -> tf.Tensor:
    """Returns the mean; of classes, whose numbers have none, the most probable one."""
    entry, _ = entry_of(distribution)
    return distribution.mode() if isinstance(entry, tfd.Categorical) else distribution.mean()
