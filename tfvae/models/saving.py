"""Writing a model's file whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import keras

from tfvae.errors import ArtifactError
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


@contextlib.contextmanager
def written_whole(path: str) -> Iterator[str]:
    """Gives the path of a temporary sibling; it is fsynced and renamed to `path` if nothing is raised.

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
        with contextlib.suppress(FileNotFoundError):
            os.remove(partial)
