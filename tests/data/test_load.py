"""Data by a short name."""

import os
import re

import numpy as np
import pytest

from tfvae.data import digits, load, load_arrays
from tfvae.errors import DataError


def test_digits_are_the_binary_ones_of_the_seed():
    assert load("digits").fingerprint == digits().fingerprint
    assert load("digits", seed=3).fingerprint == digits(seed=3).fingerprint


@pytest.mark.parametrize("as_path", [str, lambda path: path])
def test_a_path_is_a_file_of_arrays(tmp_path, as_path):
    path = tmp_path / "cells.npy"
    np.save(path, np.arange(40).reshape(20, 2))
    assert load(as_path(path), seed=2).fingerprint == load_arrays(path, seed=2).fingerprint


def test_mnist_is_looked_for_where_the_spec_says(tmp_path, monkeypatch):
    monkeypatch.setenv("TFVAE_DATA", str(tmp_path / "outside"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for spec, folder in (
        ("mnist", "outside/mnist"),
        (f"mnist:{tmp_path / 'mine'}", "mine"),
        ("mnist:~/mine", "home/mine"),
    ):
        with pytest.raises(FileNotFoundError, match=re.escape(repr(str(tmp_path / folder)))):
            load(spec)


def test_mnist_alone_needs_the_variable(monkeypatch):
    monkeypatch.delenv("TFVAE_DATA", raising=False)
    with pytest.raises(DataError, match="environment variable TFVAE_DATA is not set"):
        load("mnist")


@pytest.mark.parametrize(
    ("spec", "hint"),
    [("digit", "Did you mean 'digits'?"), ("", ""), ("mnist:", ""), ("cells.csv", "")],
)
def test_an_unknown_form_is_answered_with_the_known_ones(spec, hint):
    with pytest.raises(DataError, match=r"mnist:FOLDER, FILE.npy, FILE.npz") as error:
        load(spec)
    assert f"Received: spec={spec!r}." in str(error.value)
    assert hint in str(error.value)


@pytest.mark.skipif("TFVAE_DATA" not in os.environ, reason="needs MNIST: set TFVAE_DATA")
def test_mnist_alone_is_the_one_outside():
    folder = os.path.join(os.environ["TFVAE_DATA"], "mnist")
    assert load("mnist").fingerprint == load(f"mnist:{folder}", seed=1).fingerprint
