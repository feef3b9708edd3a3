"""Splits: every example in one part, with its own label and condition."""

import re

import numpy as np
import pytest

from tfvae.data import Splits, fingerprint, split
from tfvae.errors import DataError

PARTS = ("train", "valid", "test")


def numbered(n, **options):
    """A split of examples that carry their own number."""
    rows = np.arange(n)
    return split("rows", rows[:, None], condition=np.stack([rows, -rows], 1), **options)


def gather(splits, field):
    return np.concatenate([getattr(splits, f"{field}_{part}") for part in PARTS])


@pytest.mark.parametrize("n", [3, 10, 57])
def test_every_example_is_in_exactly_one_part(n):
    splits = numbered(n)
    np.testing.assert_array_equal(np.sort(gather(splits, "x")[:, 0]), np.arange(n))
    assert min(len(splits.x_train), len(splits.x_valid), len(splits.x_test)) >= 1


def test_labels_and_condition_stay_with_their_example():
    splits = numbered(40, labels=np.arange(40) % 7)
    x = gather(splits, "x")[:, 0]
    np.testing.assert_array_equal(gather(splits, "labels"), x % 7)
    np.testing.assert_array_equal(gather(splits, "condition"), np.stack([x, -x], 1))


def test_the_seed_decides_the_split():
    one, same, other = (numbered(50, seed=seed).fingerprint for seed in (1, 1, 2))
    assert one == same != other


def test_labels_stratify():
    labels = np.random.default_rng(0).choice(5, size=1000, p=[0.5, 0.3, 0.1, 0.07, 0.03])
    splits = split("classes", np.zeros((1000, 1)), labels=labels, sizes=(130, 270))
    share = np.bincount(labels) / 1000
    for part, size in zip(PARTS, (600, 130, 270), strict=True):
        counts = np.bincount(getattr(splits, f"labels_{part}"), minlength=5)
        assert counts.sum() == size
        np.testing.assert_allclose(counts, size * share, atol=2.0)


def test_numbers_become_float32_and_keep_their_values():
    splits = Splits("bytes", *[np.array([[0, 255]], "uint8")] * 3, *[np.array([3], "uint8")] * 3)
    assert splits.event_shape == (2,)
    assert splits.x_valid.dtype == "float32"
    assert splits.labels_test.dtype == "int64"
    np.testing.assert_array_equal(splits.x_valid, [[0, 255]])


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"x_valid": np.zeros((2, 5))}, "`x_valid` must have the columns of `x_train`"),
        ({"x_test": np.zeros((0, 4))}, "`x_test` must have the shape [N, ...]"),
        ({"labels_train": np.zeros(2, int)}, "`labels` must be given for all"),
        (
            {f"labels_{part}": np.zeros(3, int) for part in PARTS},
            "`labels_train` must have 2 rows",
        ),
        (
            {f"condition_{part}": np.zeros((2, 1 + (part == "test"))) for part in PARTS},
            "`condition_test` must have the columns of `condition_train`",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(fields, sentence):
    fields = {f"x_{part}": np.zeros((2, 4)) for part in PARTS} | fields
    with pytest.raises(DataError, match=re.escape(sentence)):
        Splits("bad", **fields)


@pytest.mark.parametrize(
    ("n", "options", "sentence"),
    [
        (2, {}, "`x` must have more than 2 examples"),
        (10, {"sizes": (4, 6)}, "`x` must have more than 10 examples"),
        (10, {"sizes": (0, 4)}, "`sizes` must be two positive"),
        (10, {"labels": np.zeros(9, int)}, "`labels` must have 10 rows"),
        (10, {"condition": np.zeros((11, 1))}, "`condition` must have 10 rows"),
    ],
)
def test_splits_that_cannot_be_are_refused(n, options, sentence):
    with pytest.raises(DataError, match=re.escape(sentence)):
        split("bad", np.zeros((n, 1)), **options)


def test_the_fingerprint_is_of_the_numbers_not_of_their_layout():
    x = np.arange(6, dtype="float32").reshape(2, 3)
    assert fingerprint(x) == fingerprint(np.asfortranarray(x)) == fingerprint(x.astype(">f4"))
    assert re.fullmatch("[0-9a-f]{64}", fingerprint(x))


@pytest.mark.parametrize(
    "change",
    [
        lambda x: (np.nextafter(x, np.float32(9)),),
        lambda x: (x.reshape(3, 2),),
        lambda x: (x.astype("float64"),),
        lambda x: (x.view("int32"),),
        lambda x: (x, None),
        lambda x: (x[:1], x[1:]),
        lambda x: (x[::-1],),
    ],
)
def test_the_fingerprint_tells_every_change(change):
    x = np.arange(6, dtype="float32").reshape(2, 3)
    assert fingerprint(*change(x)) != fingerprint(x)


def test_the_fingerprint_of_splits_counts_every_array_but_not_the_name():
    arrays = [np.full((2, 1), i) for i in range(3)]
    plain = Splits("a", *arrays)
    labels = [np.zeros(2, int)] * 3
    assert plain.fingerprint == Splits("b", *arrays).fingerprint
    assert plain.fingerprint != Splits("a", *arrays, *labels).fingerprint
    assert plain.fingerprint != Splits("a", *arrays[::-1]).fingerprint
