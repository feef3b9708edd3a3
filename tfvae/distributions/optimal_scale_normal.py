"""A normal distribution with the scale that fits the data at hand best."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.distributions.support import REALS

tfd = tfp.distributions


class OptimalScaleNormal(tfd.Distribution):
    """N(x | loc, s**2 I), where s**2 is the mean square error of the very x that is asked about.

    Its log-density is that of a normal at its most likely scale. No gradient flows through s: at
    the maximum it is zero (Rybkin et al., 2021, arXiv:2006.13202, section 3.2).

    Args:
        loc: Locations, [..., B, *event_shape].
        event_ndims: Rank of an event.
        floor: Smallest s.
        record: Is told each mean square error, a scalar.
        name: Name of the distribution.
    """

    support = REALS

    def __init__(
        self,
        loc: tf.Tensor,
        event_ndims: int,
        floor: float,
        record: Callable[[tf.Tensor], None],
        name: str = "OptimalScaleNormal",
    ):
        self.loc, self._ndims, self._floor, self._record = loc, event_ndims, floor, record
        super().__init__(
            dtype=loc.dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={"loc": loc, "event_ndims": event_ndims, "floor": floor, "record": record},
            name=name,
        )

    def masked_log_prob(self, x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Returns the log-density of the entries where the mask is true, which alone give s."""
        error = tf.where(mask, x - self.loc, 0.0)
        observed = tf.cast(tf.broadcast_to(mask, tf.shape(error)), error.dtype)
        mean_square = tf.stop_gradient(
            tf.reduce_sum(error**2) / tf.maximum(tf.reduce_sum(observed), 1.0)
        )
        self._record(mean_square)
        scale = tf.sqrt(tf.maximum(mean_square, self._floor**2))
        entries = observed * tfd.Normal(0.0, scale).log_prob(error)
        return tf.reduce_sum(entries, axis=list(range(-self._ndims, 0)))

    def _log_prob(self, x: tf.Tensor) -> tf.Tensor:
        return self.masked_log_prob(x, tf.ones_like(x, tf.bool))

    def _mean(self) -> tf.Tensor:
        return tf.identity(self.loc)

    def _event_shape(self) -> tf.TensorShape:
        return self.loc.shape[self.loc.shape.rank - self._ndims :]

    def _event_shape_tensor(self) -> tf.Tensor:
        return tf.shape(self.loc)[self.loc.shape.rank - self._ndims :]

    def _batch_shape(self) -> tf.TensorShape:
        return self.loc.shape[: self.loc.shape.rank - self._ndims]

    def _batch_shape_tensor(self, **_: Any) -> tf.Tensor:
        return tf.shape(self.loc)[: self.loc.shape.rank - self._ndims]
