"""Run directories: what made a model, the model, and what came of it."""

import functools
import json
import os
import pathlib
from typing import Any

import keras
import numpy

from tfvae.errors import ArtifactError
from tfvae.models.saving import written_whole
from tfvae.versions import installed_versions

FORMAT = 1
CHECKPOINTS = "checkpoints"  # while it is trained
CONFIG, HISTORY, METRICS, MODEL, VERSIONS = (
    "config.json",
    "history.json",
    "metrics.json",
    "model.keras",
    "versions.json",
)


class Run:
    """A directory that `tfvae train` makes; each file is written whole, and only once.

    `config.json` and `versions.json` are written before training, `history.json` and `model.keras`
    after it, `metrics.json` last.

    Args:
        directory: Where it lies; `create` makes one and `open` checks one.

    Example:
    >>> run = Run.create("runs/first", {"recipe": "vae", "seed": 0})
    >>> run.config["seed"]
    0
    """

    def __init__(self, directory: str | os.PathLike):
        self.directory = pathlib.Path(directory)

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        """The configuration."""
        return self.read(CONFIG)

    @classmethod
    def create(cls, directory: str | os.PathLike, config: dict[str, Any]) -> "Run":
        """Makes a directory with a configuration and the versions installed.

        Raises:
            ValueError: If there is one with something in it.
            ArtifactError: If it cannot be written.
        """
        check_new(directory)
        run = cls(directory)
        try:
            run.directory.mkdir(parents=True, exist_ok=True)
            (run.directory / CONFIG).touch(exist_ok=False)  # of two processes one fails here
        except OSError as error:
            raise ArtifactError(
                f"`--out` must be a directory that can be written. "
                f"Received: --out={os.fspath(directory)}: {error}."
            ) from error
        run.write(CONFIG, {"format": FORMAT} | config)
        run.write(VERSIONS, installed_versions())
        return run

    @classmethod
    def open(cls, directory: str | os.PathLike) -> "Run":
        """Returns the run in a directory.

        Raises:
            ArtifactError: If there is none, or one of a newer format.
        """
        run = cls(directory)
        if not (run.directory / CONFIG).is_file():
            found = "a directory without config.json" if run.directory.is_dir() else "no directory"
            raise ArtifactError(
                f"`DIR` must be a directory that `tfvae train` made. "
                f"Received: DIR={run.directory}, {found}. Fix: give the --out of a training."
            )
        if run.config.get("format") != FORMAT:
            raise ArtifactError(
                f"`DIR` must be a run of format {FORMAT}. Received: DIR={run.directory} of format "
                f"{run.config.get('format')}. Fix: use the tfvae that made it, or a newer one."
            )
        return run

    def has(self, name: str) -> bool:
        """Returns whether the run has that file."""
        return (self.directory / name).is_file()

    def path(self, name: str) -> str:
        """Returns the path of a file of the run."""
        return os.fspath(self.directory / name)

    def write(self, name: str, content: dict[str, Any]) -> None:
        """Writes a JSON file; a number that is not finite becomes null.

        Raises:
            ArtifactError: If it cannot be written.
        """
        text = json.dumps(finite(content), indent=2, allow_nan=False) + "\n"
        with written_whole(self.path(name)) as partial:
            pathlib.Path(partial).write_text(text, encoding="utf-8")

    def read(self, name: str) -> dict[str, Any]:
        """Returns the content of a JSON file.

        Raises:
            ArtifactError: If it is absent, or not what `write` has written.
        """
        try:
            content = json.loads((self.directory / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ArtifactError(
                f"`{name}` must be a file that `tfvae train` has written. "
                f"Received: {self.path(name)}: {error}."
            ) from error
        if not isinstance(content, dict):
            raise ArtifactError(
                f"`{name}` must hold a JSON object. Received: {self.path(name)} with a "
                f"{type(content).__name__}."
            )
        return content

    def model(self) -> keras.Model:
        """Returns the trained model, loaded in Keras' safe mode.

        Raises:
            ArtifactError: If there is none yet, or its file is damaged.
        """
        if not self.has(MODEL):
            raise ArtifactError(
                f"`DIR` must be a finished run. Received: DIR={self.directory} without {MODEL}. "
                f"Fix: tfvae train --resume --out {self.directory}."
            )
        try:
            return keras.saving.load_model(self.path(MODEL), safe_mode=True)
        except Exception as error:  # whatever damage does to a zip, its JSON or its HDF5
            raise ArtifactError(
                f"`{MODEL}` must be the file that `tfvae train` has written. "
                f"Received: {self.path(MODEL)}: {type(error).__name__}: {error}."
            ) from error


def check_new(directory: str | os.PathLike) -> None:
    """Refuses a directory that holds anything, and a file.

    Raises:
        ValueError: If it does.
    """
    directory = pathlib.Path(directory)
    if directory.is_dir():
        found = sorted(entry.name for entry in directory.iterdir())
        listed = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
    else:
        found = os.path.lexists(directory)
        listed = "a file"
    if found:
        is_run = directory.is_dir() and CONFIG in found
        raise ValueError(
            f"`--out` must be a new or an empty directory. "
            f"Received: --out={directory} with {listed}. "
            f"Fix: give another directory{', or --resume to go on with this run' * is_run}."
        )


def finite(content: Any) -> Any:
    """Returns JSON content with null in place of numbers that JSON does not have."""
    if isinstance(content, dict):
        return {k: finite(v) for k, v in content.items()}
    if isinstance(content, list | tuple):
        return [finite(v) for v in content]
    if isinstance(content, float) and not numpy.isfinite(content):
        return None
    return content
