"""A distribution without weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae import checks
from tfvae.errors import did_you_mean
from tfvae.families import family_class, family_name
from tfvae.serialization import serializable
from tfvae.stochastic.stochastic_layer import StochasticLayer

tfd = tfp.distributions


@serializable
class Fixed(StochasticLayer):
    """A constant distribution: a prior that is not learned; it ignores any condition.

    Args:
        family: Name of a TFP distribution, or the class.
        event_shape: Shape of one event; scalar families are repeated over it.
        parameters: Value of each parameter by name; it broadcasts over the event.

    Raises:
        ValueError: If family, names, values and event shape do not fit together.

    Example: uniform codes, 8 of 16 values each; and the prior of a binary code.
    >>> Fixed("OneHotCategorical", (8, 16), {"logits": 0.0})(None).event_shape
    TensorShape([8, 16])
    >>> Fixed("Bernoulli", (32,), {"logits": 0.0})(None).event_shape
    TensorShape([32])
    """

    def __init__(
        self,
        family: str | type,
        event_shape: tuple[int, ...],
        parameters: Mapping[str, Any],
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.family = family_name(family)
        self.event_shape = checks.shape("event_shape", event_shape)
        self.parameters = checks.mapping("parameters", parameters)
        self._constants = {k: self._over_event(k, v) for k, v in self.parameters.items()}
        received = (
            f"Received: family={self.family!r}, event_shape={self.event_shape}, "
            f"parameters={self.parameters}."
        )
        with tf.init_scope():
            try:
                d = self._distribution(validate_args=True)
            except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
                reason = str(getattr(error, "message", error)).split("\n")[0].strip(" .")
                raise ValueError(
                    f"`parameters` must be valid for {self.family}: {reason}. {received}"
                ) from None
            if tuple(d.event_shape) != self.event_shape or d.batch_shape.rank != 0:
                raise ValueError(
                    f"`event_shape` must fit {self.family}, whose event comes out as "
                    f"{tuple(d.event_shape)} in a batch {tuple(d.batch_shape)}. {received}"
                )
        self.built = True

    def call(self, condition: tf.Tensor | None = None) -> Any:
        return self._distribution()

    def _distribution(self, validate_args: bool = False) -> Any:
        constants = {k: tf.convert_to_tensor(v) for k, v in self._constants.items()}
        d = family_class(self.family)(**constants, validate_args=validate_args)
        rest = len(self.event_shape) - len(d.event_shape)
        return tfd.Independent(d, rest) if rest else d

    def _over_event(self, name: str, value: Any) -> np.ndarray:
        """Returns a parameter's value, broadcast to what the event shape asks for."""
        properties = family_class(self.family).parameter_properties(dtype=tf.float32)
        if name not in properties:
            raise ValueError(
                f"`parameters` must name parameters of {self.family}: {', '.join(properties)}. "
                f"Received: parameters={{{name!r}: ...}}.{did_you_mean(name, properties)}"
            )
        try:
            shape = tuple(properties[name].shape_fn(tf.TensorShape(self.event_shape)))
            return np.broadcast_to(np.asarray(value, "float32"), shape)
        except (TypeError, ValueError, NotImplementedError):
            raise ValueError(
                f"`parameters[{name!r}]` must be numbers that broadcast over the event. Received: "
                f"parameters={{{name!r}: {value!r}}} with event_shape={self.event_shape}."
            ) from None
