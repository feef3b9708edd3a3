"""Configs derived from constructors, so that no class writes `get_config` by hand."""

import inspect
from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeVar

import keras

Class = TypeVar("Class", bound=type)

SHARED = "shared_object_id"  # Keras' mark of an object that occurs several times in a model


def serializable(cls: Class) -> Class:
    """Registers `cls` with Keras under "tfvae" and derives its config from its constructor.

    Each constructor argument must be kept as an attribute of the same name; arguments may be
    layers, schedules, arrays, or lists and dictionaries of them. `**kwargs` are those of
    `keras.layers.Layer`.

    Example:
    >>> @serializable
    ... class Shift(keras.layers.Layer):
    ...     def __init__(self, by, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.by = by
    >>> Shift.from_config(Shift(2.0).get_config()).by
    2.0
    """
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    names = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
    is_layer = issubclass(cls, keras.layers.Layer)

    def get_config(self: Any) -> dict[str, Any]:
        base = keras.layers.Layer.get_config(self) if is_layer else {}
        base.pop("dtype", None)  # every class here has float32 densities, whatever the policy

        def arguments() -> dict[str, Any]:
            return {n: keras.saving.serialize_keras_object(getattr(self, n)) for n in names}

        if not issubclass(cls, keras.Model):
            return base | arguments()
        # While it saves a model, Keras marks an object as shared at its second sight, and adds the
        # mark to its first config; of that, a copy has been made by then, and a network in two
        # places does not load ("expected 2 variables, but received 0"). At a second pass, all have
        # been seen.
        arguments()
        return base | _only_shared(arguments())

    def from_config(cls: type, config: dict[str, Any]) -> Any:
        return cls(**{k: keras.saving.deserialize_keras_object(v) for k, v in config.items()})

    cls.get_config, cls.from_config = get_config, classmethod(from_config)
    return keras.saving.register_keras_serializable("tfvae")(cls)


def unregistered(config: Any) -> list[str]:
    """Returns the classes and functions in a config that a new process could not find.

    Keras saves such an object without complaint and fails when the file is loaded.
    """
    found = []
    if isinstance(config, dict):
        found = [_lost(config)] if _lost(config) else []
        for value in config.values():
            found += unregistered(value)
    elif isinstance(config, list | tuple):
        for value in config:
            found += unregistered(value)
    return list(dict.fromkeys(found))


def _lost(config: dict[str, Any]) -> str | None:
    """Returns the name of the object that a config describes, if it could not be found by it."""
    kind, module, name = (config.get(key) for key in ("class_name", "module", "registered_name"))
    value = config.get("value")
    if kind == "__lambda__" or (len(config) == 1 and isinstance(value, tuple) and len(value) == 3):
        return "a lambda"  # the second form, its code, is that of an activation
    if kind is None or not {"config", "module"} <= set(config):
        return None
    if kind == "function":
        try:
            keras.saving.deserialize_keras_object(config)
        except (TypeError, ValueError):
            return str(config["config"])
        return None
    # The module of a class that was defined in a script is None here.
    if str(module).split(".")[0] in ("builtins", "keras", "keras_hub"):
        return None
    if keras.saving.get_registered_object(name or kind) is not None:
        return None
    return f"{module or '__main__'}.{kind}"


def _only_shared(config: Any, counts: Counter | None = None) -> Any:
    """Returns a config without the marks of objects that occur in it only once."""
    if counts is None:
        counts = Counter(_marks(config))
    if isinstance(config, dict):
        return {
            key: _only_shared(value, counts)
            for key, value in config.items()
            if key != SHARED or counts[value] > 1
        }
    if isinstance(config, list | tuple):
        return type(config)(_only_shared(value, counts) for value in config)
    return config


def _marks(config: Any) -> Iterator[int]:
    """Yields the marks in a config, each as often as it occurs."""
    if isinstance(config, dict):
        if SHARED in config:
            yield config[SHARED]
        config = config.values()
    elif not isinstance(config, list | tuple):
        return
    for value in config:
        yield from _marks(value)
