"""Laws of what a model is made from."""

import json
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae.serialization import unregistered
from tfvae.testing.law_tools import (
    batch_of,
    forward,
    has_a_shared_layer,
    reloaded,
    require,
    same_bits,
)


def config_restores_it(model: Any, data: Any) -> None:
    """A model of the same config and weights gives the same reconstructions, bit for bit."""
    if has_a_shared_layer(model):
        return
    copy = reloaded(model)
    copy.encode(batch_of(data, 2))
    copy.set_weights(model.get_weights())
    batch = batch_of(data, 8)
    same_bits([copy.reconstruct(batch)], [model.reconstruct(batch)], "reconstructions of the copy")


def config_is_json(model: Any, data: Any) -> None:
    """The config passes through JSON unchanged."""
    config = keras.saving.serialize_keras_object(model)
    again = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    require(type(again) is type(model), f"the config made a {type(again).__name__}")


def the_seed_is_kept(model: Any, data: Any) -> None:
    """A copy draws what the original draws."""
    copy = reloaded(model)
    require(copy.seed == model.seed, f"seed {copy.seed} instead of {model.seed}")


def all_classes_are_registered(model: Any, data: Any) -> None:
    """A new process finds every class and function by its registered name."""
    lost = unregistered(keras.saving.serialize_keras_object(model))
    require(not lost, f"not registered: {', '.join(lost)}")


def no_layer_holds_code(model: Any, data: Any) -> None:
    """No `Lambda`, which a loaded file may not bring."""
    layers = [type(layer).__name__ for layer in model._flatten_layers()]
    require("Lambda" not in layers, "there is a Lambda layer")


def weights_are_finite_float32(model: Any, data: Any) -> None:
    """Weights that are learned are float32 under every policy, and finite."""
    for variable in model.trainable_variables:
        require(variable.dtype == "float32", f"{variable.path} is {variable.dtype}")
        require(np.isfinite(variable.numpy()).all(), f"{variable.path} is not finite")


def shapes_alone_build_it(model: Any, data: Any) -> None:
    """A copy that has seen no data but its shapes has the same weights to be filled."""
    if has_a_shared_layer(model):
        return
    copy = reloaded(model)
    copy.build_from_config(model.get_build_config())
    shapes = [[tuple(w.shape) for w in m.weights] for m in (copy, model)]
    require(shapes[0] == shapes[1], "other shapes of weights")


def densities_are_float32_under_half_precision_networks(model: Any, data: Any) -> None:
    """Networks in bfloat16 change the log-densities a little, their type never."""
    if has_a_shared_layer(model):
        return
    config = _in_half_precision(keras.saving.serialize_keras_object(model))
    copy = keras.saving.deserialize_keras_object(config)
    copy.build_from_config(model.get_build_config())
    copy.set_weights(model.get_weights())
    draws = forward(copy, batch_of(data, 8))
    for name in ("log_likelihood", "log_prior", "log_posterior"):
        value = getattr(draws, name)
        require(value.dtype == tf.float32, f"{name} is {value.dtype.name}")
        require(np.isfinite(value).all(), f"{name} is not finite")


def _in_half_precision(config: Any) -> Any:
    """Returns a config whose Keras layers have the policy mixed_bfloat16."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return config | {"config": {"name": "mixed_bfloat16"}}
        return {k: _in_half_precision(v) for k, v in config.items()}
    return [_in_half_precision(v) for v in config] if isinstance(config, list) else config
