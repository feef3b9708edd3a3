"""One point that stands for a distribution."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


def center(distribution: Any) -> tf.Tensor:
    """Returns the mean where it is known; else a point that is never random.

    Where a flow has moved a distribution, it is the image of the base's center; of a relaxed
    categorical, it is the vector of probabilities.

    Args:
        distribution: A `tfd.Distribution` [B].

    Raises:
        NotImplementedError: If there is no such point.
    """
    try:
        return distribution.mean()
    except NotImplementedError:
        pass
    if isinstance(distribution, tfd.ExpRelaxedOneHotCategorical):
        return tf.nn.log_softmax(distribution.logits_parameter())
    if isinstance(distribution, tfd.TransformedDistribution):
        return distribution.bijector.forward(center(distribution.distribution))
    if isinstance(distribution, tfd.Independent):
        return center(distribution.distribution)
    raise NotImplementedError(f"No center is known of {type(distribution).__name__}.")
