"""Bits per dimension."""

import math
from typing import Any

import numpy as np

from tfvae import checks


def bits_per_dimension(nats: Any, event_shape: tuple[int, ...]) -> Any:
    """Returns a log-density in nats per example as code length in bits per dimension.

    Args:
        nats: log p(x) or a bound on it, a number or array.
        event_shape: Shape of an example.

    Returns:
        -nats / (ln 2 * number of dimensions), like `nats`.

    Example: 256 equally likely levels cost 8 bits.
    >>> round(bits_per_dimension(-784 * math.log(256), (28, 28)), 6)
    8.0
    """
    dimensions = math.prod(checks.shape("event_shape", event_shape))
    return (
        -nats / (math.log(2.0) * dimensions)
        if np.isscalar(nats)
        else -np.asarray(nats) / (math.log(2.0) * dimensions)
    )
