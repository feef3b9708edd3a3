"""Binarization: zeros and ones whose mean is the grey value."""

import re

import numpy as np
import pytest
import tensorflow as tf

from tfvae.data import binarize, dynamic_binarization
from tfvae.errors import DataError

GREY = np.array([[0.0, 0.1, 0.5, 0.9, 1.0]])


def epoch(dataset):
    return np.concatenate(list(dataset.as_numpy_iterator()))


def test_a_pixel_is_on_with_the_probability_of_its_grey_value():
    draws = binarize(np.repeat(GREY, 40_000, axis=0))
    assert draws.dtype == "float32"
    assert set(np.unique(draws)) == {0.0, 1.0}
    np.testing.assert_allclose(draws.mean(0), GREY[0], atol=5 * 0.5 / np.sqrt(40_000))
    np.testing.assert_array_equal(draws[:, [0, -1]].mean(0), [0, 1])


def test_pixels_are_drawn_independently():
    draws = binarize(np.full((10_000, 3), 0.5))
    np.testing.assert_allclose(np.corrcoef(draws.T), np.eye(3), atol=0.05)


def test_the_seed_decides_the_draw():
    x = np.full((20, 20), 0.5)
    np.testing.assert_array_equal(binarize(x, seed=1), binarize(x, seed=1))
    assert (binarize(x, seed=1) != binarize(x, seed=2)).any()


def test_dynamic_binarization_has_the_same_law():
    draws = epoch(dynamic_binarization(np.repeat(GREY, 40_000, axis=0), batch_size=1000))
    np.testing.assert_allclose(draws.mean(0), GREY[0], atol=5 * 0.5 / np.sqrt(40_000))
    np.testing.assert_array_equal(draws[:, [0, -1]].mean(0), [0, 1])


def test_each_epoch_has_every_example_once_in_a_new_order():
    codes = (np.arange(32)[:, None] >> np.arange(5)) & 1  # binary already: no draw can change it
    dataset = dynamic_binarization(codes, batch_size=5)
    orders = [epoch(dataset) @ 2 ** np.arange(5) for _ in range(2)]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(32))
    assert (orders[0] != orders[1]).any()


def test_each_epoch_and_each_batch_is_drawn_anew():
    dataset = dynamic_binarization(np.full((8, 64), 0.5), batch_size=4)
    batches = [*dataset.as_numpy_iterator(), *dataset.as_numpy_iterator()]
    rows = np.concatenate(batches)
    assert len(np.unique(rows, axis=0)) == len(rows) == 16


def test_data_sets_made_alike_repeat_each_other_epoch_by_epoch():
    x = np.full((8, 64), 0.5)
    one, same, other = (dynamic_binarization(x, 3, seed=seed) for seed in (1, 1, 2))
    for _ in range(3):
        expected = epoch(one)
        np.testing.assert_array_equal(epoch(same), expected)
        assert (epoch(other) != expected).any()


def test_repeat_draws_anew():
    rows = epoch(dynamic_binarization(np.full((4, 64), 0.5), batch_size=2).repeat(3))
    assert len(np.unique(rows, axis=0)) == len(rows) == 12


def test_the_number_and_shape_of_batches_are_known():
    dataset = dynamic_binarization(np.zeros((10, 8, 8, 1)), batch_size=4)
    assert len(dataset) == 3
    assert dataset.element_spec == tf.TensorSpec([None, 8, 8, 1], tf.float32)
    assert [len(batch) for batch in dataset] == [4, 4, 2]


@pytest.mark.parametrize("function", [binarize, lambda x: dynamic_binarization(x, 2)])
@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (np.array([[0, 255]]), "`x` must be in [0, 1], as probabilities are. Received: x in [0,"),
        (np.array([[-0.1, 1]]), "Received: x in [-0.1, 1]"),
        (np.array([[np.nan]]), "Received: x[0, 0]=nan"),
    ],
)
def test_what_is_no_probability_is_refused(function, x, sentence):
    with pytest.raises(DataError, match=re.escape(sentence)):
        function(x)


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, None])
def test_a_batch_size_that_is_no_positive_integer_is_refused(batch_size):
    with pytest.raises(ValueError, match="`batch_size` must be a positive integer"):
        dynamic_binarization(GREY, batch_size)
