"""The discretised logistic (Salimans et al., 2017, arXiv:1701.05517)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.distributions.merged_axes import with_merged_axes
from tfvae.distributions.scalar import ScalarDistribution
from tfvae.distributions.support import Support

ParameterProperties = tfp.util.ParameterProperties


class DiscretizedLogistic(ScalarDistribution):
    """A logistic rounded to the integers low, ..., high: a likelihood of 8-bit images, 0 to 255.

    The mass of a level k is that of (k - 1/2, k + 1/2) under the logistic; the edge levels have
    what lies beyond them too, so that the masses add up to one.

    Args:
        loc: Location of the logistic, -1 at `low` and 1 at `high`.
        scale: Scale of the logistic, in the same units: half the range.
        low: Lowest level.
        high: Highest level.
        validate_args: Whether to check the parameters.
        allow_nan_stats: As in TFP.
        name: Name of the distribution.

    Example: images of integers from 0 to 255, which the encoder had better see as -1 to 1.
    >>> encoder = keras.Sequential(
    ...     [keras.layers.Rescaling(1 / 127.5, offset=-1.0), *networks.mlp([512]).layers]
    ... )
    >>> decoder = Conditional(networks.mlp([512]), Head("DiscretizedLogistic", (32, 32, 3)))
    """

    def __init__(
        self,
        loc: Any,
        scale: Any,
        low: Any = 0.0,
        high: Any = 255.0,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "DiscretizedLogistic",
    ):
        super().__init__(dict(locals()), ("loc", "scale", "low", "high"), ("scale",))

    @property
    def support(self) -> Support:
        """Integers in [low, high]."""
        return levels(self.low, self.high)

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: int | None = None) -> dict[str, Any]:
        return {
            "loc": ParameterProperties(),
            "scale": ParameterProperties(
                default_constraining_bijector_fn=lambda: tfp.bijectors.Softplus()
            ),
            **level_properties(),
        }

    def _log_prob(self, x: tf.Tensor) -> tf.Tensor:
        return with_merged_axes(log_mass, x, self.loc, self.scale, self.low, self.high)

    def _sample_n(self, n: int, seed: Any = None) -> tf.Tensor:
        shape = tf.concat([[n], self.batch_shape_tensor()], 0)
        return draw(shape, self.loc, self.scale, self.low, self.high, seed)

    def _mean(self) -> tf.Tensor:
        def above(level: tf.Tensor) -> tf.Tensor:
            return probability_above(level, self.loc, self.scale, self.low, self.high)

        return mean_of_levels(above, self.low, self.high, self.batch_shape_tensor())

    def _parameter_control_dependencies(self, is_init: bool) -> list[Any]:
        return super()._parameter_control_dependencies(is_init) + order_of_levels(self, is_init)


def levels(low: Any, high: Any) -> Support:
    """Returns the support of the levels low, ..., high; they are constants."""
    ends = [np.asarray(tf.get_static_value(end)) for end in (low, high)]
    low, high = (v.flat[0] if np.ptp(v) == 0 else v for v in ends)
    return Support(low, high, is_integer=True)


def order_of_levels(d: Any, is_init: bool) -> list[Any]:
    """Returns the assertion that `low` is below `high`, if arguments are to be checked."""
    if not (is_init and d.validate_args):
        return []
    return [tf.debugging.assert_less(d.low, d.high, message="Argument `low` must be below `high`.")]


def level_properties() -> dict[str, Any]:
    """Returns the properties of `low` and `high`, which are constants."""
    return {key: ParameterProperties(is_preferred=False) for key in ("low", "high")}


def log_mass(x: Any, loc: Any, scale: Any, low: Any, high: Any) -> tf.Tensor:
    """Returns the log of a level's probability; minus infinity outside of low, ..., high.

    With S the logistic function, S(b) - S(a) = S(b) S(-a) (1 - exp(a - b)): no difference of
    nearly equal numbers is left, however far the level lies in the tail.
    """
    half = 0.5 * (high - low)
    lower = ((x - 0.5 - low) / half - 1.0 - loc) / scale
    upper = ((x + 0.5 - low) / half - 1.0 - loc) / scale
    log_below, log_above = -tf.nn.softplus(-upper), -tf.nn.softplus(lower)
    # Not `log1mexp`, whose gradient is NaN for very wide scales.
    inner = log_below + log_above + tf.math.log(-tf.math.expm1(-1.0 / (half * scale)))
    edges = tf.where(x <= low, log_below, tf.where(x >= high, log_above, inner))
    return tf.where((x < low) | (x > high), -tf.constant(float("inf"), edges.dtype), edges)


def probability_above(level: Any, loc: Any, scale: Any, low: Any, high: Any) -> tf.Tensor:
    """Returns the probability of the levels above a level below `high`."""
    half = 0.5 * (high - low)
    return tf.sigmoid((loc + 1.0 - (level + 0.5 - low) / half) / scale)


def draw(shape: Any, loc: Any, scale: Any, low: Any, high: Any, seed: Any) -> tf.Tensor:
    """Returns levels: a logistic, rounded and clipped."""
    dtype = loc.dtype
    uniform = tf.random.stateless_uniform(
        shape, tfp.random.sanitize_seed(seed), minval=dtype.as_numpy_dtype(1e-7), dtype=dtype
    )
    y = loc + scale * (tf.math.log(uniform) - tf.math.log1p(-uniform))
    level = tf.floor(low + 0.5 * (high - low) * (y + 1.0) + 0.5)
    return tf.clip_by_value(level, low, high)


def mean_of_levels(above: Callable, low: Any, high: Any, shape: Any) -> tf.Tensor:
    """Returns low + the sum over levels k < high of P(X > k), level by level to save memory."""

    def body(level: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        inside = tf.cast(level < high, total.dtype)  # `high` may differ between entries
        return level + 1.0, total + inside * above(level)

    total = tf.broadcast_to(low, shape)
    first, last = tf.reduce_min(low), tf.reduce_max(high)
    return tf.while_loop(lambda level, _: level < last, body, (first, total))[1]
