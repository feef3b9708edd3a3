"""Writing a model's file whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae.errors import ArtifactError
from tfvae.random import seeded_initializers
from tfvae.serialization import unregistered


def checked_path(model: keras.Model, filepath: Any, overwrite: bool) -> str:
    """Returns the path of a `.keras` file that may be written and will load again.

    Raises:
        ValueError: If the ending is another, or a class or function in the model is not registered.
        ArtifactError: If the file exists and may not be overwritten.
    """
    path = os.fspath(filepath)
    if not path.endswith(".keras"):
        raise ValueError(
            f"`filepath` must end with '.keras'. Received: filepath={path!r}. "
            "Fix: rename it, or use `export` for a SavedModel."
        )
    if names := unregistered(keras.saving.serialize_keras_object(model)):
        raise ValueError(
            "`save` must know every class and function in the model by a registered name. "
            f"Received: {', '.join(names)}. Fix: decorate with "
            "`@keras.saving.register_keras_serializable('mine')`."
        )
    if not overwrite and os.path.exists(path):
        raise ArtifactError(
            f"`filepath` must not exist with overwrite=False. Received: filepath={path!r}."
        )
    return path


def check_reloads(model: keras.Model, path: str, input_shape: Any) -> None:
    """Loads a file that was just written, and compares it with the model.

    Keras saves without complaint what it does not load, or loads as another model: of a layer that
    occurs twice in a `Sequential` one is left, and one that two functional models share fails.

    Raises:
        ValueError: If the file does not give the same weights and the same draws.
    """
    numbers, reason = np.random.default_rng(0), None
    inputs = {k: numbers.integers(0, 2, (4, *s[1:])) for k, s in input_shape.items()}
    try:
        with seeded_initializers(0):  # leaves the state of Python's random numbers as it is
            loaded = keras.saving.load_model(path, compile=False)
        if not _all_close([w.numpy() for w in model.weights], [w.numpy() for w in loaded.weights]):
            reason = "other weights"
        # A layer of the user's may be random by itself; nothing can be said about such a model.
        elif _all_close(first := _draws(model, inputs), _draws(model, inputs)):
            reason = None if _all_close(first, _draws(loaded, inputs)) else "other outputs"
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = str(error).strip().split("\n")[0]
    except tf.errors.OpError:
        return  # a model that takes no binary rows
    if reason:
        raise ValueError(
            "`save` must write a file that loads as the same model. "
            f"Received: a model of which the file gives: {reason}. Fix: use each layer once, or "
            "repeat whole networks; give custom layers a `get_config`."
        )


def _draws(model: keras.Model, inputs: Any) -> list[Any]:
    """Returns latents and densities of inputs, as arrays."""
    with model.noise.stream("reload"):
        draws = model(inputs, training=False)
    return [t.numpy() for t in tf.nest.flatten(tuple(draws[:4]))]


def _all_close(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and all(
        x.shape == y.shape and np.allclose(x, y, rtol=1e-4, equal_nan=True)
        for x, y in zip(a, b, strict=True)
    )


@contextlib.contextmanager
def written_whole(path: str) -> Iterator[str]:
    """Gives the path of a temporary sibling, fsynced and renamed to `path` if nothing is raised.

    Raises:
        ArtifactError: If it cannot be written; a file at `path` is as it was.
    """
    folder, name = os.path.split(os.path.abspath(path))
    partial = os.path.join(folder, f".partial-{os.getpid()}-{name}")
    try:
        os.makedirs(folder, exist_ok=True)
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise ArtifactError(
            f"`filepath` must be writable. Received: filepath={path!r}: {error}"
        ) from error
    finally:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.remove(partial)
