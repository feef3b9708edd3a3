"""Scales and shifts of affine flows."""

from typing import NamedTuple

import tensorflow as tf

LOG_SCALE_BOUND = 3.0  # one layer scales by 1/20 to 20


class Affine(NamedTuple):
    """b -> exp(log_scale) b + shift, number by number; an `Elementwise`.

    Attributes:
        shift: [...].
        log_scale: [...].
    """

    shift: tf.Tensor
    log_scale: tf.Tensor

    def forward(self, b: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the images of numbers and the log-derivatives."""
        return b * tf.exp(self.log_scale) + self.shift, self.log_scale

    def inverse(self, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the numbers of images and the log-derivatives of the way back."""
        return (y - self.shift) * tf.exp(-self.log_scale), -self.log_scale


def bounded(log_scale: tf.Tensor) -> tf.Tensor:
    """Returns a log-scale in (-3, 3), the identity near 0; `exp` of it stays finite in a stack."""
    return LOG_SCALE_BOUND * tf.tanh(log_scale / LOG_SCALE_BOUND)
