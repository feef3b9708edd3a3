"""What of x was observed, and over which exposure: shapes of `mask` and `exposure`."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfvae.errors import DataError


def check_observation(inputs: Mapping[str, Any]) -> None:
    """Refuses a mask or an exposure of a wrong shape; `value_checks` looks at their values.

    Args:
        inputs: Arrays, tensors or their specs, by the keys of `Inputs`; those that are None are
            skipped.

    Raises:
        DataError: If one does not fit.
    """
    mask, exposure = inputs.get("mask"), inputs.get("exposure")
    if mask is not None:
        shape, x_shape = (tf.TensorShape(a.shape) for a in (mask, inputs["x"]))
        if not shape.is_compatible_with(x_shape):
            raise DataError(
                "`mask` must have the shape of x. "
                f"Received: mask of shape {shape} with x of shape {x_shape}. "
                "Fix: `np.broadcast_to(mask, x.shape)`."
            )
    if exposure is not None:
        shape = tf.TensorShape(exposure.shape)
        if shape.rank not in (1, None):
            raise DataError(
                f"`exposure` must have shape [B]. Received: exposure of shape {shape}. "
                "Fix: one number for each row."
            )
        x_shape = tf.TensorShape(inputs["x"].shape)
        if not shape[:1].is_compatible_with(x_shape[:1]):
            raise DataError(
                "`exposure` must have as many rows as x. "
                f"Received: exposure of shape {shape} with x of shape {x_shape}."
            )


def check_mask_is_as_built(input_shape: Mapping[str, Any], mask: Any) -> None:
    """Refuses a mask that is missing or unexpected: the encoder has inputs for it, or has not.

    Raises:
        DataError: If it is not as when the model was built.
    """
    if "mask" in input_shape and mask is None:
        raise DataError(
            "`mask` must be given, as when the model was built. Received: no mask. "
            "Fix: pass {'x': x, 'mask': np.ones_like(x)} where nothing is missing."
        )
    if "mask" not in input_shape and mask is not None:
        raise DataError(
            "`mask` must be left out, as when the model was built. Received: a mask of shape "
            f"{tuple(mask.shape)}. Fix: train a model with masks from the start."
        )
