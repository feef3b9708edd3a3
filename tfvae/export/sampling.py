"""Draws from distributions with the noise of rows: of each row, a function of its seed alone."""

import functools
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.threefry import normal, uniform

tfd = tfp.distributions

SMALLEST = 1.2e-38  # the smallest normal float32


class RowNoise:
    """Numbers of which each row is a function of its own seed; each call gives others.

    Args:
        seed: int32 [B, 2].

    Example:
    >>> RowNoise(tf.constant([[0, 0], [0, 1]])).normal((3,)).shape
    TensorShape([2, 3])
    """

    def __init__(self, seed: tf.Tensor):
        self._seed, self._calls = seed, 0

    def uniform(self, shape: tuple[int, ...]) -> tf.Tensor:
        """Returns numbers in (0, 1), [B, *shape]."""
        self._calls += 1
        return uniform(self._seed, shape, stream=self._calls)

    def normal(self, shape: tuple[int, ...]) -> tf.Tensor:
        """Returns standard normal numbers, [B, *shape]."""
        self._calls += 1
        return normal(self._seed, shape, stream=self._calls)


def draw(distribution: Any, noise: RowNoise) -> tf.Tensor:
    """Returns a draw a row, [B, *event_shape].

    Normal families are drawn by location and scale, transformed ones from their base, mixtures by
    component and then within it, discrete ones by the inverse of their cumulative sum, and every
    other scalar family by its quantile.

    Args:
        distribution: A `tfd.Distribution` [B] or without batch shape.
        noise: Numbers for B rows.

    Raises:
        NotImplementedError: If the family is none of those; the text names it.

    Example:
    >>> draw(tfd.Normal([0.0, 5.0], 1.0), RowNoise(tf.constant([[0, 0], [0, 1]]))).shape
    TensorShape([2])
    """
    return _draw(distribution, noise, tuple(distribution.event_shape))


def _any(family: type) -> type:
    """Returns the class of TFP's objects that hold a layer or a function, if there is one.

    `tfd.Independent(...)` and its like return a `_Independent` then, which is no `tfd.Independent`.
    """
    return next((c for c in family.__mro__ if c.__name__ == "_" + family.__name__), family)


@functools.singledispatch
def _draw(distribution: Any, noise: RowNoise, shape: tuple[int, ...]) -> tf.Tensor:
    """Returns draws [B, *shape], where `shape` ends with the event and may have axes before it."""
    if distribution.event_shape.rank == 0:
        try:
            return distribution.quantile(noise.uniform(shape))
        except NotImplementedError:
            pass
    raise NotImplementedError(
        f"draws of {type(distribution).__name__.lstrip('_')} from given noise are not known; those "
        "of scalar families with a quantile are, of multivariate normals, categoricals, "
        "Dirichlets, on the sphere, and of their transformations and mixtures"
    )


@_draw.register(_any(tfd.Independent))
def _(distribution: Any, noise: RowNoise, shape: tuple[int, ...]) -> tf.Tensor:
    return _draw(distribution.distribution, noise, shape)


@_draw.register
def _(distribution: tfd.Normal, noise: RowNoise, shape: tuple[int, ...]) -> tf.Tensor:
    return distribution.loc + distribution.scale * noise.normal(shape)


@_draw.register
def _(
    distribution: tfd.MultivariateNormalLinearOperator, noise: RowNoise, shape: tuple[int, ...]
) -> tf.Tensor:
    return distribution.loc + distribution.scale.matvec(noise.normal(shape))


@_draw.register
def _(
    distribution: tfd.MultivariateNormalDiagPlusLowRankCovariance,
    noise: RowNoise,
    shape: tuple[int, ...],
) -> tf.Tensor:
    covariance = distribution.cov_operator  # B + U D U^T
    base = covariance.base_operator.cholesky().matvec(noise.normal(shape))
    rank = covariance.u.shape[-1]
    factors = covariance.diag_operator.cholesky().matvec(noise.normal((*shape[:-1], rank)))
    values = base + tf.linalg.matvec(covariance.u, factors)
    return values if distribution.loc is None else distribution.loc + values


