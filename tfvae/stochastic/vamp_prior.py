"""The VampPrior (Tomczak and Welling, 2018, arXiv:1705.07120)."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae import checks
from tfvae.distributions import mixture
from tfvae.layers.building import Shape, build_once
from tfvae.layers.inference_mode import in_inference_mode
from tfvae.serialization import serializable
from tfvae.stochastic.mixture import numbers_per_draw
from tfvae.stochastic.stochastic_layer import StochasticLayer

MARGIN = 0.01  # of the range: data at its ends become pseudo-inputs that still have a gradient


@serializable
class VampPrior(StochasticLayer):
    """p(z) = 1/K sum_k q(z | u_k): the encoder's own posteriors at K learned pseudo-inputs.

    The encoder is the model's: the same layer object, whose weights are learned through both; in a
    saved model it stays shared (`from_config` alone makes two of it). Pseudo-inputs pass it as at
    inference, without dropout and with BatchNorm's running means. In a model of data with a mask
    all their entries count as observed.

    Args:
        encoder: The model's encoder.
        example_shape: Shape of one example x.
        num_components: K >= 2.
        bounds: Range (low, high) of the data, in which pseudo-inputs stay; None for unbounded data.

    Raises:
        TypeError: If `encoder` is no stochastic layer.
        ValueError: If a number does not fit; in `build`, if the model has a condition.

    Example:
    >>> prior = VampPrior(encoder, (28, 28, 1), num_components=500)
    >>> prior.start_from(x_train)
    >>> vae = VAE(encoder, decoder, prior=prior)
    """

    def __init__(
        self,
        encoder: StochasticLayer,
        example_shape: tuple[int, ...],
        num_components: int,
        bounds: tuple[float, float] | None = (0.0, 1.0),
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not isinstance(encoder, StochasticLayer):
            raise TypeError(
                "`encoder` must be the model's encoder, a stochastic layer. "
                f"Received: encoder={encoder!r} of type {type(encoder).__name__}."
            )
        self.encoder, self.event_shape = encoder, encoder.event_shape
        self.example_shape = checks.shape("example_shape", example_shape)
        self.num_components = checks.integer("num_components", num_components, 2)
        self.bounds = _checked_bounds(bounds)
        self._initializer = keras.initializers.RandomNormal(stddev=1.0)

    def build(self, condition_shape: Shape | None = None) -> None:
        if condition_shape is not None:
            raise ValueError(
                "`prior` must take the model's condition, which a VampPrior does not. "
                f"Received: VampPrior with condition of shape {tuple(condition_shape)}. "
                'Fix: use `Conditional(network, Head("Normal", event_shape))` as prior.'
            )
        build_once(self.encoder, (None, *self.example_shape))
        self.unbounded = self.add_weight(
            name="pseudo_inputs",
            shape=(self.num_components, *self.example_shape),
            initializer=self._initializer,
        )
        self.built = True

    @property
    def pseudo_inputs(self) -> tf.Tensor:
        """The K pseudo-inputs, in the data's range, [K, *example_shape]."""
        value = tf.convert_to_tensor(self.unbounded.value)
        if self.bounds is None:
            return value
        low, high = self.bounds
        return low + (high - low) * tf.sigmoid(value)

    def start_from(self, x: Any) -> None:
        """Makes the first K rows of data the pseudo-inputs; call it before training.

        Args:
            x: Examples [N, *example_shape], N >= K.

        Raises:
            ValueError: If there are too few, or their shape is another.
        """
        x = np.asarray(x, "float32")
        if x.shape[1:] != self.example_shape or len(x) < self.num_components:
            raise ValueError(
                f"`x` must have at least {self.num_components} rows of shape {self.example_shape}. "
                f"Received: x of shape {x.shape}."
            )
        build_once(self, None)
        x = x[: self.num_components]
        if self.bounds is not None:
            low, high = self.bounds
            share = np.clip((x - low) / (high - low), MARGIN, 1.0 - MARGIN)
            x = np.log(share) - np.log1p(-share)
        self.unbounded.assign(x)

    def call(self, condition: tf.Tensor | None = None, training: bool | None = None) -> Any:
        seen, inputs_shape = self.pseudo_inputs, getattr(self.encoder, "inputs_shape", None)
        if inputs_shape == (*self.example_shape[:-1], 2 * self.example_shape[-1]):
            seen = tf.concat([seen, tf.ones_like(seen)], axis=-1)  # the mask beside x
        components = in_inference_mode(self.encoder, seen, training=training)
        return mixture(tf.zeros([self.num_components]), components)

    @property
    def numbers_per_draw(self) -> int:
        family = getattr(getattr(self.encoder, "head", None), "family", None)
        return numbers_per_draw(family, self.num_components, self.event_shape)


def _checked_bounds(bounds: Any) -> tuple[float, float] | None:
    if bounds is None:
        return None
    try:
        low, high = (float(b) for b in bounds)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(
            "`bounds` must be None or two finite numbers (low, high) with low < high. "
            f"Received: bounds={bounds!r}."
        )
    return low, high
