"""Configs derived from constructors, so that no class writes `get_config` by hand."""

import inspect
from typing import Any, TypeVar

import keras

Class = TypeVar("Class", bound=type)


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
        return base | {n: keras.saving.serialize_keras_object(getattr(self, n)) for n in names}

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
        module, name = config.get("module"), config.get("registered_name")
        keras_own = isinstance(module, str) and module.split(".")[0] in ("keras", "builtins")
        if "class_name" in config and "config" in config and module is not None and not keras_own:
            is_function = config["class_name"] == "function"
            name = name or config["class_name"]
            if is_function:
                name = config["config"] if name == "function" else name
            if keras.saving.get_registered_object(name) is None:
                found.append(
                    f"{module}.{config['config'] if is_function else config['class_name']}"
                )
        for value in config.values():
            found += unregistered(value)
    elif isinstance(config, list | tuple):
        for value in config:
            found += unregistered(value)
    return list(dict.fromkeys(found))
