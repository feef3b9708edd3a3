"""Counts of words whose total is the document's own."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.distributions.support import COUNTS

tfd, ParameterProperties = tfp.distributions, tfp.util.ParameterProperties


class BagOfWords(tfd.AutoCompositeTensorDistribution):
    """A multinomial given its total: log p(x | sum of x).

    TFP's `Multinomial` is normalised for one total count, and silently wrong for documents of
    another. Here the total is read from x.

    Args:
        logits: Unnormalised log-probabilities of the words, [..., V].
        total_count: Length of the documents that are drawn, and of the mean. With 1 the mean is
            the words' probabilities. The log-density does not depend on it.
        validate_args: Whether to check the parameters.
        allow_nan_stats: As in TFP.
        name: Name of the distribution.

    Example: documents of 100 words are generated.
    >>> tfvae.Head("BagOfWords", (2_000,), fixed={"total_count": 100.0})
    """

    support = COUNTS

    def __init__(
        self,
        logits: Any,
        total_count: Any = 1.0,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "BagOfWords",
    ):
        parameters = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        with tf.name_scope(name) as name:
            self.logits = tf.convert_to_tensor(logits, dtype_hint=tf.float32)
            if self.logits.shape.rank == 0:
                raise ValueError("`logits` must have an axis of words.")
            self.total_count = tf.convert_to_tensor(total_count, self.logits.dtype)
            super().__init__(
                dtype=self.logits.dtype,
                reparameterization_type=tfd.NOT_REPARAMETERIZED,
                validate_args=validate_args,
                allow_nan_stats=allow_nan_stats,
                parameters=parameters,
                name=name,
            )

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: int | None = None) -> dict[str, Any]:
        return {
            "logits": ParameterProperties(event_ndims=1),
            "total_count": ParameterProperties(is_preferred=False),
        }

    def _event_shape(self) -> tf.TensorShape:
        return self.logits.shape[-1:]

    def _event_shape_tensor(self) -> tf.Tensor:
        return tf.shape(self.logits)[-1:]

    def _log_prob(self, x: tf.Tensor) -> tf.Tensor:
        orders = tf.math.lgamma(1.0 + tf.reduce_sum(x, axis=-1)) - tf.reduce_sum(
            tf.math.lgamma(1.0 + x), axis=-1
        )
        return orders + tf.reduce_sum(x * tf.math.log_softmax(self.logits), axis=-1)

    def _sample_n(self, n: int, seed: Any = None) -> tf.Tensor:
        return tfd.Multinomial(self.total_count, logits=self.logits).sample(n, seed=seed)

    def _mean(self) -> tf.Tensor:
        return self.total_count[..., None] * tf.nn.softmax(self.logits)

    def _variance(self) -> tf.Tensor:
        p = tf.nn.softmax(self.logits)
        return self.total_count[..., None] * p * (1.0 - p)

    def _default_event_space_bijector(self) -> None:
        return None

    def _parameter_control_dependencies(self, is_init: bool) -> list[Any]:
        if not (is_init and self.validate_args):
            return []
        return [
            tf.debugging.assert_positive(
                self.total_count, message="Argument `total_count` must be positive."
            )
        ]
