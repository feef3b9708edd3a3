"""What the laws share: copies of models, parts of data, and how a law fails."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae.distributions import center
from tfvae.stochastic import SphericalUniform, UniformCodes, VampPrior


class CheckFailed(AssertionError):
    """A law that a model breaks."""


def require(condition: Any, message: str) -> None:
    """Fails with a message unless a condition holds.

    Raises:
        CheckFailed: If it does not.
    """
    if not condition:
        raise CheckFailed(message)


def same_bits(actual: list[Any], expected: list[Any], message: str) -> None:
    """Fails unless two lists of arrays are equal, bit for bit; NaN equals NaN.

    Raises:
        CheckFailed: If they are not.
    """
    require(len(actual) == len(expected), f"{message}: {len(actual)} arrays, not {len(expected)}")
    for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
        require(
            np.array_equal(a, e, equal_nan=np.asarray(a).dtype.kind == "f"),
            f"{message}: array {i} of shape {np.shape(a)} differs",
        )


def reloaded(layer: Any) -> Any:
    """Returns a layer made from the config that the layer saves."""
    return keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))


def copy_of(model: Any, optimizer: Any = None) -> Any:
    """Returns a built model with the same config and weights, and an optimizer of its own."""
    copy = reloaded(model)
    copy.build_from_config(model.get_build_config())
    copy.set_weights(model.get_weights())
    copy.compile(optimizer or keras.optimizers.Adam(1e-2))
    copy.optimizer.build(copy.trainable_variables)
    return copy


def rows_of(data: Any) -> int:
    """Number of rows of arrays."""
    return int(tf.nest.flatten(data)[0].shape[0])


def batch_of(data: Any, rows: int, start: int = 0) -> Any:
    """Returns some rows of arrays."""
    return tf.nest.map_structure(lambda a: a[start : start + rows], data)


def x_of(data: Any) -> Any:
    """Returns the examples of an input."""
    return data["x"] if isinstance(data, dict) else data


def with_x(data: Any, x: Any) -> Any:
    """Returns an input with other examples."""
    return data | {"x": x} if isinstance(data, dict) else x


def centers_of(model: Any, data: Any) -> list[tf.Tensor]:
    """Returns a point of each level's posterior that is never random, one where there are none."""
    posterior = model.encode(data)
    levels = posterior if isinstance(posterior, tuple) else (posterior,)
    points = [center(q) for q in levels]
    if isinstance(getattr(model, "prior", None), SphericalUniform):
        return [tf.math.l2_normalize(z, axis=-1) for z in points]
    return points


def has_a_shared_layer(model: Any) -> bool:
    """Whether a layer occurs twice; a config alone makes two of it, a saved model does not."""
    return isinstance(getattr(model, "prior", None), VampPrior | UniformCodes)


def condition_of(data: Any) -> Any:
    """Returns the condition of an input, or None."""
    return data.get("condition") if isinstance(data, dict) else None


def state_of(model: Any) -> list[np.ndarray]:
    """Returns all that an update changes: weights and optimizer state, without the counters."""
    counters = {id(model.batches_seen), id(model.updates_skipped)}
    metrics = {id(v) for m in model.metrics for v in m.variables}
    variables = [*model.variables, *model.optimizer.variables]
    return [v.numpy() for v in variables if id(v) not in counters | metrics]


def forward(model: Any, data: Any, counter: int = 0, num_samples: int | None = None) -> Any:
    """Returns the draws of a batch, with the noise of a counter."""
    with model.noise.stream("law", counter):
        return model(data, num_samples=num_samples, training=False)


def flat(values: Any) -> np.ndarray:
    """Returns all numbers of a structure of tensors, as one vector."""
    return np.concatenate([np.ravel(v) for v in tf.nest.flatten(values)])
