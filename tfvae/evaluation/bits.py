"""Bits per dimension."""

import math
from typing import Any

import numpy as np

from tfvae import checks


def bits_per_dimension(nats: Any, event_shape: tuple[int, ...], level: float = 1.0) -> Any:
    """Returns a log-density in nats per example as code length in bits per dimension.

    Probabilities of integers, such as those of `DiscretizedLogistic`, give the exact length. The
    density of levels to which uniform noise of one level was added gives an upper bound of it
    (Theis et al., 2016, arXiv:1511.01844).

    Args:
        nats: log p(x) or a bound on it, a number or array.
        event_shape: Shape of an example.
        level: Width of a level in units of x, for densities: 1/256 if 256 levels were scaled to
            [0, 1).

    Returns:
        -(nats / number of dimensions + ln level) / ln 2, like `nats`.

    Raises:
        TypeError, ValueError: If the shape is none, or `level` is not positive.

    Example: 256 equally likely levels cost 8 bits.
    >>> round(bits_per_dimension(-784 * math.log(256), (28, 28)), 6)
    8.0
    """
    dimensions = math.prod(checks.shape("event_shape", event_shape))
    if checks.finite_number("level", level) <= 0.0:
        raise ValueError(f"`level` must be positive. Received: level={level}.")
    nats = nats if np.isscalar(nats) else np.asarray(nats)
    return -(nats / dimensions + math.log(level)) / math.log(2.0)
