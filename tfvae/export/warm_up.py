"""Requests that a server runs before it takes others: `assets.extra/tf_serving_warmup_requests`.

A TFRecord of `PredictionLog` messages, of which every field used here is a string or a message: a
tag, a length and the bytes. They are written as such, so that an export needs no more packages.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

PATH = os.path.join("assets.extra", "tf_serving_warmup_requests")


def write_warm_up(
    directory: str, model_name: str, requests: list[tuple[str, Mapping[str, np.ndarray]]]
) -> None:
    """Writes requests beside a SavedModel.

    Args:
        directory: The SavedModel's.
        model_name: The name that it is served under.
        requests: Pairs of a signature's name and its inputs.
    """
    path = os.path.join(directory, PATH)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tf.io.TFRecordWriter(path) as writer:
        for signature, inputs in requests:
            writer.write(prediction_log(model_name, signature, inputs))


def prediction_log(model_name: str, signature: str, inputs: Mapping[str, np.ndarray]) -> bytes:
    """Returns a `tensorflow.serving.PredictionLog` with a `PredictRequest`, as bytes."""
    spec = _field(1, model_name.encode()) + _field(3, signature.encode())
    request = _field(1, spec)
    for name, value in sorted(inputs.items()):
        tensor = tf.make_tensor_proto(value).SerializeToString()
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))
    return _field(6, _field(1, request))


def inputs_of(specs: Any, rows: int) -> dict[str, np.ndarray]:
    """Returns zeros for named specs with an open batch, and another seed for each row."""
    inputs = {s.name: np.zeros((rows, *s.shape[1:]), s.dtype.as_numpy_dtype) for s in specs}
    if "seed" in inputs:
        inputs["seed"][:, 1] = np.arange(rows)
    return inputs


def _field(number: int, payload: bytes) -> bytes:
    """A field of Protocol Buffers with a length."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    groups = []
    while True:
        value, group = value >> 7, value & 0x7F
        groups.append(group | (0x80 if value else 0))
        if not value:
            return bytes(groups)
