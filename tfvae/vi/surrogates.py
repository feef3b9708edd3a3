"""Families of approximate posteriors over the flat unconstrained vector.

All are written around a centre and a scale that are no weights: they are found before the first
step and moved between stages, so that the weights live in coordinates in which the posterior has
about zero mean and unit scale. Gradient descent then meets no bad scaling.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae import checks
from tfvae.errors import did_you_mean
from tfvae.flows import NeuralSpline
from tfvae.layers.building import Shape, build_once
from tfvae.serialization import serializable
from tfvae.stochastic import StandardNormal, StochasticLayer, Transformed

tfd, tfb = tfp.distributions, tfp.bijectors

DENSE = 512  # latents up to which a covariance is kept whole
NETWORK_RATE = 0.1  # learning rate of networks, relative to that of locations and scales


class Surrogate(StochasticLayer):
    """Weights around a centre and a scale. Abstract: subclasses make the distribution.

    Args:
        event_shape: (D,), the number of unconstrained coordinates.
    """

    richer = "surrogate='full_rank', 'flow'"  # what may do where this family does not

    def __init__(self, event_shape: tuple[int, ...], **kwargs: Any):
        super().__init__(**kwargs)
        self.event_shape = checks.shape("event_shape", event_shape)
        if len(self.event_shape) != 1:
            raise ValueError(
                "`event_shape` must be (D,), for a surrogate is over a flat vector. "
                f"Received: event_shape={self.event_shape}."
            )
        self.size = self.event_shape[0]

    def build(self, condition_shape: Shape | None = None) -> None:
        size = self.size
        square = (size, size) if size <= DENSE else (size,)
        self.centre = self.add_weight(
            name="centre", shape=(size,), initializer="zeros", trainable=False
        )
        self.whitener = self.add_weight(
            name="whitener", shape=square, initializer=_identity, trainable=False
        )
        self.loc = self.add_weight(name="loc", shape=(size,), initializer="zeros")
        self.built = True

    def start(self, centre: np.ndarray, scale: np.ndarray) -> None:
        """Puts q near N(centre, scale scale'); scale is lower triangular, or a diagonal."""
        self.centre.assign(centre)
        self.whitener.assign(scale)
        self.loc.assign(tf.zeros([self.size]))

    def recentre(self) -> None:
        """Takes the present q as the centre of coordinates; q itself does not change."""
        self.centre.assign(self.mean_parameter())
        self.loc.assign(tf.zeros([self.size]))

    def mean_parameter(self) -> tf.Tensor:
        """Returns centre + whitener loc, [D]."""
        return self.centre.value + self.whiten(self.loc.value)

    def whiten(self, x: tf.Tensor) -> tf.Tensor:
        """Returns whitener x, [D] -> [D]."""
        w = tf.convert_to_tensor(self.whitener.value)
        return w * x if w.shape.rank == 1 else tf.linalg.matvec(w, x)


@serializable
class MeanField(Surrogate):
    """q(u) = N(m, diag(s**2)): independent coordinates.

    Cheap for any number of latents; too narrow where the posterior is correlated, which k-hat says.

    Args:
        event_shape: (D,), the number of unconstrained coordinates.

    Example:
    >>> MeanField((3,))(None).event_shape
    TensorShape([3])
    """

    def build(self, condition_shape: Shape | None = None) -> None:
        super().build(condition_shape)
        self.unit = self.add_weight(
            name="unit", shape=(self.size,), initializer="ones", trainable=False
        )
        self.log_scale = self.add_weight(name="log_scale", shape=(self.size,), initializer="zeros")

    def start(self, centre: np.ndarray, scale: np.ndarray) -> None:
        super().start(centre, scale)
        if scale.ndim == 2:
            # The KL-best independent Gaussian has the diagonal of the precision, not of the
            # covariance.
            scale = 1.0 / np.linalg.norm(np.linalg.inv(scale), axis=0)
        self.unit.assign(scale)
        self.log_scale.assign(tf.zeros([self.size]))

    def recentre(self) -> None:
        super().recentre()
        self.unit.assign(self.unit.value * tf.exp(self.log_scale.value))
        self.log_scale.assign(tf.zeros([self.size]))
        if self.size > DENSE:  # no covariance to move the mean by: q's own scale is the best known
            self.whitener.assign(self.unit.value)

    def call(self, condition: tf.Tensor | None = None) -> Any:
        scale = self.unit.value * tf.exp(self.log_scale.value)
        return tfd.MultivariateNormalDiag(self.mean_parameter(), scale)


class _Triangular(Surrogate):
    """A surrogate with a lower triangular scale, of positive diagonal."""

    def __init__(self, event_shape: tuple[int, ...], **kwargs: Any):
        super().__init__(event_shape, **kwargs)
        if self.size > DENSE:
            raise ValueError(
                f"`surrogate` must have at most {DENSE} coordinates to keep their covariance. "
                f"Received: D={self.size}. Fix: use 'low_rank' or 'mean_field'."
            )

    def build(self, condition_shape: Shape | None = None) -> None:
        super().build(condition_shape)
        self.lower = self.add_weight(
            name="lower", shape=(self.size, self.size), initializer="zeros"
        )

    def start(self, centre: np.ndarray, scale: np.ndarray) -> None:
        super().start(centre, scale)
        self.lower.assign(tf.zeros_like(self.lower.value))

    def recentre(self) -> None:
        super().recentre()
        self.whitener.assign(self.scale_tril())
        self.lower.assign(tf.zeros_like(self.lower.value))

    def scale_tril(self) -> tf.Tensor:
        """Returns whitener (I + strictly lower part) with exp of the diagonal, [D, D]."""
        lower = tf.convert_to_tensor(self.lower.value)
        lower = tf.linalg.band_part(lower, -1, 0)
        lower = tf.linalg.set_diag(lower, tf.exp(tf.linalg.diag_part(lower)))
        return tf.linalg.matmul(self.whitener.value, lower)


@serializable
class FullRank(_Triangular):
    """q(u) = N(m, L L'): a Gaussian with any covariance.

    Args:
        event_shape: (D,), the number of unconstrained coordinates, at most 512.

    Example:
    >>> FullRank((3,))(None).event_shape
    TensorShape([3])
    """

    richer = "surrogate='flow'"

    def call(self, condition: tf.Tensor | None = None) -> Any:
        return tfd.MultivariateNormalTriL(self.mean_parameter(), self.scale_tril())


@serializable
class LowRank(MeanField):
    """q(u) = N(m, diag(s**2) + F F'), with F of few columns: correlations of many latents.

    Args:
        event_shape: (D,), the number of unconstrained coordinates.
        rank: Number of columns of F.

    Example:
    >>> LowRank((30,), rank=4)(None).event_shape
    TensorShape([30])
    """

    def __init__(self, event_shape: tuple[int, ...], rank: int = 5, **kwargs: Any):
        super().__init__(event_shape, **kwargs)
        self.rank = checks.positive_integer("rank", rank)

    def build(self, condition_shape: Shape | None = None) -> None:
        super().build(condition_shape)
        # Not zero: there the gradient of F vanishes.
        start = keras.initializers.RandomNormal(0.0, 0.01)
        self.factor = self.add_weight(
            name="factor", shape=(self.size, self.rank), initializer=start
        )

    def start(self, centre: np.ndarray, scale: np.ndarray) -> None:
        super().start(centre, scale)
        if scale.ndim == 1:
            return
        # Principal axes of the correlations, beside what is left of each coordinate's own variance.
        sd = np.linalg.norm(scale, axis=1)
        values, vectors = np.linalg.eigh((scale / sd[:, None]) @ (scale / sd[:, None]).T)
        kept = vectors[:, -self.rank :] * np.sqrt(values[-self.rank :])
        own = np.sqrt(np.clip(1.0 - np.sum(kept**2, axis=1), 1e-4, None))
        factor = np.zeros((self.size, self.rank), "float32")
        factor[:, : kept.shape[1]] = kept / own[:, None]
        self.unit.assign(sd * own)
        self.factor.assign(self.factor.value + factor)

    def call(self, condition: tf.Tensor | None = None) -> Any:
        scale = self.unit.value * tf.exp(self.log_scale.value)
        return tfd.MultivariateNormalDiagPlusLowRankCovariance(
            self.mean_parameter(), tf.square(scale), scale[:, None] * self.factor.value
        )


@serializable
class SplineFlow(_Triangular):
    """q: a standard Gaussian, bent by neural splines, then scaled and moved as `FullRank`.

    For posteriors that are skewed or curved; at its start it is the Gaussian.

    Args:
        event_shape: (D,) with 2 <= D <= 512, the number of unconstrained coordinates.

    Example:
    >>> SplineFlow((3,))(None).event_shape
    TensorShape([3])
    """

    richer = "another seed"

    def __init__(self, event_shape: tuple[int, ...], **kwargs: Any):
        super().__init__(event_shape, **kwargs)
        if self.size < 2:
            raise ValueError(
                "`surrogate` 'flow' must have at least two coordinates to couple. "
                f"Received: D={self.size}. Fix: use 'full_rank'."
            )
        self._bent = Transformed(
            StandardNormal(self.event_shape), NeuralSpline(self.event_shape, units=(32, 32))
        )

    def build(self, condition_shape: Shape | None = None) -> None:
        super().build(condition_shape)
        build_once(self._bent)

    def call(self, condition: tf.Tensor | None = None) -> Any:
        affine = [tfb.Shift(self.mean_parameter()), tfb.ScaleMatvecTriL(self.scale_tril())]
        return tfd.TransformedDistribution(self._bent(None), tfb.Chain(affine))


@serializable
class Whitened(Surrogate):
    """A stochastic layer of the user's, scaled and moved to where the posterior is.

    Args:
        base: A layer whose call returns a distribution over (D,), narrower than a standard normal
            at its start.

    Example:
    >>> Whitened(tfvae.Trainable("Normal", (3,), initial={"scale": 0.5}))(None).event_shape
    TensorShape([3])
    """

    def __init__(self, base: StochasticLayer, **kwargs: Any):
        super().__init__(base.event_shape, **kwargs)
        self.base = base

    def build(self, condition_shape: Shape | None = None) -> None:
        super().build(condition_shape)
        build_once(self.base)

    def recentre(self) -> None:
        """Does nothing: only the user's layer knows how to move its own weights."""

    def call(self, condition: tf.Tensor | None = None) -> Any:
        whitener = tf.convert_to_tensor(self.whitener.value)
        dense = whitener.shape.rank == 2
        scale = tfb.ScaleMatvecTriL(whitener) if dense else tfb.ScaleMatvecDiag(whitener)
        affine = [tfb.Shift(self.mean_parameter()), scale]
        return tfd.TransformedDistribution(self.base(None), tfb.Chain(affine))


FAMILIES = {
    "mean_field": MeanField,
    "full_rank": FullRank,
    "low_rank": LowRank,
    "flow": SplineFlow,
}


def make(surrogate: Any, size: int) -> Surrogate:
    """Returns a built surrogate over `size` coordinates.

    Raises:
        TypeError, ValueError: If it is neither a known name nor a stochastic layer over (size,).
    """
    if isinstance(surrogate, str):
        if surrogate not in FAMILIES:
            raise ValueError(
                f"`surrogate` must be one of {', '.join(FAMILIES)}, or a stochastic layer. "
                f"Received: surrogate={surrogate!r}.{did_you_mean(surrogate, FAMILIES)}"
            )
        layer = FAMILIES[surrogate]((size,))
    elif isinstance(surrogate, StochasticLayer):
        if tuple(surrogate.event_shape) != (size,):
            raise ValueError(
                f"`surrogate` must have event_shape ({size},), the unconstrained coordinates of "
                f"all latents. Received: event_shape={surrogate.event_shape}."
            )
        layer = surrogate if isinstance(surrogate, Surrogate) else Whitened(surrogate)
    else:
        raise TypeError(
            f"`surrogate` must be one of {', '.join(FAMILIES)}, or a stochastic layer. "
            f"Received: surrogate={surrogate!r} of type {type(surrogate).__name__}."
        )
    build_once(layer)
    return layer


def rate_of(layer: Surrogate, variable: Any) -> float:
    """Returns the learning rate of a weight, relative to that of locations and scales."""
    own = [getattr(layer, n, None) for n in ("loc", "lower", "log_scale", "factor")]
    return 1.0 if any(variable is v for v in own) else NETWORK_RATE


def _identity(shape: tuple[int, ...], dtype: Any = None) -> tf.Tensor:
    return tf.ones(shape) if len(shape) == 1 else tf.eye(*shape)
