"""Bounds of the scales in affine flows."""

import tensorflow as tf

LOG_SCALE_BOUND = 3.0  # one layer scales by 1/20 to 20


def bounded(log_scale: tf.Tensor) -> tf.Tensor:
    """Returns a log-scale in (-3, 3), the identity near 0; `exp` of it stays finite in a stack."""
    return LOG_SCALE_BOUND * tf.tanh(log_scale / LOG_SCALE_BOUND)
