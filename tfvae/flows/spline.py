"""Monotone rational-quadratic splines (Durkan et al., 2019, arXiv:1906.04032)."""

import math
from typing import NamedTuple

import tensorflow as tf

BOUND = 5.0  # outside of [-5, 5] a spline is the identity
MIN_SIZE = 1e-3  # of a bin, as a share of the interval, and of a slope
SLOPE_AT_ZERO = math.log(math.e - 1.0)  # softplus of it is 1


class Spline(NamedTuple):
    """A spline of K bins for each number, from [-5, 5] onto itself; an `Elementwise`.

    Value and derivative come from one pass, which TFP's bijector takes two for: in a stack, with
    gradients, that is several times as many operations, all of them small.

    Attributes:
        widths: Of the bins, [..., K], positive, with a sum of 10.
        heights: Of the bins, likewise.
        slopes: At the K - 1 inner knots, [..., K - 1], positive; at the ends they are 1.
    """

    widths: tf.Tensor
    heights: tf.Tensor
    slopes: tf.Tensor

    def forward(self, b: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the images of numbers and the log-derivatives (equations 4 and 5)."""
        inside = tf.abs(b) <= BOUND
        x = tf.clip_by_value(b, -BOUND, BOUND)
        piece = self._piece(x, self.widths)
        share = tf.clip_by_value((x - piece.left) / piece.width, 0.0, 1.0)
        y = piece.bottom + piece.height * piece.rise(share)
        return tf.where(inside, y, b), tf.where(inside, piece.log_slope(share), 0.0)

    def inverse(self, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the numbers of images and the log-derivatives of the way back (equations 6-8)."""
        inside = tf.abs(y) <= BOUND
        clipped = tf.clip_by_value(y, -BOUND, BOUND)
        piece = self._piece(clipped, self.heights)
        share = piece.share_at(tf.clip_by_value((clipped - piece.bottom) / piece.height, 0.0, 1.0))
        b = piece.left + piece.width * share
        return tf.where(inside, b, y), tf.where(inside, -piece.log_slope(share), 0.0)

    def _piece(self, number: tf.Tensor, sizes: tf.Tensor) -> "Piece":
        """Returns the pieces in whose bins, of given sizes, numbers [...] lie."""
        left, bottom = (tf.cumsum(s, axis=-1, exclusive=True) - BOUND for s in self[:2])
        edges = left if sizes is self.widths else bottom
        one = tf.ones_like(self.slopes[..., :1])
        before, after = (tf.concat(p, -1) for p in ((one, self.slopes), (self.slopes, one)))
        parts = tf.stack([left, self.widths, bottom, self.heights, before, after], axis=-2)
        bins = parts.shape[-1]
        reached = tf.cast(number[..., None] >= edges[..., 1:], tf.int32)
        # A product with the chosen bin's indicator has a cheaper gradient than a gather.
        chosen = tf.one_hot(tf.reduce_sum(reached, axis=-1), bins, dtype=parts.dtype)
        return Piece(*tf.unstack(tf.reduce_sum(parts * chosen[..., None, :], axis=-1), axis=-1))


class Piece(NamedTuple):
    """One bin of a spline for each number, in which t is the share of the way through, [...]."""

    left: tf.Tensor
    width: tf.Tensor
    bottom: tf.Tensor
    height: tf.Tensor
    slope_before: tf.Tensor
    slope_after: tf.Tensor

    @property
    def slope(self) -> tf.Tensor:
        """The mean slope."""
        return self.height / self.width

    @property
    def bend(self) -> tf.Tensor:
        """By how much the slopes at both ends are above twice the mean."""
        return self.slope_before + self.slope_after - 2.0 * self.slope

    def rise(self, t: tf.Tensor) -> tf.Tensor:
        """Returns the share of the height that is reached."""
        both = t * (1.0 - t)
        top = self.slope * tf.square(t) + self.slope_before * both
        return top / (self.slope + self.bend * both)

    def log_slope(self, t: tf.Tensor) -> tf.Tensor:
        """Returns the logarithm of the derivative."""
        rest = 1.0 - t
        both = t * rest
        top = self.slope_after * tf.square(t) + 2.0 * self.slope * both
        top += self.slope_before * tf.square(rest)
        bottom = self.slope + self.bend * both
        return tf.math.log(top) + 2.0 * (tf.math.log(self.slope) - tf.math.log(bottom))

    def share_at(self, rise: tf.Tensor) -> tf.Tensor:
        """Returns t where a share of the height is reached: a root of a quadratic equation."""
        a = self.slope - self.slope_before + rise * self.bend
        b = self.slope_before - rise * self.bend
        c = -self.slope * rise
        root = tf.sqrt(tf.maximum(tf.square(b) - 4.0 * a * c, 0.0))
        return tf.clip_by_value(-2.0 * c / (b + root), 0.0, 1.0)


def spline(outputs: tf.Tensor) -> Spline:
    """Returns a spline of K bins from numbers [..., 3 K - 1]; zeros give the identity."""
    bins = (outputs.shape[-1] + 1) // 3
    widths, heights, slopes = tf.split(outputs, [bins, bins, bins - 1], axis=-1)
    slopes = tf.math.softplus(slopes + SLOPE_AT_ZERO) * (1.0 - MIN_SIZE) + MIN_SIZE
    return Spline(_sizes(widths), _sizes(heights), slopes)


def _sizes(logits: tf.Tensor) -> tf.Tensor:
    """Returns sizes of bins, none of them tiny, that add up to the interval."""
    share = tf.nn.softmax(logits, axis=-1) * (1.0 - MIN_SIZE * logits.shape[-1]) + MIN_SIZE
    return 2.0 * BOUND * share
