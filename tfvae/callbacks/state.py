"""The state of other callbacks as JSON and arrays: numbers, strings, arrays, and lists of them."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

OWN = {"model", "_model", "params", "validation_data"}  # of Keras' callbacks, set by `fit`


def states_of(callbacks: list[Any]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Returns the attributes of callbacks that are simple, by callback and name, and their arrays.

    What is not simple, such as a function or an open file, is left out. So is a callback with a
    true attribute `stateless`.
    """
    states: dict[str, Any] = {}
    arrays: list[np.ndarray] = []
    for key, callback in _named(callbacks).items():
        states[key] = {}
        for name, value in vars(callback).items():
            if name in OWN:
                continue
            mine: list[np.ndarray] = []
            try:
                encoded = _encoded(value, mine, len(arrays))
            except TypeError:
                continue
            states[key][name] = encoded
            arrays += mine
    return states, arrays


def changed(
    states: tuple[dict, list], since: tuple[dict, list], always: dict[str, list[str]]
) -> tuple[dict[str, dict[str, Any]], list[np.ndarray]]:
    """Returns the states that are not what they were, and those that are always wanted.

    An argument of a constructor, such as a patience or data to measure on, is not among them: it is
    the new program's.
    """
    (now, arrays), (before, arrays_before) = states, since
    kept: dict[str, dict[str, Any]] = {}
    kept_arrays: list[np.ndarray] = []
    for key, attributes in now.items():
        kept[key] = {}
        for name, encoded in attributes.items():
            value, old = _decoded(encoded, arrays), before.get(key, {})
            is_old = name in old and _same(value, _decoded(old[name], arrays_before))
            if not is_old or name in always.get(key, ()):
                mine: list[np.ndarray] = []
                kept[key][name] = _encoded(value, mine, len(kept_arrays))
                kept_arrays += mine
    return kept, kept_arrays


def restore(callbacks: list[Any], states: dict[str, Any], arrays: list[np.ndarray]) -> list[str]:
    """Gives callbacks their attributes back; returns the names of those without a callback."""
    named = _named(callbacks)
    for key, attributes in states.items():
        callback = named.get(key)
        if callback is None:
            continue
        # Keras negates `min_delta` when it makes the operation: made later, it would do so twice.
        if "min_delta" in attributes and getattr(callback, "monitor_op", 0) is None:
            callback._set_monitor_op()
        for name, value in attributes.items():
            value, own = _decoded(value, arrays), getattr(callback, name, None)
            if isinstance(own, tf.Variable | keras.Variable):
                own.assign(value)
            else:
                setattr(callback, name, value)
    return [key for key, attributes in states.items() if attributes and key not in named]


def _named(callbacks: list[Any]) -> dict[str, Any]:
    """Returns callbacks by class and number."""
    named: dict[str, Any] = {}
    for callback in callbacks:
        if getattr(callback, "stateless", False):
            continue
        kind, number = type(callback).__name__, 0
        while f"{kind}/{number}" in named:
            number += 1
        named[f"{kind}/{number}"] = callback
    return named


def _encoded(value: Any, arrays: list[np.ndarray], offset: int) -> Any:
    """Returns a value as JSON; arrays are appended to `arrays`, and numbered from `offset`.

    Raises:
        TypeError: If the value is not simple.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, tf.Tensor | tf.Variable | keras.Variable):
        value = np.asarray(value)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufV":
        arrays.append(np.array(value))  # a copy: it may be changed in place
        kind = "array" if isinstance(value, np.ndarray) else "scalar"
        return {kind: offset + len(arrays) - 1}
    if type(value) in (list, tuple):
        return {type(value).__name__: [_encoded(v, arrays, offset) for v in value]}
    if type(value) is dict:
        return {"dict": [[_encoded(e, arrays, offset) for e in pair] for pair in value.items()]}
    raise TypeError(type(value).__name__)


def _decoded(value: Any, arrays: list[np.ndarray]) -> Any:
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items()
    if kind == "array":
        return arrays[content]
    if kind == "scalar":
        return arrays[content][()]
    if kind == "dict":
        return {_decoded(k, arrays): _decoded(v, arrays) for k, v in content}
    return (tuple if kind == "tuple" else list)(_decoded(v, arrays) for v in content)


def _same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return list(a) == list(b) and all(_same(a[k], b[k]) for k in a)
    return a == b or (a != a and b != b)
