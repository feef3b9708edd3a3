"""A distribution that depends on weights alone."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae import checks
from tfvae.errors import did_you_mean
from tfvae.families import Family, family_name
from tfvae.layers.building import Shape
from tfvae.serialization import serializable
from tfvae.stochastic.stochastic_layer import StochasticLayer


@serializable
class Trainable(StochasticLayer):
    """Weights -> distribution: a learned prior, or a posterior over global latents.

    Args:
        family: Name of a TFP distribution, or the class.
        event_shape: Shape of one event.
        fixed: Constant parameters by name, such as {"scale": 1.0}.
        initial: First values of free parameters by name, on the parameter's own scale; the others
            start where their unconstrained weights are zero (locations 0, scales about 1).

    Raises:
        ValueError: If the family, a name or a value does not fit.

    Example:
    >>> Trainable("MultivariateNormalTriL", (4,))(None).event_shape
    TensorShape([4])
    """

    def __init__(
        self,
        family: str | type,
        event_shape: tuple[int, ...],
        fixed: Mapping[str, Any] | None = None,
        initial: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.family, self.fixed, self.initial = (
            family_name(family),
            checks.mapping("fixed", fixed),
            checks.mapping("initial", initial),
        )
        self._family = Family(self.family, event_shape, self.fixed)
        self.event_shape = self._family.event_shape
        self._initial_weights = {k: self._unconstrained(k, v) for k, v in self.initial.items()}

    def build(self, condition_shape: Shape | None = None) -> None:
        self.unconstrained = {
            name: self.add_weight(
                name=name,
                shape=p.unconstrained_shape,
                initializer=keras.initializers.Constant(self._initial_weights.get(name, 0.0)),
            )
            for name, p in self._family.free.items()
        }
        self.built = True

    def call(self, condition: tf.Tensor | None = None) -> Any:
        return self._family.distribution(
            {name: tf.convert_to_tensor(w.value) for name, w in self.unconstrained.items()}
        )

    def _unconstrained(self, name: str, value: Any) -> np.ndarray:
        free = self._family.free
        if name not in free:
            raise ValueError(
                f"`initial` must name free parameters of {self.family}: {', '.join(free)}. "
                f"Received: initial={{{name!r}: ...}}.{did_you_mean(name, free)}"
            )
        with tf.init_scope():
            shape = self._family.shape(name)
            received = f"Received: initial={{{name!r}: {np.asarray(value).tolist()}}}."
            try:
                np.broadcast_to(np.asarray(value, "float32"), shape)
            except ValueError:
                raise ValueError(
                    f"`initial[{name!r}]` must be numbers that broadcast to {shape}. {received}"
                ) from None
            weight = (
                free[name]
                .constrain.inverse(tf.broadcast_to(tf.cast(value, tf.float32), shape))
                .numpy()
            )
        if not np.isfinite(weight).all():
            raise ValueError(
                f"`initial[{name!r}]` must be a possible value of that parameter of {self.family}. "
                f"{received}"
            )
        return weight
