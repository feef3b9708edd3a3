"""Mixtures of discretised logistics (Salimans et al., 2017, arXiv:1701.05517)."""

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.distributions.discretized_logistic import (
    draw,
    level_properties,
    levels,
    log_mass,
    mean_of_levels,
    order_of_levels,
    probability_above,
)
from tfvae.distributions.scalar import ScalarDistribution
from tfvae.distributions.support import Support

ParameterProperties = tfp.util.ParameterProperties


class DiscretizedLogisticMixture(ScalarDistribution):
    """A mixture of K logistics rounded to low, ..., high; see `DiscretizedLogistic`.

    Each entry has a mixture of its own: the channels of a pixel are independent given z.

    Args:
        logits: Unnormalised log-weights, [..., K].
        loc: Locations, [..., K], -1 at `low` and 1 at `high`.
        scale: Scales, [..., K], in the same units.
        low: Lowest level.
        high: Highest level.
        validate_args: Whether to check the parameters.
        allow_nan_stats: As in TFP.
        name: Name of the distribution.

    Example: a `Head` needs the number of components.
    >>> Head("DiscretizedLogisticMixture", (32, 32, 3), fixed={"num_components": 5})
    """

    size_name = "num_components"  # of the parameters' last axis, among a `Head`'s constants

    def __init__(
        self,
        logits: Any,
        loc: Any,
        scale: Any,
        low: Any = 0.0,
        high: Any = 255.0,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "DiscretizedLogisticMixture",
    ):
        super().__init__(dict(locals()), ("logits", "loc", "scale", "low", "high"), ("scale",))

    @property
    def support(self) -> Support:
        """Integers in [low, high]."""
        return levels(self.low, self.high)

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: int | None = None) -> dict[str, Any]:
        def shape(sample_shape: Any) -> tf.TensorShape:
            return tf.TensorShape([*sample_shape, int(num_classes)])

        def spread() -> Any:
            # The components start side by side, from low to high.
            centers = (2.0 * np.arange(num_classes) + 1.0) / num_classes - 1.0
            return tfp.bijectors.Shift(centers.astype("float32"))

        return {
            "logits": ParameterProperties(event_ndims=1, shape_fn=shape),
            "loc": ParameterProperties(
                event_ndims=1, shape_fn=shape, default_constraining_bijector_fn=spread
            ),
            "scale": ParameterProperties(
                event_ndims=1,
                shape_fn=shape,
                default_constraining_bijector_fn=lambda: tfp.bijectors.Softplus(),
            ),
            **level_properties(),
        }

    def _log_prob(self, x: tf.Tensor) -> tf.Tensor:
        low, high = self.low[..., None], self.high[..., None]
        log_masses = log_mass(x[..., None], self.loc, self.scale, low, high)
        return tf.reduce_logsumexp(tf.math.log_softmax(self.logits) + log_masses, axis=-1)

    def _sample_n(self, n: int, seed: Any = None) -> tf.Tensor:
        shape = tf.concat([[n], self.batch_shape_tensor()], 0)
        which_seed, level_seed = tfp.random.split_seed(seed, salt="DiscretizedLogisticMixture")
        logits = self.logits + tf.zeros_like(self.loc + self.scale)
        which = tfp.distributions.OneHotCategorical(logits, dtype=self.dtype).sample(
            n, seed=which_seed
        )
        loc, scale = (tf.reduce_sum(which * v, axis=-1) for v in (self.loc, self.scale))
        return draw(shape, loc, scale, self.low, self.high, level_seed)

    def _mean(self) -> tf.Tensor:
        low, high = self.low[..., None], self.high[..., None]
        weights = tf.nn.softmax(self.logits)

        def above(level: tf.Tensor) -> tf.Tensor:
            masses = probability_above(level, self.loc, self.scale, low, high)
            return tf.reduce_sum(weights * masses, axis=-1)

        return mean_of_levels(above, self.low, self.high, self.batch_shape_tensor())

    def _parameter_control_dependencies(self, is_init: bool) -> list[Any]:
        return super()._parameter_control_dependencies(is_init) + order_of_levels(self, is_init)
