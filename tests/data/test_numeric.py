"""Data are finite real numbers."""

import re

import numpy as np
import pytest

from tfvae.data.numeric import as_float32, as_labels
from tfvae.errors import DataError


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int64", "float16", "float32", "float64", ">f8"]
)
def test_real_numbers_become_float32_unscaled(dtype):
    x = np.array([[0, 1], [1, 0]]).astype(dtype)
    assert as_float32(x).dtype == "float32"
    np.testing.assert_array_equal(as_float32(x), [[0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (np.array([["a"]]), "`cells` must be an array of real numbers. Received: cells=<U1"),
        (np.array([[None]]), "Received: cells=object"),
        (np.array([[1j]]), "Received: cells=complex128"),
        (np.array([["2020-01-01"]], "datetime64[D]"), "Received: cells=datetime64[D]"),
        (np.zeros(3), "`cells` must have the shape [N, ...]"),
        (np.zeros((0, 3)), "Received: cells=(0, 3)"),
        (np.zeros((3, 0)), "Received: cells=(3, 0)"),
        (np.array([[0, 1], [2, np.nan]]), "Received: cells[1, 1]=nan, the first of 1"),
        (np.array([[0, -np.inf], [np.inf, 0]]), "Received: cells[0, 1]=-inf, the first of 2"),
        (np.array([[0, 1e39]]), "must be finite in float32. Received: cells[0, 1]=1e+39"),
    ],
)
def test_anything_else_is_refused_by_name(x, sentence):
    with pytest.raises(DataError, match=re.escape(sentence)):
        as_float32(x, "cells")


@pytest.mark.parametrize("labels", [np.zeros(3), np.zeros((3, 1), int), np.array(["a"])])
def test_labels_are_integers_with_one_axis(labels):
    with pytest.raises(DataError, match="`labels` must be integers of shape"):
        as_labels(labels)
