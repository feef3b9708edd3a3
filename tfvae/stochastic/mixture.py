"""A mixture with weights of its own."""

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfvae import checks
from tfvae.distributions import mixture
from tfvae.families import Family, family_name
from tfvae.layers.building import Shape
from tfvae.serialization import serializable
from tfvae.stochastic.stochastic_layer import StochasticLayer

# Components must differ at the start, or they get the same gradient for ever.
LOCATION_SPREAD, OTHER_SPREAD = 1.0, 0.1


@serializable
class Mixture(StochasticLayer):
    """Weights -> sum_k w_k p_k: a prior of clusters; it ignores any condition.

    Args:
        family: Name of the components' family, or the class; "Normal" is a mixture of Gaussians
            with diagonal covariances, "MultivariateNormalTriL" one with full covariances.
        event_shape: Shape of one event.
        num_components: K >= 2.
        fixed: Constant parameters of every component by name, such as {"scale": 1.0}.

    Raises:
        ValueError: If family, number or a constant does not fit.

    Example:
    >>> Mixture("Normal", (32,), num_components=10)(None).sample(5).shape
    TensorShape([5, 32])
    """

    def __init__(
        self,
        family: str | type,
        event_shape: tuple[int, ...],
        num_components: int,
        fixed: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.family, self.fixed = family_name(family), checks.mapping("fixed", fixed)
        self.num_components = checks.integer("num_components", num_components, 2)
        self._family = Family(self.family, event_shape, self.fixed)
        self.event_shape = self._family.event_shape
        self._initializers = {
            name: keras.initializers.RandomNormal(
                stddev=LOCATION_SPREAD if name == "loc" else OTHER_SPREAD
            )
            for name in self._family.free
        }

    def build(self, condition_shape: Shape | None = None) -> None:
        self.logits = self.add_weight(
            name="logits", shape=(self.num_components,), initializer="zeros"
        )
        self.unconstrained = {
            name: self.add_weight(
                name=name,
                shape=(self.num_components, *p.unconstrained_shape),
                initializer=self._initializers[name],
            )
            for name, p in self._family.free.items()
        }
        self.built = True

    def call(self, condition: tf.Tensor | None = None) -> Any:
        components = self._family.distribution(
            {name: tf.convert_to_tensor(w.value) for name, w in self.unconstrained.items()}
        )
        return mixture(tf.convert_to_tensor(self.logits.value), components)

    @property
    def numbers_per_draw(self) -> int:
        return numbers_per_draw(self.family, self.num_components, self.event_shape)


def numbers_per_draw(family: str | None, num_components: int, event_shape: tuple[int, ...]) -> int:
    """Returns the numbers that a mixture's density holds for each draw.

    Of Gaussians these are one of twice the size for each component, else an event for each.
    """
    return num_components * (2 if family == "Normal" else math.prod(event_shape))
