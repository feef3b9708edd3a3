"""The negative binomial by its mean and dispersion."""

import math
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.distributions.scalar import ScalarDistribution
from tfvae.distributions.support import COUNTS

tfd, ParameterProperties = tfp.distributions, tfp.util.ParameterProperties


class NegativeBinomialByMean(ScalarDistribution):
    """Counts with mean exp(log_mean) and variance mean + dispersion * mean**2.

    TFP's `NegativeBinomial` has a count of failures and logits, both of which move the mean. Its
    log-density is a difference of numbers as large as the counts; this one is not.

    Args:
        log_mean: Log of the mean.
        dispersion: Positive; the Poisson distribution is the limit at 0.
        validate_args: Whether to check the parameters.
        allow_nan_stats: As in TFP.
        name: Name of the distribution.

    Example: one dispersion for each of 2,000 genes.
    >>> tfvae.Head("NegativeBinomialByMean", (2_000,), shared={"dispersion": (2_000,)})
    """

    exposure_parameter = "log_mean"  # to which the log of an exposure is added
    support = COUNTS

    def __init__(
        self,
        log_mean: Any,
        dispersion: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "NegativeBinomialByMean",
    ):
        super().__init__(dict(locals()), ("log_mean", "dispersion"), ("dispersion",))

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: int | None = None) -> dict[str, Any]:
        return count_properties()

    def _log_prob(self, x: tf.Tensor) -> tf.Tensor:
        return log_mass(x, tf.exp(self.log_mean), 1.0 / self.dispersion)

    def _sample_n(self, n: int, seed: Any = None) -> tf.Tensor:
        shape = tf.concat([[n], self.batch_shape_tensor()], 0)
        return draw(shape, tf.exp(self.log_mean), 1.0 / self.dispersion, seed)

    def _mean(self) -> tf.Tensor:
        return tf.broadcast_to(tf.exp(self.log_mean), self.batch_shape_tensor())

    def _variance(self) -> tf.Tensor:
        mean = tf.exp(self.log_mean)
        return mean + self.dispersion * mean**2


def count_properties() -> dict[str, Any]:
    """Returns the properties of `log_mean` and `dispersion`."""
    return {
        "log_mean": ParameterProperties(),
        "dispersion": ParameterProperties(
            default_constraining_bijector_fn=lambda: tfp.bijectors.Softplus()
        ),
    }


def log_mass(x: Any, mean: Any, failures: Any) -> tf.Tensor:
    """Returns the log-probability of counts, minus infinity below 0.

    Args:
        x: Counts.
        mean: Mean m.
        failures: r = 1 / dispersion.

    Loader's form (2000, "Fast and accurate computation of binomial probabilities"): deviances from
    the mean and errors of Stirling's formula, in which nothing large cancels.
    """
    count = tf.where(x > 0, x, tf.ones_like(x))
    total = count + failures
    expected = total * (mean / (mean + failures))  # of the counts, given total; the rest are r's
    expected_failures = total * (failures / (mean + failures))
    shift = failures * ((count - mean) / (mean + failures))  # count - expected
    deviance = count * _log_ratio(count, expected, shift) + failures * _log_ratio(
        failures, expected_failures, -shift
    )
    positive = (
        _stirling_error(total)
        - _stirling_error(failures)
        - _stirling_error(count)
        - deviance
        - 0.5 * (math.log(2.0 * math.pi) + tf.math.log(count))
        + 0.5 * (tf.math.log(failures) - tf.math.log(total))
    )
    log_prob = tf.where(x > 0, positive, -failures * tf.math.log1p(mean / failures))
    return tf.where(x < 0, -tf.constant(float("inf"), log_prob.dtype), log_prob)


def draw(shape: Any, mean: Any, failures: Any, seed: Any) -> tf.Tensor:
    """Returns counts: Poisson draws whose rates are Gamma draws."""
    rate_seed, count_seed = tfp.random.split_seed(seed, salt="NegativeBinomialByMean")
    failures = tf.broadcast_to(failures, shape[1:])
    rate = (mean / failures) * tfd.Gamma(failures, 1.0).sample(shape[0], seed=rate_seed)
    return tfd.Poisson(tf.maximum(rate, rate.dtype.as_numpy_dtype(1e-30))).sample(seed=count_seed)


def _log_ratio(y: Any, expected: Any, shift: Any) -> tf.Tensor:
    """Returns log(y / expected) for y = expected + shift, also where that is nearly 1."""
    ratio = tf.clip_by_value(shift / expected, -0.5, 0.5)
    is_near = tf.abs(shift) < 0.5 * expected
    return tf.where(is_near, tf.math.log1p(ratio), tf.math.log(y / expected))


def _stirling_error(x: Any) -> tf.Tensor:
    """Returns log(x!) minus Stirling's formula, (x + 1/2) log x - x + log(2 pi) / 2, for x > 0.

    It is a series for x >= 8, and below that (x + 8)! / (x + 1) ... (x + 8) is x!. This is as exact
    as `lgamma`, and XLA compiles it and its gradient in a fraction of the time.
    """
    small = tf.minimum(x, 8.0)
    y = tf.where(x < 8.0, small + 8.0, x)
    square = 1.0 / y**2
    series = 1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square / 1188)))
    product = math.prod([small + k for k in range(1, 9)])
    shifted = (small + 8.5) * tf.math.log(small + 8.0) - 8.0 - tf.math.log(product)
    return series / y + tf.where(x < 8.0, shifted - (small + 0.5) * tf.math.log(small), 0.0)
