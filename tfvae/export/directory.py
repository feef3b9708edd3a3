"""Directories of exports: written beside their place, and renamed to it when they are whole."""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def partial_directory(base: str) -> Iterator[str]:
    """Gives a new directory in `base`, and deletes it with what is still in it.

    Its name is no integer, so that a server which polls `base` never takes it for a version.

    Raises:
        OSError: If it cannot be made.
    """
    os.makedirs(base, exist_ok=True)
    partial = tempfile.mkdtemp(prefix=".partial-", dir=base)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def publish(directory: str, base: str) -> str:
    """Renames a finished directory to the next free version in `base`, and returns that.

    Its files are on the disk before it has the name.

    Raises:
        OSError: If it cannot be renamed, or the disk is full.
    """
    _synchronise(directory)
    while True:
        versions = [int(name) for name in os.listdir(base) if name.isascii() and name.isdigit()]
        target = os.path.join(base, str(max(versions, default=0) + 1))
        try:
            os.rename(directory, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            continue  # somebody else has just published that version
        _synchronise_one(base)
        return target


def publish_as(directory: str, path: str) -> None:
    """Renames a finished directory to `path`, which must be new.

    Its files are on the disk before it has the name.

    Raises:
        OSError: If `path` exists, it cannot be renamed, or the disk is full.
    """
    _synchronise(directory)
    if os.path.lexists(path):  # a rename would take the place of an empty directory
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    os.rename(directory, path)
    _synchronise_one(os.path.dirname(os.path.abspath(path)))


def _synchronise(directory: str) -> None:
    for folder, _, files in os.walk(directory):
        for name in files:
            _synchronise_one(os.path.join(folder, name))
        _synchronise_one(folder)


def _synchronise_one(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
