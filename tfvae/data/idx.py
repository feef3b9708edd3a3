"""IDX, the file format of MNIST and its relatives (LeCun, Cortes & Burges, 1998)."""

import gzip
import math
import os
import pathlib
import struct
import zlib
from typing import BinaryIO

import numpy as np

from tfvae.data.splits import Splits
from tfvae.errors import DataError

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_NUM_VALID = 10_000


def mnist(folder: str | os.PathLike) -> Splits:
    """Reads MNIST, or a set in its layout such as Fashion-MNIST, from its four IDX files.

    Args:
        folder: Where `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
            `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte` are, plain or with `.gz`.

    Returns:
        Grey values divided by 255, float32 [N, 28, 28, 1], with labels. The last 10,000 training
        images are the validation part: 50,000 / 10,000 / 10,000.

    Raises:
        FileNotFoundError: One of the files is absent.
        DataError: A file is damaged or holds something else.

    Example:
    >>> mnist("data/mnist").x_train.shape  # doctest: +SKIP
    (50000, 28, 28, 1)
    """
    folder = pathlib.Path(folder)
    x_train, labels_train = _images_and_labels(folder, "train")
    x_test, labels_test = _images_and_labels(folder, "t10k")
    if len(x_train) <= _NUM_VALID:
        raise DataError(
            f"`folder` must hold more than {_NUM_VALID} training images, of which the last "
            f"{_NUM_VALID} validate. Received: folder={str(folder)!r} with {len(x_train)}. "
            f"Fix: read the files with `read_idx` and split them with `split`."
        )
    return Splits(
        "mnist",
        x_train[:-_NUM_VALID],
        x_train[-_NUM_VALID:],
        x_test,
        labels_train[:-_NUM_VALID],
        labels_train[-_NUM_VALID:],
        labels_test,
    )


def _images_and_labels(folder: pathlib.Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    images = read_idx(_find(folder, f"{part}-images-idx3-ubyte"))
    labels = read_idx(_find(folder, f"{part}-labels-idx1-ubyte"))
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28):
        raise DataError(
            f"`{part}-images` must be unsigned bytes [N, 28, 28]. "
            f"Received: {part}-images={images.dtype} {list(images.shape)}. "
            f"Fix: put the original file in {str(folder)!r}."
        )
    if labels.dtype != np.uint8 or labels.shape != images.shape[:1]:
        raise DataError(
            f"`{part}-labels` must be unsigned bytes [{len(images)}], one for each image. "
            f"Received: {part}-labels={labels.dtype} {list(labels.shape)}. "
            f"Fix: take images and labels from the same release."
        )
    x = images[..., np.newaxis].astype("float32")
    x /= 255
    return x, labels.astype("int64")


def _find(folder: pathlib.Path, name: str) -> pathlib.Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"`folder` must hold the file {name} or {name}.gz. Received: folder={str(folder)!r}. "
        f"Fix: name the folder with MNIST's four original IDX files."
    )


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """Reads one IDX file, plain or compressed with gzip (told by its first bytes).

    Args:
        path: The file.

    Returns:
        The array, in the type and shape that the file declares and native byte order.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is not IDX, or longer or shorter than its header says, or damaged.

    Example:
    >>> read_idx("train-labels-idx1-ubyte.gz").shape  # doctest: +SKIP
    (60000,)
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"`path` must be an existing file. Received: path={str(path)!r}. Fix: correct the path."
        )
    with path.open("rb") as file:
        is_compressed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if is_compressed else path.open("rb") as file:
        try:
            return _read(file, path)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(
                f"`path` must be an undamaged gzip file ({error}). Received: path={str(path)!r}. "
                f"Fix: download the file again."
            ) from error


def _read(file: BinaryIO, path: pathlib.Path) -> np.ndarray:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or magic[3] == 0:
        raise DataError(
            f"`path` must be an IDX file: two zero bytes, a type code and a number of axes. "
            f"Received: path={str(path)!r}, which begins with {magic!r}. "
            f"Fix: name a file such as train-images-idx3-ubyte.gz."
        )
    dtype, rank = np.dtype(_TYPES[magic[2]]), magic[3]
    header = file.read(4 * rank)
    shape = struct.unpack(f">{rank}I", header) if len(header) == 4 * rank else None
    num_bytes = math.prod(shape) * dtype.itemsize if shape else 0
    content = bytearray()
    # In pieces: a damaged header must not make one read allocate what it claims.
    while shape and len(content) <= num_bytes and (piece := file.read(1 << 20)):
        content += piece
    if shape is None or len(content) != num_bytes:
        length = "longer" if shape and len(content) > num_bytes else "shorter"
        raise DataError(
            f"`path` must be as long as its header says, {num_bytes} bytes of {dtype.name} "
            f"{list(shape or ())}. Received: path={str(path)!r}, which is {length}. "
            f"Fix: download the file again."
        )
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
