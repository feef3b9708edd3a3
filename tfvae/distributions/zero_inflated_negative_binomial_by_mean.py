"""The zero-inflated negative binomial by its mean and dispersion."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.distributions.negative_binomial_by_mean import count_properties, draw, log_mass
from tfvae.distributions.scalar import ScalarDistribution
from tfvae.distributions.support import COUNTS

ParameterProperties = tfp.util.ParameterProperties


class ZeroInflatedNegativeBinomialByMean(ScalarDistribution):
    """Zero with probability sigmoid(inflation_logits), else a `NegativeBinomialByMean`.

    The mean of the whole is (1 - inflation) exp(log_mean). Source: scVI (Lopez et al., 2018,
    https://doi.org/10.1038/s41592-018-0229-2).

    Args:
        inflation_logits: Log-odds of a zero from outside of the negative binomial.
        log_mean: Log of the negative binomial's mean.
        dispersion: Its dispersion, positive.
        validate_args: Whether to check the parameters.
        allow_nan_stats: As in TFP.
        name: Name of the distribution.
    """

    exposure_parameter = "log_mean"
    support = COUNTS

    def __init__(
        self,
        inflation_logits: Any,
        log_mean: Any,
        dispersion: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "ZeroInflatedNegativeBinomialByMean",
    ):
        super().__init__(
            dict(locals()), ("inflation_logits", "log_mean", "dispersion"), ("dispersion",)
        )

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: int | None = None) -> dict[str, Any]:
        return {"inflation_logits": ParameterProperties(), **count_properties()}

    def _log_prob(self, x: tf.Tensor) -> tf.Tensor:
        count = log_mass(x, tf.exp(self.log_mean), 1.0 / self.dispersion)
        from_count = tf.math.log_sigmoid(-self.inflation_logits) + count
        inflation = tf.math.log_sigmoid(self.inflation_logits)
        # Both are finite, or the gradient of the branch that is not taken would be NaN.
        finite = tf.where(x < 0, tf.zeros_like(from_count), from_count)
        zero = tfp.math.log_add_exp(inflation, finite)
        return tf.where(x == 0, zero, from_count)

    def _sample_n(self, n: int, seed: Any = None) -> tf.Tensor:
        shape = tf.concat([[n], self.batch_shape_tensor()], 0)
        zero_seed, count_seed = tfp.random.split_seed(seed, salt="ZeroInflated")
        uniform = tf.random.stateless_uniform(shape, zero_seed, dtype=self.dtype)
        counts = draw(shape, tf.exp(self.log_mean), 1.0 / self.dispersion, count_seed)
        return tf.where(uniform < tf.sigmoid(self.inflation_logits), tf.zeros_like(counts), counts)

    def _mean(self) -> tf.Tensor:
        mean = tf.sigmoid(-self.inflation_logits) * tf.exp(self.log_mean)
        return tf.broadcast_to(mean, self.batch_shape_tensor())

    def _variance(self) -> tf.Tensor:
        zero, mean = tf.sigmoid(self.inflation_logits), tf.exp(self.log_mean)
        return (1.0 - zero) * mean * (1.0 + mean * (zero + self.dispersion))
