"""A user's own arrays, from `.npy` and `.npz` files."""

import os
import pathlib
import zipfile
import zlib

import numpy as np

from tfvae.data.splits import PARTS, Splits, split
from tfvae.errors import DataError, did_you_mean

_FIELDS = ("x", "labels", "condition")


def load_arrays(path: str | os.PathLike, *, seed: int = 0) -> Splits:
    """Loads arrays that numpy has saved; files with pickled objects are refused.

    Numbers become float32 and keep their values: nothing is scaled.

    Args:
        path: A `.npy` file with one array [N, ...], or an `.npz` file with `x`, or with `x_train`,
            `x_valid` and `x_test`. Beside them an `.npz` file may hold `condition` [N, C] and
            integer `labels` [N], with the same endings as `x`.
        seed: Seed of the split where the file has a single `x`: a tenth validates, a tenth tests.

    Returns:
        The three parts, named after the file.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: The file is damaged, lacks `x`, has an array of unknown name, or holds anything
            but finite numbers.

    Example:
    >>> load_arrays("measurements.npz").x_train.dtype  # doctest: +SKIP
    dtype('float32')
    """
    path = pathlib.Path(path)
    arrays = _read(path)
    is_split = any(name.startswith("x_") for name in arrays)
    fields = [f"{f}_{part}" for f in _FIELDS for part in PARTS] if is_split else list(_FIELDS)
    required = fields[:3] if is_split else fields[:1]
    missing = [name for name in required if name not in arrays]
    unknown = [name for name in arrays if name not in fields]
    if missing or unknown:
        hint = did_you_mean(unknown[0], fields) if unknown else ""
        raise DataError(
            f"`path` must hold `x`, or `x_train`, `x_valid` and `x_test`, and beside them only "
            f"`labels` and `condition` of the same endings. "
            f"Received: path={str(path)!r} with {', '.join(arrays) or 'no arrays'}.{hint} "
            f"Fix: {'rename or remove ' + unknown[0] if unknown else 'add ' + missing[0]}."
        )
    if is_split:
        return Splits(path.stem, **arrays)
    return split(path.stem, arrays.pop("x"), seed=seed, **arrays)


def _read(path: pathlib.Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise FileNotFoundError(
            f"`path` must be an existing file. Received: path={str(path)!r}. Fix: correct the path."
        )
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            return {"x": loaded} if isinstance(loaded, np.ndarray) else dict(loaded.items())
    except (ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"`path` must be a file of plain numeric arrays, written by numpy.save or numpy.savez "
            f"({error}). Received: path={str(path)!r}. "
            f'Fix: save the data with numpy.savez("data.npz", x=x).'
        ) from error
