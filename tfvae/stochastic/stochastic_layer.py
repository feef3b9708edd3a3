"""What all stochastic layers share: an event shape, and float32 whatever the precision policy."""

import math
from typing import Any

import keras


class StochasticLayer(keras.layers.Layer):
    """A layer whose call returns a `tfd.Distribution`. Abstract: subclasses set `event_shape`.

    Its own computations are float32 under every policy: TFP refuses mixed types, and a log-density
    in half precision is wrong in the second digit. Networks inside follow the policy they were made
    under.

    Call it eagerly or inside a model's `call`; a functional Keras graph takes no distributions.

    Raises:
        ValueError: If another `dtype` is asked for.
    """

    event_shape: tuple[int, ...] = ()

    def __init__(self, dtype: Any = "float32", **kwargs: Any):
        policy = keras.dtype_policies.get(dtype) if dtype is not None else None
        if policy is None or policy.compute_dtype != "float32":
            raise ValueError(
                "`dtype` must be float32: densities lose their meaning in less. Received: "
                f"dtype={dtype}. "
                "Fix: leave it out, and set a policy on the networks inside."
            )
        super().__init__(dtype="float32", **kwargs)

    @property
    def numbers_per_draw(self) -> int:
        """Numbers that a density holds at a time for each draw, to a factor: those of an event."""
        return math.prod(self.event_shape)
