"""What a model takes: an array of examples, or a dictionary with `x` and what goes with it."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfvae.errors import DataError, did_you_mean
from tfvae.models.arrays import as_array, is_sparse
from tfvae.models.observation import check_observation

KEYS = ("x", "condition", "mask", "exposure", "sample_weight")


class Inputs(NamedTuple):
    """A batch.

    Attributes:
        x: Examples, float32 [B, *event_shape].
        condition: What posterior, prior and likelihood depend on, float32 [B, C], or None.
        mask: 1 where x is observed, 0 where it is missing, float32, of the shape of x, or None
            where all is observed. Missing entries of x may hold anything.
        exposure: Factor of the mean of counts, float32 [B], or None for 1.
        sample_weight: Weight of each example, float32 [B], or None.
    """

    x: tf.Tensor
    condition: tf.Tensor | None = None
    mask: tf.Tensor | None = None
    exposure: tf.Tensor | None = None
    sample_weight: tf.Tensor | None = None

    @property
    def seen(self) -> tf.Tensor:
        """What an encoder sees: x or, if some of it is missing, zeros there and the mask beside."""
        if self.mask is None:
            return self.x
        zeroed = tf.where(tf.cast(self.mask, tf.bool), self.x, tf.zeros_like(self.x))
        return tf.concat([zeroed, self.mask], axis=-1)


def refuse_labels(x: Any, y: Any) -> None:
    """Refuses targets, which an unsupervised model would ignore in silence.

    Raises:
        ValueError: If `y` is given and is not `x` itself.
    """
    if y is None or y is x:
        return
    raise ValueError(
        "`y` must be left out: the model learns from x alone and would ignore it. "
        f"Received: y of type {type(y).__name__}. Fix: drop the labels (for a dataset: "
        "`dataset.map(lambda x, y: x)`), or condition on them with "
        "{'x': x, 'condition': one_hot_labels}."
    )


def as_dictionary(x: Any, sample_weight: Any = None) -> Any:
    """Returns `x` with its sample weights inside, as a dictionary; without weights, `x` as it is.

    Keras drops sample weights in silence when there is no y.
    """
    if sample_weight is None:
        return x
    if isinstance(x, Mapping):
        if "sample_weight" in x:
            raise ValueError(
                "`sample_weight` must be given once. Received: both the argument and the key of x."
            )
        return dict(x) | {"sample_weight": sample_weight}
    return {"x": x, "sample_weight": sample_weight}


def parts_of(batch: Any) -> tuple[Any, Any, Any]:
    """Returns a batch, or a tuple of up to three, as x, labels and weights, those absent as None.

    Raises:
        DataError: If it is an empty or a longer tuple.
    """
    if isinstance(batch, list):  # rows, which Keras would take for a tuple
        return batch, None, None
    if isinstance(batch, tuple) and not 1 <= len(batch) <= 3:
        raise DataError(
            "`x` must give x, (x,), a dictionary, or (x, None, sample_weight) as a batch. "
            f"Received: a tuple of {len(batch)}. "
            "Fix: name the parts, {'x': x, 'condition': c}."
        )
    parts = keras.utils.unpack_x_y_sample_weight(batch)
    return tuple(None if type(p).__name__ == "NoneTensorSpec" else p for p in parts)


def split_batch(data: Any) -> Any:
    """Returns an input, or a tuple (x, y, sample_weight) of a data adapter, as one input."""
    x, y, sample_weight = parts_of(data)
    refuse_labels(None, y)
    return as_dictionary(x, sample_weight)


def unpack(inputs: Any, event_shape: tuple[int, ...] | None = None) -> Inputs:
    """Returns inputs in parts, as float32 tensors, checked against the event's shape.

    Args:
        inputs: Tensor or array [B, *event_shape], or a dictionary of them with the keys of
            `Inputs`.
        event_shape: Shape that each example must have.

    Raises:
        DataError: If keys, types or shapes do not fit.
    """
    if inputs is None:
        raise DataError("`inputs` must be given. Received: inputs=None.")
    if not isinstance(inputs, Mapping):
        inputs = {"x": inputs}
    check_keys(inputs)
    parts = {k: _as_float32(k, v) for k, v in inputs.items() if v is not None}
    batch = Inputs(**parts)
    if event_shape is not None:
        check_shape(batch.x.shape, event_shape)
        # A dataset may not know its shapes (`from_generator` without a signature).
        batch = batch._replace(x=tf.ensure_shape(batch.x, (None, *event_shape)))
    check_observation(batch._asdict())
    if batch.condition is not None:
        check_condition_shape(batch.condition.shape)
        if not batch.condition.shape[:1].is_compatible_with(batch.x.shape[:1]):
            raise DataError(
                "`condition` must have as many rows as x. Received: condition of shape "
                f"{tuple(batch.condition.shape)} with x of shape {tuple(batch.x.shape)}."
            )
    if batch.sample_weight is not None and batch.sample_weight.shape.rank != 1:
        raise DataError(
            "`sample_weight` must have shape [B], finite numbers >= 0. "
            f"Received: sample_weight of shape {tuple(batch.sample_weight.shape)}."
        )
    return batch


def check_keys(inputs: Mapping[str, Any]) -> None:
    """Refuses a dictionary of inputs without `x` or with unknown keys.

    Raises:
        DataError: If the keys do not fit.
    """
    if inputs.get("x") is None:
        raise DataError(
            f"`inputs` must have the key 'x'. Received: keys {sorted(map(str, inputs))}."
        )
    for key in inputs:
        if key not in KEYS:
            raise DataError(
                f"`inputs` must have keys among {', '.join(KEYS)}. "
                f"Received: key {key!r}.{did_you_mean(str(key), KEYS)}"
            )


def check_shape(received: Any, event_shape: tuple[int, ...]) -> None:
    """Refuses examples of another shape than the likelihood's event.

    Args:
        received: Shape of a batch of examples, the first axis being the batch.
        event_shape: Shape that each example must have.

    Raises:
        DataError: If they differ.
    """
    received = tf.TensorShape(received)
    if received.rank is None or received[1:].is_compatible_with(event_shape):
        return
    shape = tuple(received)
    fix = "Fix: reshape x, or change the decoder's event_shape."
    sizes = [math.prod(s) if None not in s else None for s in (shape[1:], event_shape)]
    if shape[1:] == event_shape[:-1] and event_shape[-1] == 1:
        fix = "Fix: add the channel axis, x[..., None]."
    elif shape == event_shape or (len(shape) == len(event_shape) and shape[1:] == event_shape[1:]):
        fix = "Fix: add the batch axis, x[None]; of a dataset, `dataset.batch(128)`."
    elif len(event_shape) > 1 and shape[1:] == (event_shape[-1], *event_shape[:-1]):
        fix = "Fix: move the channels to the end, np.moveaxis(x, 1, -1)."
    elif sizes[0] == sizes[1] and len(shape) > 1:
        fix = f"Fix: x.reshape((-1, {', '.join(map(str, event_shape))}))."
    raise DataError(
        f"`x` must have shape [B{''.join(f', {d}' for d in event_shape)}], the decoder's "
        "event_shape. "
        f"Received: x of shape {shape}. {fix}"
    )


def check_condition_shape(received: Any) -> None:
    """Refuses conditions that are no rows of a known number of numbers.

    Raises:
        DataError: If they are not.
    """
    shape = tf.TensorShape(received)
    if shape.rank != 2 or not shape[1]:
        raise DataError(
            f"`condition` must have shape [B, C]. Received: condition of shape {shape}. "
            "Fix: one-hot encode classes; add an axis to a single number."
        )


def _as_float32(name: str, value: Any) -> tf.Tensor:
    if not isinstance(value, tf.Tensor):
        value = as_array(name, value)
        value = value.toarray() if is_sparse(value) else value
    try:
        value = tf.convert_to_tensor(value)
    except (TypeError, ValueError):
        value = None
    if value is None or not (
        value.dtype.is_floating or value.dtype.is_integer or value.dtype.is_bool
    ):
        kind = (
            "something that is no rectangular array of numbers"
            if value is None
            else value.dtype.name
        )
        raise DataError(f"`{name}` must be an array of real numbers. Received: {name} of {kind}.")
    return tf.cast(value, tf.float32)