@_draw.register(_any(tfd.TransformedDistribution))
def _(distribution: Any, noise: RowNoise, shape: tuple[int, ...]) -> tf.Tensor:
    base, bijector = distribution.distribution, distribution.bijector
    event_ndims = distribution.event_shape.rank
    event = tuple(bijector.inverse_event_shape(distribution.event_shape))
    return bijector.forward(_draw(base, noise, shape[: len(shape) - event_ndims] + event))


@_draw.register
def _(distribution: tfd.Bernoulli, noise: RowNoise, shape: tuple[int, ...]) -> tf.Tensor:
    is_one = noise.uniform(shape) < distribution.probs_parameter()
    return tf.cast(is_one, distribution.dtype)


@_draw.register
def _(distribution: tfd.Categorical, noise: RowNoise, shape: tuple[int, ...]) -> tf.Tensor:
    return tf.cast(_index(distribution, noise.uniform(shape)), distribution.dtype)


@_draw.register
def _(distribution: tfd.OneHotCategorical, noise: RowNoise, shape: tuple[int, ...]) -> tf.Tensor:
    index = _index(distribution, noise.uniform(shape[:-1]))
    return tf.one_hot(index, shape[-1], dtype=distribution.dtype)


@_draw.register
def _(
    distribution: tfd.ExpRelaxedOneHotCategorical, noise: RowNoise, shape: tuple[int, ...]
) -> tf.Tensor:
    gumbel = -tf.math.log(-tf.math.log(noise.uniform(shape)))
    logits = (distribution.logits_parameter() + gumbel) / distribution.temperature[..., None]
    return tf.nn.log_softmax(logits)


@_draw.register
def _(distribution: tfd.Dirichlet, noise: RowNoise, shape: tuple[int, ...]) -> tf.Tensor:
    gammas = tfd.Gamma(distribution.concentration, 1.0).quantile(noise.uniform(shape))
    gammas = tf.maximum(gammas, SMALLEST)  # all of them may underflow
    return gammas / tf.reduce_sum(gammas, axis=-1, keepdims=True)


@_draw.register
def _(distribution: tfd.SphericalUniform, noise: RowNoise, shape: tuple[int, ...]) -> tf.Tensor:
    return tf.math.l2_normalize(noise.normal(shape), axis=-1)


@_draw.register
def _(distribution: tfd.PowerSpherical, noise: RowNoise, shape: tuple[int, ...]) -> tf.Tensor:
    """De Cao and Aziz, 2020, arXiv:2006.04437, algorithm 1."""
    mean, half = distribution.mean_direction, (shape[-1] - 1) / 2
    share = tfd.Beta(half + distribution.concentration, half).quantile(noise.uniform(shape[:-1]))
    along = 2.0 * share[..., None] - 1.0  # the first axis
    across = tf.math.l2_normalize(noise.normal((*shape[:-1], shape[-1] - 1)), axis=-1)
    values = tf.concat([along, tf.sqrt(tf.maximum(1.0 - along**2, 0.0)) * across], axis=-1)
    mirror = tf.math.l2_normalize(tf.one_hot(0, shape[-1]) - mean, axis=-1)  # axis 0 to the mean
    return values - 2.0 * tf.reduce_sum(values * mirror, axis=-1, keepdims=True) * mirror


@_draw.register(_any(tfd.MixtureSameFamily))
def _(distribution: Any, noise: RowNoise, shape: tuple[int, ...]) -> tf.Tensor:
    components = distribution.components_distribution
    event_ndims, event = components.event_shape.rank, tuple(components.event_shape)
    lead = shape[: len(shape) - event_ndims]
    size = components.batch_shape[-1]
    index = _index(distribution.mixture_distribution, noise.uniform(lead))  # [B, *lead]
    is_chosen = tf.reshape(tf.one_hot(index, size), [-1, *lead, size, *[1] * event_ndims])
    values = _draw(components, noise, (*lead, size, *event))  # [B, *lead, K, *event]
    return tf.reduce_sum(tf.where(is_chosen > 0, values, tf.zeros_like(values)), -1 - event_ndims)


def _index(categorical: Any, uniform: tf.Tensor) -> tf.Tensor:
    """Returns by how many of the cumulative probabilities, but for the last, a number is passed."""
    cumulative = tf.cumsum(categorical.probs_parameter(), axis=-1)[..., :-1]
    return tf.reduce_sum(tf.cast(tf.expand_dims(uniform, -1) > cumulative, tf.int32), axis=-1)
