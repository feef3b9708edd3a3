"""The uniform distribution over the vectors of a codebook."""

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


class UniformCodes(tfd.AutoCompositeTensorDistribution):
    """P positions, each one of K vectors with probability 1 / K.

    The values are the vectors themselves; `log_prob` takes them for vectors of the codebook.

    Args:
        codes: The codebook, [K, D].
        positions: Shape of the positions, such as (7, 7); an event is [*positions, D].
    """

    def __init__(
        self,
        codes: tf.Tensor,
        positions: tuple[int, ...],
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "uniform_codes",
    ):
        parameters = dict(locals())
        self._codes, self._positions = codes, tuple(positions)
        super().__init__(
            dtype=codes.dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=validate_args,
            allow_nan_stats=allow_nan_stats,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: Any = None) -> dict[str, Any]:
        return {}  # there is no batch of codebooks

    def _event_shape(self) -> tf.TensorShape:
        return tf.TensorShape([*self._positions, self._codes.shape[-1]])

    def _event_shape_tensor(self) -> tf.Tensor:
        return tf.constant(self._event_shape().as_list(), tf.int32)

    def _sample_n(self, n: Any, seed: Any = None) -> tf.Tensor:
        shape = tf.concat([[n], self._positions], 0)
        seed = tfp.random.sanitize_seed(seed)
        index = tf.random.stateless_uniform(shape, seed, 0, self._codes.shape[0], tf.int32)
        return tf.gather(self._codes, index)

    def _log_prob(self, value: tf.Tensor) -> tf.Tensor:
        nats = int(np.prod(self._positions)) * float(np.log(self._codes.shape[0]))
        shape = tf.shape(value)[: value.shape.rank - len(self._event_shape())]
        return tf.fill(shape, tf.constant(-nats, self.dtype))


@tfd.RegisterKL(tfd.Independent, UniformCodes)
def _kl_point_uniform(q: Any, p: UniformCodes, name: str | None = None) -> tf.Tensor:
    """The KL of a point mass on a code: log K for each position."""
    if not isinstance(q.distribution, tfd.Deterministic):
        raise NotImplementedError("It is known for codes that x determines.")
    return -p.log_prob(q.distribution.loc)
