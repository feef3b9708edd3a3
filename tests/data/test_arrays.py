"""A user's own `.npy` and `.npz` files."""

import re

import numpy as np
import pytest

from tfvae.data import load_arrays
from tfvae.errors import DataError

PARTS = ("train", "valid", "test")


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "cells.npz", **arrays)
    return tmp_path / "cells.npz"


def test_one_array_is_split_by_seed(tmp_path):
    np.save(tmp_path / "cells.npy", np.arange(100).reshape(50, 2))
    splits = load_arrays(tmp_path / "cells.npy")
    assert splits.name == "cells"
    assert [getattr(splits, f"x_{part}").shape for part in PARTS] == [(40, 2), (5, 2), (5, 2)]
    again, other = (load_arrays(tmp_path / "cells.npy", seed=seed) for seed in (0, 1))
    assert splits.fingerprint == again.fingerprint != other.fingerprint


def test_npy_and_npz_of_the_same_array_agree(tmp_path):
    x = np.random.default_rng(0).normal(size=(30, 2, 2))
    np.save(tmp_path / "x.npy", x)
    from_npz = load_arrays(saved(tmp_path, x=x))
    assert load_arrays(tmp_path / "x.npy").fingerprint == from_npz.fingerprint


def test_given_parts_stay_as_they_are(tmp_path):
    arrays = {
        f"{field}_{part}": np.full((n, 3)[: 1 + (field != "labels")], n)
        for field in ("x", "labels", "condition")
        for part, n in zip(PARTS, (6, 2, 1), strict=True)
    }
    splits = load_arrays(saved(tmp_path, **arrays))
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(splits, name), array)


def test_labels_and_condition_are_split_with_x(tmp_path):
    rows = np.arange(20)
    path = saved(tmp_path, x=rows[:, None], labels=rows, condition=rows[:, None] / 2)
    splits = load_arrays(path)
    for part in PARTS:
        x = getattr(splits, f"x_{part}")
        np.testing.assert_array_equal(getattr(splits, f"labels_{part}"), x[:, 0])
        np.testing.assert_array_equal(getattr(splits, f"condition_{part}"), x / 2)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({}, "with no arrays. Fix: add x."),
        ({"X": np.zeros((9, 1))}, "with X. Did you mean 'x'? Fix: rename or remove X."),
        ({"x": np.zeros((9, 1)), "x_train": np.zeros((9, 1))}, "rename or remove x."),
        ({"x": np.zeros((9, 1)), "mask": np.ones((9, 1))}, "rename or remove mask."),
        ({"x_train": np.zeros((9, 1)), "x_test": np.zeros((9, 1))}, "Fix: add x_valid"),
        ({"x": np.zeros((9, 1)), "labels": np.zeros(8, int)}, "`labels` must have 9 rows"),
        ({"x": np.array([["a"], ["b"]])}, "`x` must be an array of real numbers"),
        ({"x": np.full((9, 1), np.nan)}, "Received: x[0, 0]=nan"),
        ({f"x_{part}": np.full((9, 1), 1j) for part in PARTS}, "`x_train` must be an array of"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path, arrays, sentence):
    with pytest.raises(DataError, match=re.escape(sentence)):
        load_arrays(saved(tmp_path, **arrays))


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_pickles_are_never_opened(tmp_path, suffix):
    class Trap:
        def __reduce__(self):
            return pytest.fail, ("a pickle was opened",)

    path = tmp_path / f"trap{suffix}"
    objects = np.array([[Trap()]], dtype=object)
    if suffix == ".npy":
        np.save(path, objects, allow_pickle=True)
    else:
        np.savez(path, x=objects, allow_pickle=True)
    with pytest.raises(DataError, match="must be a file of plain numeric arrays"):
        load_arrays(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_every_damaged_file_is_refused(tmp_path, suffix):
    whole = tmp_path / f"whole{suffix}"
    (np.save if suffix == ".npy" else np.savez)(whole, np.zeros((4, 2)))
    content = whole.read_bytes()
    for length in range(0, len(content), 7):
        path = tmp_path / f"short{suffix}"
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match="must be a file of plain numeric arrays"):
            load_arrays(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.npz"):
        load_arrays(tmp_path / "nowhere.npz")
