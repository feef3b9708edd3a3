"""Blocks of batches: which rows, in which order, of which shapes."""

import numpy as np
import pytest
import tensorflow as tf

from tfvae.models.feed import Feed, Stream


def rows_of(blocks):
    """Returns the rows of data that a feed's blocks hold, in order, one array a block."""
    return [np.asarray(block.source)[block.rows.ravel()] for block in blocks]


def test_every_epoch_has_every_row_once_in_an_order_of_its_own(x):
    def epochs(seed):
        feed = Feed(x, 8, seed=seed, counter=iter(range(0, 1_000, 8)).__next__)
        return [np.concatenate([b.rows.ravel() for b in feed.blocks(100)]) for _ in range(3)]

    orders = epochs(0)
    for order in orders:
        assert sorted(order) == list(range(61))
    assert not np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], epochs(1)[0])
    np.testing.assert_array_equal(orders, epochs(0))


def test_the_rest_of_an_epoch_is_a_block_of_its_own(x):
    feed = Feed(x, 8)
    assert [(b.rows.shape, b.is_whole) for b in feed.blocks(100)] == [
        ((7, 8), True),
        ((1, 5), False),
    ]
    assert [b.rows.shape for b in feed.blocks(7)] == [(7, 8)]
    assert [b.rows.shape for b in feed.blocks(7)] == [(1, 5)]


def test_a_batch_larger_than_the_data_is_whole(x):
    assert [(b.rows.shape, b.is_whole) for b in Feed(x, 1_000).blocks(3)] == [((1, 61), True)]


def batches(x):
    return tf.data.Dataset.from_tensor_slices(x).batch(8)


@pytest.mark.parametrize("kind", ["arrays", "stream"])
def test_an_epoch_of_fewer_steps_goes_on_where_it_was(x, kind):
    feed = Feed(x, 8, steps=3) if kind == "arrays" else Stream(batches(x), steps=3)
    iterator = iter(batches(x))
    epochs = [[*feed.blocks(2, iterator), *feed.blocks(2, iterator)] for _ in range(2)]
    assert [len(b.rows) for blocks in epochs for b in blocks] == [2, 1, 2, 1]
    np.testing.assert_array_equal(np.concatenate(sum(map(rows_of, epochs), [])), x[:48])


def test_arrays_too_large_for_the_device_give_the_same_rows(x, monkeypatch):
    def all_rows():
        feed = Feed({"x": x}, 8, seed=0, counter=lambda: 0)
        blocks = [b for _ in range(3) for b in feed.blocks(3)]
        return blocks, [rows_of([b._replace(source=b.source["x"])]) for b in blocks]

    blocks, resident = all_rows()
    assert all(len(b.source["x"]) == 61 for b in blocks)
    monkeypatch.setattr("tfvae.models.feed.LARGEST", 0)
    blocks, hosted = all_rows()
    assert [len(b.source["x"]) for b in blocks] == [24, 24, 24, 5]  # the third is filled up
    for a, b in zip(resident, hosted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_stream_joins_neighbours_of_equal_shapes(x):
    sizes = [8, 8, 5, 5, 8]
    iterator = iter([x[:n] for n in sizes])
    blocks = list(Stream().blocks(9, iterator))
    assert [b.rows.shape for b in blocks] == [(2, 8), (2, 5), (1, 8)]
    assert [b.is_whole for b in blocks] == [True, False, True]
    expected = [np.tile(x[:n], (k, 1)) for k, n in [(2, 8), (2, 5), (1, 8)]]
    for block, rows in zip(rows_of(blocks), expected, strict=True):
        np.testing.assert_array_equal(block, rows)


def test_a_stream_at_its_end_says_so_before_anything_is_run(x):
    stream, iterator = Stream(), iter(batches(x))
    assert sum(len(b.rows) for b in stream.blocks(9, iterator)) == 8
    with pytest.raises(tf.errors.OutOfRangeError):
        next(stream.blocks(9, iterator))
