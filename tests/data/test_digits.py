"""The embedded digits."""

import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tfvae.data import digits

PARTS = ("train", "valid", "test")


def test_the_digits_are_scikit_learns_each_once():
    splits = digits(binarize=False)
    assert [getattr(splits, f"x_{p}").shape for p in PARTS] == [
        (n, 8, 8, 1) for n in (1297, 200, 300)
    ]
    images = np.concatenate([getattr(splits, f"x_{p}") for p in PARTS]).reshape(1797, 64) * 16
    labels = np.concatenate([getattr(splits, f"labels_{p}") for p in PARTS])
    ours = np.column_stack([images, labels])
    bunch = load_digits()
    theirs = np.column_stack([bunch.data, bunch.target])
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def test_binary_digits_are_the_grey_ones_at_a_threshold():
    binary, grey = digits(), digits(binarize=False)
    for part in PARTS:
        x = getattr(grey, f"x_{part}")
        np.testing.assert_array_equal(getattr(binary, f"x_{part}"), x >= 0.5)
        assert x.dtype == "float32"
        assert (x.min(), x.max()) == (0, 1)


def test_the_parts_hold_every_digit_in_proportion():
    splits = digits()
    share = np.bincount(load_digits().target) / 1797
    for part in PARTS:
        labels = getattr(splits, f"labels_{part}")
        np.testing.assert_allclose(np.bincount(labels), share * len(labels), atol=2)


def test_the_seed_moves_images_between_parts():
    assert digits().fingerprint == digits(seed=0).fingerprint != digits(seed=1).fingerprint


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r'pip install "tfvae\[data\]"'):
        digits()
