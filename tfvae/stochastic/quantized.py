"""What quantised posteriors share."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


def point_mass(codes: tf.Tensor, features: tf.Tensor, event_ndims: int) -> Any:
    """Returns the distribution that gives `codes` always, with log-probability 0.

    The gradient that reaches its draws goes on to `features`, straight through the rounding
    (Bengio et al., 2013, arXiv:1308.3432).
    """
    # Exactly the codes: features - features is 0, while features + (codes - features) is rounded.
    straight = tf.stop_gradient(codes) + (features - tf.stop_gradient(features))
    return tfd.Independent(tfd.Deterministic(straight), event_ndims)
