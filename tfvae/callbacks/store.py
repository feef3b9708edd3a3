"""A directory of checkpoints, each written whole and read back only if every byte is as written."""

import contextlib
import hashlib
import json
import logging
import os
import pathlib
import shutil
from typing import Any

import numpy as np

from tfvae.errors import ArtifactError, ResumeMismatch

log = logging.getLogger("tfvae")

FORMAT = 1
STATE, MANIFEST, LOCK = "state.npz", "manifest.json", ".lock"
PREFIX, BAD, PARTIAL = "checkpoint-", "bad-", ".partial-"


class Store:
    """Checkpoints in a directory: `checkpoint-000001/` with `state.npz` and `manifest.json`.

    A checkpoint is written to a temporary sibling, synchronised with the disk, and renamed. The
    manifest holds the size and the SHA-256 of the arrays, and its own.

    Args:
        directory: Where they are; made at the first save.
        keep: How many of the newest stay.
    """

    def __init__(self, directory: str | os.PathLike, keep: int):
        self.directory, self.keep = pathlib.Path(os.path.abspath(directory)), keep
        self._lock: Any = None

    def save(self, arrays: list[np.ndarray], content: dict[str, Any]) -> None:
        """Adds a checkpoint, then removes those that are too many.

        Raises:
            ArtifactError: If it cannot be written; the earlier ones are as they were.
        """
        partial = self.directory / f"{PARTIAL}{os.getpid()}"
        name = f"{PREFIX}{self._last_number() + 1:06d}"
        try:
            self._remove_leftovers()
            partial.mkdir(parents=True)
            with open(partial / STATE, "wb") as file:
                np.savez(file, *[_plain(a) for a in arrays], allow_pickle=False)
                _synchronise(file)
            content = content | {
                "format": FORMAT,
                "dtypes": [a.dtype.name for a in arrays],
                "files": {STATE: _seal(partial / STATE)},
            }
            with open(partial / MANIFEST, "wb") as file:
                file.write(_sealed_text(content))
                _synchronise(file)
            _synchronise_directory(partial)
            os.rename(partial, self.directory / name)
            _synchronise_directory(self.directory)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise ArtifactError(
                f"`directory` must have room and be writable. Received: directory="
                f"{os.fspath(self.directory)!r}: {error}. Earlier checkpoints are as they were. "
                "Fix: free some space and run the same program again."
            ) from error
        for old in self._all()[: -self.keep]:
            self._remove(old)

    def has_any(self) -> bool:
        """Returns whether there is a checkpoint, whole or not."""
        return bool(self._all())

    def newest(self) -> tuple[list[np.ndarray], dict[str, Any], str] | None:
        """Returns arrays, content and name of the newest checkpoint that is whole; None if empty.

        Damaged ones that are newer are set aside under names that begin with `bad-`.

        Raises:
            ArtifactError: If there are checkpoints and all are damaged; they stay as they are.
        """
        damaged: dict[pathlib.Path, str] = {}
        for path in reversed(self._all()):
            try:
                arrays, content = _read(path)
            except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
                if not path.exists():  # removed, for another process has saved newer ones
                    return self.newest()
                damaged[path] = str(error)
                continue
            for bad, reason in damaged.items():
                log.warning("%s is damaged (%s); %s is used instead.", bad, reason, path.name)
                os.rename(bad, _unused(self.directory / f"{BAD}{bad.name}"))
            return arrays, content, path.name
        if damaged:
            reasons = "; ".join(f"{p.name}: {reason}" for p, reason in damaged.items())
            raise ArtifactError(
                "`directory` must have a checkpoint that is whole. Received: directory="
                f"{os.fspath(self.directory)!r} with {reasons}. Fix: give another directory to "
                "train anew, or restore a copy of it."
            )
        return None

    def lock(self) -> None:
        """Keeps other processes from the directory until `unlock`, or the end of this one.

        Raises:
            ResumeMismatch: If another training has it.
            ArtifactError: If it cannot be written.
        """
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            file = open(self.directory / LOCK, "a+", encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise ArtifactError(
                "`directory` must be writable. Received: directory="
                f"{os.fspath(self.directory)!r}: {error}."
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise ResumeMismatch(
                "`directory` must belong to one training at a time. Received: directory="
                f"{os.fspath(self.directory)!r}, locked by process {holder}. Fix: wait for it, or "
                "give another directory."
            ) from None
        except OSError:  # a file system without locks
            file.close()
            return
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._lock = file

    def unlock(self) -> None:
        """Lets other processes have the directory."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _all(self) -> list[pathlib.Path]:
        """Returns the checkpoints, oldest first."""
        if not self.directory.is_dir():
            return []
        found = [p for p in self.directory.iterdir() if _number(p.name, PREFIX) is not None]
        return sorted(found, key=lambda p: _number(p.name, PREFIX))

    def _last_number(self) -> int:
        names = [p.name for p in self.directory.iterdir()] if self.directory.is_dir() else []
        numbers = [_number(n.removeprefix(BAD).split("~")[0], PREFIX) for n in names]
        return max((n for n in numbers if n is not None), default=0)

    def _remove(self, path: pathlib.Path) -> None:
        """Removes a checkpoint, so that half of one is never taken for a whole one."""
        partial = self.directory / f"{PARTIAL}{os.getpid()}"
        with contextlib.suppress(OSError):
            os.rename(path, partial)
            shutil.rmtree(partial, ignore_errors=True)

    def _remove_leftovers(self) -> None:
        """Removes what processes that were killed have left."""
        if self.directory.is_dir():
            for path in self.directory.iterdir():
                process = _number(path.name, PARTIAL)
                if process is not None and (process == os.getpid() or not _is_alive(process)):
                    shutil.rmtree(path, ignore_errors=True)


def _read(path: pathlib.Path) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Returns arrays and content of a checkpoint.

    Raises:
        ValueError: If anything in it is not as it was written.
    """
    text = (path / MANIFEST).read_bytes()
    content = json.loads(text)["content"]
    if _sealed_text(content) != text:
        raise ValueError(f"{MANIFEST} is not as it was written")
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']} instead of {FORMAT}")
    expected, found = content["files"][STATE], _seal(path / STATE)
    if found != expected:
        raise ValueError(
            f"{STATE} has {found['bytes']} bytes of SHA-256 {found['sha256'][:16]} instead of "
            f"{expected['bytes']} of {expected['sha256'][:16]}"
        )
    with np.load(path / STATE, allow_pickle=False) as file:
        arrays = [file[f"arr_{i}"] for i in range(len(file.files))]
    return [_as_written(a, d) for a, d in zip(arrays, content["dtypes"], strict=True)], content


def _sealed_text(content: dict[str, Any]) -> bytes:
    """Returns JSON with its own SHA-256; the same content gives the same bytes."""
    text = json.dumps(content, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f'{{"content": {text}, "sha256": "{digest}"}}\n'.encode()


def _seal(path: pathlib.Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def _plain(array: np.ndarray) -> np.ndarray:
    """Returns an array of a dtype that numpy itself has: bfloat16 is written as bytes."""
    array = np.asarray(array)
    return array.view(f"u{array.dtype.itemsize}") if array.dtype.kind == "V" else array


def _as_written(array: np.ndarray, dtype: str) -> np.ndarray:
    if array.dtype.name == dtype:
        return array
    import ml_dtypes  # comes with TensorFlow

    return array.view(getattr(ml_dtypes, dtype))


def _number(name: str, prefix: str) -> int | None:
    digits = name.removeprefix(prefix)
    return int(digits) if digits != name and digits.isdecimal() else None


def _unused(path: pathlib.Path) -> pathlib.Path:
    numbered = [path, *(path.with_name(f"{path.name}~{i}") for i in range(1, 1000))]
    return next(p for p in numbered if not p.exists())


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _synchronise(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _synchronise_directory(path: pathlib.Path) -> None:
    if os.name == "nt":  # which opens no directories
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
