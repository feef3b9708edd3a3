"""The posterior to approximate: a joint distribution pinned on data, over a flat real vector."""

import copy
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfvae.errors import DataError, did_you_mean
from tfvae.vi.program import Program

CHECK_POINTS = 20  # starting points that are tried before a joint is called not finite
SPREAD = 2.0  # they are uniform in [-2, 2] of each unconstrained coordinate, as Stan's


class LogDensity(NamedTuple):
    """Log-densities in nats at S points of the unconstrained space, [S] each.

    Attributes:
        log_likelihood: log p(x | z), of a minibatch scaled to the whole.
        log_prior: log p(z) + log |dz/du|, the density of the unconstrained vector.
    """

    log_likelihood: tf.Tensor
    log_prior: tf.Tensor


class Target:
    """p(z, x) at fixed x as a function of u, a real vector [D] that the bijectors make of z.

    Coordinates follow the joint's order of its latents, each flattened. Densities are float32; the
    joint's own arithmetic has the types that the joint has.

    Args:
        joint: Any `tfd.JointDistribution*`, or a function from `covariates` to one.
        values: Observed values by name, tensors or variables; shapes as the joint draws them.
        covariates: Arguments of the function by name, tensors or variables.
        scale: Multiplies the likelihood: N / B for a minibatch.

    Raises:
        TypeError: If the joint is none.
        DataError: If names or shapes do not fit.
        ValueError: If a latent is discrete, or the joint is a batch.
    """

    def __init__(
        self,
        joint: Any,
        values: Mapping[str, Any],
        covariates: Mapping[str, Any] | None = None,
        scale: float = 1.0,
    ):
        self._joint, self.covariates = joint, dict(covariates or {})
        self.values, self.scale = dict(values), scale
        nodes = checked_nodes(self.joint, self.values)
        self.names = [n for n in nodes if n not in self.values]
        self._observed = [n for n in nodes if n in self.values]
        self._types = {n: nodes[n][1] for n in nodes}
        pinned, bijector = self._pin()
        self._shapes = _as_tuples(named(pinned.event_shape, self.names))
        inner = bijector.inverse_event_shape(pinned.event_shape)
        self._inner = _as_tuples(named(inner, self.names))
        self.sizes = [math.prod(self._inner[n]) for n in self.names]
        self.size = sum(self.sizes)
        self.is_batched = self._is_batched()
        # One trace serves all programs of a fit: it takes longer than what it computes.
        self._traced = tf.function(
            self._densities, [tf.TensorSpec([None, self.size], tf.float32)], autograph=False
        )

    @property
    def joint(self) -> Any:
        """The joint distribution at the present covariates."""
        if hasattr(self._joint, "experimental_pin") or not callable(self._joint):
            return self._joint
        return self._joint(**{n: tf.convert_to_tensor(v) for n, v in self.covariates.items()})

    @property
    def labels(self) -> list[tuple[str, tuple[int, ...]]]:
        """Name and shape of each latent, in the order in which the joint names them."""
        return [(n, self._shapes[n]) for n in self.names]

    def at(self, values: Mapping[str, Any]) -> "Target":
        """Returns the posterior given other values of the same shapes."""
        other = copy.copy(self)
        other.values = dict(values)
        other._traced = other._densities
        return other

    def __call__(self, u: tf.Tensor) -> LogDensity:
        """Returns the densities at points u, [S, D]."""
        densities = self._traced(u)
        for density in densities:
            density.set_shape(u.shape[:1])
        return LogDensity(*densities)

    def constrain(self, u: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the latents at points u [S, D], by name, [S, ...] each."""
        return self._forward(u) if self.is_batched else tf.vectorized_map(self._forward, u)

    def log_density(self, u: tf.Tensor) -> tf.Tensor:
        """Returns log p(z, x) + log |dz/du| at points u, [S]."""
        return tf.add_n(list(self(u)))

    def not_finite(self, u: tf.Tensor) -> list[str]:
        """Returns the names of the nodes whose density at a point u [D] is not finite."""
        pinned, bijector = self._pin()
        parts = pinned.unnormalized_log_prob_parts(bijector.forward(self._split(u)))
        values = named(parts.pinned, self._observed) | named(parts.unpinned, self.names)
        return [n for n, v in values.items() if not np.isfinite(np.sum(v))]

    def starts(self, num: int, seed: tf.Tensor) -> np.ndarray:
        """Returns `num` points of finite density, [num, D].

        Raises:
            DataError: If there are none among `CHECK_POINTS` for each.
        """
        u = tf.random.stateless_uniform(
            [num * CHECK_POINTS, self.size], seed, -SPREAD, SPREAD, tf.float32
        )
        with tf.GradientTape() as tape:
            tape.watch(u)
            values = self.log_density(u)
        gradient = tape.gradient(values, u)
        ok = np.isfinite(values) & np.isfinite(gradient).all(axis=1)
        if not ok.any():
            names = self.not_finite(u[0]) or ["the gradient"]
            raise DataError(
                "`joint` must be finite, with a finite gradient, at the data and some latents. "
                f"Received: log-densities that are not finite at {', '.join(names)}, at each of "
                f"{len(u)} points. Fix: look there for data outside of the support, or a scale "
                "that can be zero."
            )
        found = u.numpy()[ok]
        return found[np.arange(num) % len(found)]

    def _pin(self) -> tuple[Any, Any]:
        """The joint pinned on the present values, and its bijector: either may depend on them."""
        pinned = self.joint.experimental_pin(
            **{n: tf.cast(tf.convert_to_tensor(v), self._types[n]) for n, v in self.values.items()}
        )
        return pinned, pinned.experimental_default_event_space_bijector()

    def _densities(self, u: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if self.is_batched:
            return tuple(self._density(u))
        return tf.vectorized_map(lambda v: tuple(self._density(v)), u)

    def _density(self, u: tf.Tensor) -> LogDensity:
        """Densities at u [..., D], as far as the joint follows leading axes."""
        pinned, bijector = self._pin()
        point, lead = self._split(u), u.shape.rank - 1
        parts = pinned.unnormalized_log_prob_parts(bijector.forward(point))
        log_likelihood, log_prior = (
            tf.add_n([_event_sum(p, lead) for p in named(part, names).values()])
            for part, names in ((parts.pinned, self._observed), (parts.unpinned, self.names))
        )
        log_prior += _event_sum(bijector.forward_log_det_jacobian(point), lead)
        return LogDensity(tf.cast(self.scale, tf.float32) * log_likelihood, log_prior)

    def _forward(self, u: tf.Tensor) -> dict[str, tf.Tensor]:
        _, bijector = self._pin()
        return named(bijector.forward(self._split(u)), self.names)

    def _split(self, u: tf.Tensor) -> Any:
        parts = {}
        for name, part in zip(self.names, tf.split(u, self.sizes, axis=-1), strict=True):
            shape = tf.concat([tf.shape(u)[:-1], self._inner[name]], 0)
            parts[name] = tf.cast(tf.reshape(part, shape), self._types[name])
            parts[name].set_shape([*u.shape[:-1], *self._inner[name]])
        structure = self._pin()[0].dtype
        if isinstance(structure, Mapping):
            return type(structure)((n, parts[n]) for n in structure)
        if hasattr(structure, "_fields"):
            return type(structure)(**parts)
        return [parts[n] for n in self.names]

    def _is_batched(self) -> bool:
        """Whether one call at S points gives what S calls give: not every joint follows axes."""
        u = tf.random.stateless_uniform([3, self.size], [0, 1], -0.5, 0.5)

        # A joint that maps over draws warns of retracing when it is called eagerly.
        def evaluate(v: tf.Tensor) -> tuple:
            return tuple(self._density(v)), self._forward(v)

        single, batched = Program(evaluate), Program(evaluate)
        one_by_one = [single(v) for v in u]
        for name, shape in self.labels:
            if (drawn := one_by_one[0][1][name].shape) != shape:
                raise _batch_error(name, drawn)
        try:
            together, forward = batched(u)
        except (ValueError, TypeError, tf.errors.OpError):
            return False
        if any(d.shape != (3,) for d in together) or any(
            forward[n].shape != (3, *s) for n, s in self.labels
        ):
            return False
        return np.allclose(
            np.transpose(together), [d for d, _ in one_by_one], 1e-4, 1e-3, equal_nan=True
        )


def checked_nodes(joint: Any, values: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Returns shape and type of each node by name, after the checks that need no density."""
    if not hasattr(joint, "experimental_pin"):
        raise TypeError(
            "`joint` must be a `tfd.JointDistribution*`. "
            f"Received: joint={joint!r} of type {type(joint).__name__}. "
            "Fix: use `tfd.JointDistributionCoroutineAutoBatched`."
        )
    nodes = _nodes(joint)
    for name in values:
        if name not in nodes:
            raise DataError(
                f"`data` must name nodes of the joint: {', '.join(nodes)}. "
                f"Received: data={{{name!r}: ...}}.{did_you_mean(name, nodes)}"
            )
    if not values:
        raise DataError(
            "`data` must hold at least one node of the joint. Received: data={}. "
            f"Fix: pass the observed ones of {', '.join(nodes)}."
        )
    latents = [n for n in nodes if n not in values]
    if not latents:
        raise DataError(
            "`data` must leave a latent. Received: values for all of "
            f"{', '.join(nodes)}. Fix: leave out what is to be inferred."
        )
    distributions, drawn = joint.sample_distributions(seed=[0, 0])
    distributions, drawn = named(distributions, list(nodes)), named(drawn, list(nodes))
    for name in latents:
        _check_latent(name, distributions[name], nodes[name], drawn[name])
    for name, value in values.items():
        _check_value(name, value, drawn[name].shape)
    return nodes


def _check_latent(name: str, distribution: Any, node: tuple[Any, Any], drawn: tf.Tensor) -> None:
    shape, dtype = node
    if dtype.is_integer or dtype.is_bool or _bijector(distribution) is None:
        raise ValueError(
            f"`joint` must have continuous latents. Received: latent {name!r}, a discrete "
            f"{type(distribution).__name__}, without a value in data. Fix: sum it out, with "
            "`tfd.MixtureSameFamily` or `tfd.HiddenMarkovModel`, or use a relaxed distribution."
        )
    if tuple(drawn.shape) != tuple(shape):
        raise _batch_error(name, drawn.shape)


def _batch_error(name: str, shape: Any) -> ValueError:
    return ValueError(
        "`joint` must be one distribution, no batch of them. Received: latent "
        f"{name!r} that is drawn as a batch {tuple(shape)}. Fix: use the AutoBatched class of the "
        "joint, or `tfd.Sample` and `tfd.Independent` in it."
    )


def _check_value(name: str, value: Any, shape: tf.TensorShape) -> None:
    value = np.asarray(value)
    if tuple(value.shape) != tuple(shape):
        raise DataError(
            f"`data[{name!r}]` must have the shape that the joint draws, {tuple(shape)}. "
            f"Received: shape {value.shape}. Fix: reshape it, or the joint."
        )
    if not np.isfinite(value).all():
        raise DataError(
            f"`data[{name!r}]` must be finite. Received: {int((~np.isfinite(value)).sum())} values "
            "that are NaN or infinite. Fix: drop them, or make them latents."
        )


def _bijector(distribution: Any) -> Any:
    try:
        return distribution.experimental_default_event_space_bijector()
    except NotImplementedError:
        return None


def _nodes(joint: Any) -> dict[str, tuple[Any, Any]]:
    names = list(joint._flat_resolve_names())
    shapes = named(joint.event_shape, names)
    return {n: (shapes[n], t) for n, t in named(joint.dtype, names).items()}


def named(structure: Any, names: list[str]) -> dict[str, Any]:
    """Returns the entries of a joint's dictionary, tuple or list, by name."""
    if isinstance(structure, Mapping):
        return {n: structure[n] for n in names if n in structure}
    fields = getattr(structure, "_fields", None)
    if fields is not None:
        return {n: getattr(structure, n) for n in fields}
    return dict(zip(names, structure, strict=True))


def _as_tuples(shapes: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {n: tuple(tf.TensorShape(s).as_list()) for n, s in shapes.items()}


def _event_sum(value: tf.Tensor, lead: int) -> tf.Tensor:
    """Sums over all axes but the leading `lead`, in float32."""
    value = tf.cast(value, tf.float32)
    return tf.reduce_sum(value, axis=list(range(lead, value.shape.rank)))
