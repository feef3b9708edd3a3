"""What a run is: data, arguments, model and optimizer, and how two of them differ."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

ARGUMENTS = (
    "batch_size",
    "validation_batch_size",
    "shuffle",
    "steps_per_epoch",
    "validation_steps",
    "validation_freq",
    "initial_epoch",
)
LEFT_OUT = ("name", "build_config", "shared_object_id")
CHUNK = 2**24  # bytes of an array that are hashed at a time


def fingerprint(model: keras.Model, setup: Mapping[str, Any]) -> dict[str, Any]:
    """Returns all that a resumed run must have in common with the run that it resumes, as JSON."""
    return {
        "x": data_of(setup["x"]),
        "validation_data": data_of(setup["validation_data"]),
        "arguments": {name: setup[name] for name in ARGUMENTS},
        "model": _without_names(_config_of(model)),
        "weights": [[list(v.shape), str(v.dtype)] for v in model.variables],
        "optimizer": optimizer_of(model),
        "slots": [[list(v.shape), str(v.dtype)] for v in model.optimizer.variables],
    }


def data_of(data: Any) -> Any:
    """Returns shape, dtype and SHA-256 of arrays; of a dataset, what its batches are."""
    if data is None:
        return None
    if isinstance(data, Mapping):
        return {key: data_of(value) for key, value in data.items()}
    if isinstance(data, tf.data.Dataset):
        spec = data.element_spec
        return {"dataset of": str(spec), "batches": int(data.cardinality().numpy())}
    if isinstance(data, keras.utils.PyDataset):
        return {"PyDataset": type(data).__name__, "batches": data.num_batches}
    if not hasattr(data, "shape"):
        return {"type": type(data).__name__}
    digest, rows = hashlib.sha256(), max(CHUNK // max(_bytes_of_row(data), 1), 1)
    for start in range(0, int(data.shape[0]), rows):
        digest.update(np.ascontiguousarray(data[start : start + rows]).tobytes())
    return {
        "shape": [int(d) for d in data.shape],
        "dtype": getattr(data.dtype, "name", str(data.dtype)),
        "sha256": digest.hexdigest(),
    }


def optimizer_of(model: keras.Model) -> dict[str, Any]:
    """Returns the optimizer's configuration as it is now."""
    optimizer = model.optimizer
    config = keras.saving.serialize_keras_object(optimizer)
    return {"class": type(optimizer).__name__} | _without_names(config)


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Returns what differs between two JSON contents, as "path: old -> new".

    Example:
    >>> differences({"batch_size": 8}, {"batch_size": 16})
    ['batch_size: 8 -> 16']
    """
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for key in {**old, **new}
            for line in differences(
                old.get(key, "absent"), new.get(key, "absent"), f"{path}.{key}" if path else key
            )
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [line for i, (a, b) in pairs for line in differences(a, b, f"{path}[{i}]")]
    if old == new:
        return []
    return [f"{path}: {_short(old)} -> {_short(new)}"]


def _config_of(model: keras.Model) -> dict[str, Any]:
    try:
        return model.get_config()
    except (NotImplementedError, TypeError, ValueError):  # layers of the user's without a config
        return {"class_name": type(model).__name__}


def _without_names(config: Any) -> Any:
    """Returns a config as JSON, without the names of layers, which count up in a process.

    Where a functional model refers to a layer, its name becomes a number. Shapes that layers were
    built with follow from the rest.
    """
    numbers: dict[str, str] = {}

    def collect(value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                if key == "name" and isinstance(inner, str):
                    numbers.setdefault(inner, f"#{len(numbers)}")
                collect(inner)
        elif isinstance(value, list | tuple):
            for inner in value:
                collect(inner)

    def replaced(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(k): replaced(v) for k, v in value.items() if k not in LEFT_OUT}
        if isinstance(value, list | tuple):
            return [replaced(v) for v in value]
        return numbers.get(value, value) if isinstance(value, str) else value

    collect(config)
    return json.loads(json.dumps(replaced(config), default=_as_json))


def _as_json(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "shape"):
        return data_of(np.atleast_1d(np.asarray(value)))
    return type(value).__name__


def _bytes_of_row(data: Any) -> int:
    dtype = data.dtype.as_numpy_dtype if isinstance(data.dtype, tf.DType) else data.dtype
    return int(np.prod(data.shape[1:])) * np.dtype(dtype).itemsize


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
