"""From features to a distribution."""

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfvae import checks
from tfvae.errors import did_you_mean
from tfvae.families import Family, family_name
from tfvae.layers.building import Shape
from tfvae.serialization import serializable
from tfvae.stochastic.stochastic_layer import StochasticLayer


@serializable
class Head(StochasticLayer):
    """Features -> distribution: one projection gives all parameters of a TFP family.

    Flat features [..., F] are projected to the whole event. Features [..., *lead, F] whose leading
    shape is the event's are projected pointwise (a 1x1 convolution).

    Args:
        family: Name of a TFP distribution, or the class.
        event_shape: Shape of one event; scalar families are repeated over it.
        fixed: Constant parameters by name, such as {"scale": 0.1}. Here too is the size that some
            families need: {"num_classes": 5} for `Categorical`, {"num_components": 5} for
            `DiscretizedLogisticMixture`.
        shared: Parameters that are weights instead of functions of the features, by name, with the
            shape of the weight: {"scale": ()} is one learned scale for all, {"scale": event_shape}
            one per entry.
        use_bias: Whether the projection has a bias. Of pointwise logits of a softmax it would move
            nothing.

    Raises:
        ValueError: If family, names or shapes do not fit; features that do not fit are refused in
            `build`.

    Example: a Gaussian likelihood with a known scale, p(x | z) = N(x | f(z), 0.1**2).
    >>> Head("Normal", (28, 28, 1), fixed={"scale": 0.1})(tf.zeros([8, 400])).event_shape
    TensorShape([28, 28, 1])
    """

    def __init__(
        self,
        family: str | type,
        event_shape: tuple[int, ...],
        fixed: Mapping[str, Any] | None = None,
        shared: Mapping[str, tuple[int, ...]] | None = None,
        use_bias: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.family, self.fixed = family_name(family), checks.mapping("fixed", fixed)
        self._family = Family(self.family, event_shape, self.fixed)
        self.event_shape = self._family.event_shape
        self.use_bias = checks.boolean("use_bias", use_bias)
        shared = checks.mapping("shared", shared)
        self.shared = {k: self._shared_shape(k, s) for k, s in shared.items()}
        self._projected = {k: p for k, p in self._family.free.items() if k not in self.shared}
        if not self._projected:
            raise ValueError(
                f"`fixed` and `shared` must leave a parameter of {self.family} that depends on the "
                f"features. Received: fixed={self.fixed}, shared={self.shared}. Fix: use "
                "`Trainable`."
            )
        self._kernel_initializer = keras.initializers.GlorotUniform()

    def build(self, features_shape: Shape) -> None:
        lead = tuple(features_shape[1:-1])
        for name, p in self._projected.items():
            if p.unconstrained_shape[: len(lead)] != lead:
                raise ValueError(
                    f"`features` of a {self.family} head must be flat, or have leading shape "
                    f"{p.unconstrained_shape[:-1] or self.event_shape}, for `{name}` has shape "
                    f"{p.unconstrained_shape}. Received: features of shape "
                    f"{tuple(features_shape[1:])}. "
                    "Fix: end the network with `keras.layers.Flatten()`, or with features of that "
                    "shape."
                )
        self._sizes = [
            math.prod(p.unconstrained_shape[len(lead) :]) for p in self._projected.values()
        ]
        self._features_ndim = len(lead) + 1
        self.projection = keras.layers.Dense(
            sum(self._sizes),
            use_bias=self.use_bias,
            kernel_initializer=self._kernel_initializer,
            dtype="float32",
            trainable=self.trainable,  # the head may be frozen before it is built
            name="projection",
        )
        self.projection.build((None, features_shape[-1]))
        self.weights_by_name = {
            name: self.add_weight(name=name, shape=shape, initializer="zeros")
            for name, shape in self.shared.items()
        }
        self.built = True

    def call(self, features: tf.Tensor) -> Any:
        features = tf.cast(features, tf.float32)
        # One matrix product: leading axes are folded, or `Dense` would contract axis by axis.
        flat = self.projection(tf.reshape(features, [-1, features.shape[-1]]))
        samples = tf.shape(features)[: features.shape.rank - self._features_ndim]
        static = features.shape[: features.shape.rank - self._features_ndim]
        unconstrained = {}
        for (name, p), part in zip(
            self._projected.items(), tf.split(flat, self._sizes, axis=-1), strict=True
        ):
            value = tf.reshape(part, tf.concat([samples, p.unconstrained_shape], 0))
            value.set_shape(static + p.unconstrained_shape)
            unconstrained[name] = value
        for name, weight in self.weights_by_name.items():
            unconstrained[name] = tf.convert_to_tensor(weight.value)
        return self._family.distribution(unconstrained)

    def _shared_shape(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        free = self._family.free
        if name not in free:
            raise ValueError(
                f"`shared` must name free parameters of {self.family}: {', '.join(free)}. "
                f"Received: shared={{{name!r}: {shape}}}.{did_you_mean(name, free)}"
            )
        shape = checks.shape(f"shared[{name!r}]", shape)
        whole = free[name].unconstrained_shape
        try:
            fits = (
                tuple(tf.broadcast_static_shape(tf.TensorShape(shape), tf.TensorShape(whole)))
                == whole
            )
        except ValueError:
            fits = False
        if not fits or (free[name].event_ndims and shape != whole):
            raise ValueError(
                f"`shared[{name!r}]` must be a shape that broadcasts to {whole}. "
                f"Received: shared={{{name!r}: {shape}}}."
            )
        return shape
