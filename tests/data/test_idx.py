"""IDX files, whole and damaged."""

import gzip
import os
import pathlib
import re
import struct

import numpy as np
import pytest

from tfvae.data import mnist, read_idx
from tfvae.errors import DataError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def encode(array):
    """The format as its authors describe it: big-endian, sizes before contents."""
    code = CODES[array.dtype.str[1:]]
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("dtype", CODES)
def test_what_was_written_is_read(tmp_path, dtype, compress):
    array = np.random.default_rng(0).integers(0, 120, size=(3, 2, 5)).astype(dtype)
    read = read_idx(write(tmp_path / "array", compress(encode(array))))
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_a_file_of_no_examples_is_an_empty_array(tmp_path):
    assert read_idx(write(tmp_path / "empty", encode(np.zeros((0, 28), "u1")))).shape == (0, 28)


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_every_truncation_is_refused(tmp_path, compress):
    content = compress(encode(np.arange(12, dtype="i4").reshape(3, 4)))
    for length in range(len(content)):
        with pytest.raises(DataError, match="`path` must be"):
            read_idx(write(tmp_path / "short", content[:length]))


def test_trailing_bytes_are_refused(tmp_path):
    path = write(tmp_path / "long", encode(np.zeros(4, "u1")) + b"\0")
    with pytest.raises(DataError, match="which is longer"):
        read_idx(path)


def test_a_header_that_claims_too_much_allocates_nothing(tmp_path):
    header = bytes([0, 0, 0x0E, 3]) + struct.pack(">3I", *[2**32 - 1] * 3)
    with pytest.raises(DataError, match="which is shorter"):
        read_idx(write(tmp_path / "liar", header))


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", b"\0\0\x07\x01", b"\0\0\x08\x00", b"\x93NUMPY"]
)
def test_other_formats_are_refused(tmp_path, content):
    with pytest.raises(DataError, match="must be an IDX file"):
        read_idx(write(tmp_path / "other", content))


def test_damage_inside_gzip_is_refused(tmp_path):
    content = bytearray(gzip.compress(encode(np.arange(250, dtype="u1"))))
    content[-6] ^= 1  # in the checksum
    with pytest.raises(DataError, match="undamaged gzip file"):
        read_idx(write(tmp_path / "damaged", content))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_idx(tmp_path / "nowhere")


@pytest.fixture
def folder(tmp_path):
    """MNIST's layout, with each label in the first pixel of its image."""
    for part, n in (("train", 10_003), ("t10k", 4)):
        labels = (np.arange(n) % 10).astype("u1")
        images = np.zeros((n, 28, 28), "u1")
        images[:, 0, 0], images[:, 0, 1] = labels, 255
        write(tmp_path / f"{part}-labels-idx1-ubyte", encode(labels))
        content = gzip.compress(encode(images), compresslevel=1)
        write(tmp_path / f"{part}-images-idx3-ubyte.gz", content)
    return tmp_path


def test_mnist_is_split_in_order_with_its_labels(folder):
    splits = mnist(folder)
    assert [len(x) for x in (splits.x_train, splits.x_valid, splits.x_test)] == [3, 10_000, 4]
    for part in ("train", "valid", "test"):
        x, labels = getattr(splits, f"x_{part}"), getattr(splits, f"labels_{part}")
        np.testing.assert_allclose(255 * x[:, 0, 0, 0], labels, rtol=1e-6)
        assert x.shape[1:] == (28, 28, 1)
        assert x.max() == 1
    np.testing.assert_array_equal(splits.labels_train, [0, 1, 2])


@pytest.mark.parametrize(
    ("name", "array", "sentence"),
    [
        ("train-labels-idx1-ubyte", np.zeros(3, "u1"), "`train-labels` must be unsigned bytes"),
        ("train-labels-idx1-ubyte", np.zeros(10_003, "i4"), "`train-labels` must be unsigned"),
        ("t10k-images-idx3-ubyte", np.zeros((4, 8, 8), "u1"), "`t10k-images` must be unsigned"),
        ("t10k-images-idx3-ubyte", np.zeros((4, 28, 28), "f4"), "`t10k-images` must be unsigned"),
    ],
)
def test_files_of_something_else_are_refused(folder, name, array, sentence):
    write(folder / name, encode(array))
    with pytest.raises(DataError, match=re.escape(sentence)):
        mnist(folder)


def test_too_few_images_to_validate_are_refused(folder):
    write(folder / "train-labels-idx1-ubyte", encode(np.zeros(5, "u1")))
    write(folder / "train-images-idx3-ubyte", encode(np.zeros((5, 28, 28), "u1")))
    with pytest.raises(DataError, match="more than 10000 training images"):
        mnist(folder)


def test_a_folder_without_the_files_is_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte or train-images"):
        mnist(tmp_path)


@pytest.mark.skipif("TFVAE_DATA" not in os.environ, reason="needs MNIST: set TFVAE_DATA")
def test_the_real_mnist_has_its_known_numbers():
    splits = mnist(pathlib.Path(os.environ["TFVAE_DATA"]) / "mnist")
    assert splits.x_train.shape == (50_000, 28, 28, 1)
    assert splits.x_valid.shape == splits.x_test.shape == (10_000, 28, 28, 1)
    np.testing.assert_array_equal(splits.labels_train[:5], [5, 0, 4, 1, 9])
    np.testing.assert_array_equal(splits.labels_test[:5], [7, 2, 1, 0, 4])
    mean = (5 * splits.x_train.mean(dtype="float64") + splits.x_valid.mean(dtype="float64")) / 6
    assert mean == pytest.approx(0.1307, abs=5e-5)  # the constant everybody normalises with
