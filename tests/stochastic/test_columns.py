"""A family for each block of columns."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfvae
from tfvae import Columns, Head
from tfvae.distributions import observed_log_prob, with_exposure
from tfvae.distributions.column_blocks import ColumnBlocks

tfd = tfp.distributions
COLUMNS = [[3, 0], [1], [2], [4]]


def blocks():
    """Normals at columns 3 and 0, a count, a class of three, a binary one; a batch of two rows."""
    return [
        tfd.Independent(tfd.Normal([[1.0, -1.0], [5.0, 6.0]], [0.5, 2.0]), 1),
        tfd.Independent(tfd.Poisson([[3.0], [7.0]]), 1),
        tfd.Independent(
            tfd.Categorical([[[0.0, 2.0, 1.0]], [[3.0, 0.0, 0.0]]], dtype="float32"), 1
        ),
        tfd.Independent(tfd.Bernoulli([[1.0], [-2.0]], dtype="float32"), 1),
    ]


X = np.float32([[0.2, 2.0, 1.0, 0.9, 1.0], [6.5, 9.0, 0.0, 4.0, 0.0]])


def log_density_adds_up(make):
    row = make(blocks(), COLUMNS)
    expected = sum(d.log_prob(X[:, c]) for d, c in zip(blocks(), COLUMNS, strict=True))
    np.testing.assert_allclose(row.log_prob(X), expected, rtol=1e-6)
    for column in range(5):
        mask = np.arange(5) == column
        block, at = next((i, c.index(column)) for i, c in enumerate(COLUMNS) if column in c)
        alone = blocks()[block].distribution.log_prob(X[:, COLUMNS[block]])[:, at]
        masked = observed_log_prob(row, np.where(mask, X, np.nan), np.tile(mask, (2, 1)))
        np.testing.assert_allclose(masked, alone, rtol=1e-6)


class Unsorted(ColumnBlocks):
    """Mutant: draws are left in the order of the blocks."""

    def _row(self, parts):
        return tf.concat(parts, axis=-1)


class Reversed(ColumnBlocks):
    """Mutant: blocks of several columns read them the wrong way round."""

    def _block(self, row, columns):
        return super()._block(row, columns[::-1])


def columns_come_back_in_place(make):
    row = make(blocks(), COLUMNS)
    mean = [[-1.0, 3.0, 1.0, 1.0, tf.sigmoid(1.0)], [6.0, 7.0, 0.0, 5.0, tf.sigmoid(-2.0)]]
    np.testing.assert_allclose(row.mean(), mean, rtol=1e-5)
    draws = row.sample(4_000, seed=[0, 1]).numpy()
    assert draws.shape == (4_000, 2, 5)
    error = np.array([[2.0, 1.8, 1.0, 0.5, 0.5], [2.0, 2.7, 1.0, 0.5, 0.5]]) / np.sqrt(4_000)
    keep = [0, 1, 3, 4]  # the mean of the class is its mode
    assert (np.abs(draws.mean(0) - mean)[:, keep] < 5 * error[:, keep]).all()
    assert set(np.unique(draws[..., 2])) == {0.0, 1.0, 2.0}


def test_log_density_adds_up_over_blocks_and_under_masks():
    log_density_adds_up(ColumnBlocks)
    with pytest.raises(AssertionError):
        log_density_adds_up(Reversed)


def test_columns_come_back_in_place():
    columns_come_back_in_place(ColumnBlocks)
    with pytest.raises(AssertionError):
        columns_come_back_in_place(Unsorted)


def test_exposure_reaches_the_counts_alone():
    exposed = with_exposure(ColumnBlocks(blocks(), COLUMNS), tf.constant([2.0, 10.0]))
    ratio = exposed.mean() / ColumnBlocks(blocks(), COLUMNS).mean()
    np.testing.assert_allclose(ratio[0], [1.0, 2.0, 1.0, 1.0, 1.0], rtol=1e-5)
    np.testing.assert_allclose(exposed.mean()[1, 1], 70.0, rtol=1e-5)


def test_a_table_without_counts_refuses_an_exposure():
    with pytest.raises(tfvae.DataError, match="`exposure` must be left out"):
        with_exposure(ColumnBlocks(blocks()[:1], [[1, 0]]), tf.constant([2.0, 10.0]))


def test_a_block_of_dependent_columns_refuses_a_mask():
    joint = tfd.MultivariateNormalTriL(tf.zeros([2, 2]), tf.eye(2))
    with pytest.raises(tfvae.DataError, match="`mask` must be left out"):
        observed_log_prob(ColumnBlocks([joint], [[1, 0]]), tf.zeros([2, 2]), tf.ones([2, 2]))


def test_columns_may_be_shared_out_in_any_order():
    """The same heads at permuted columns give the density of the permuted rows."""
    features = tf.random.stateless_normal([4, 3], [0, 1])
    heads = [Head("Normal", (2,)), Head("Poisson", (1,))]
    plain, moved = Columns(heads, [[0, 1], [2]]), Columns(heads, [[2, 0], [1]])
    x = np.float32([[0.3, -0.5, 2.0]] * 4)
    order = np.argsort([2, 0, 1])
    np.testing.assert_allclose(
        plain(features).log_prob(x), moved(features).log_prob(x[:, order]), rtol=1e-6
    )


NORMAL = Head("Normal", (2,))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Columns([], []), "`heads` must be a list of stochastic layers"),
        (lambda: Columns(NORMAL, [[0, 1]]), "`heads` must be a list .* of type Head"),
        (lambda: Columns(["Normal"], [[0]]), r"`heads\[0\]` must be a stochastic layer.*Fix: use"),
        (lambda: Columns([NORMAL], 2), "`columns` must be a list .* columns=2 of type int"),
        (lambda: Columns([NORMAL], [2]), r"`columns\[0\]` must be a list .* of type int"),
        (lambda: Columns([NORMAL], [[0, 1.0]]), r"`columns\[0\]` must be an integer"),
        (lambda: Columns([NORMAL], [[0, -1]]), r"`columns\[0\]` must be an integer >= 0"),
        (lambda: Columns([NORMAL], [[0, 0]]), "must hold each of 0, ..., D - 1 once"),
        (lambda: Columns([NORMAL], [[0, 2]]), "must hold each of 0, ..., D - 1 once"),
        (lambda: Columns([NORMAL], [[0]]), "as many numbers in each block as its head"),
        (lambda: Columns([NORMAL], [[0, 1], [2]]), "as many numbers in each block as its head"),
        (lambda: Columns([NORMAL], [[0, 1]])(tf.zeros([2, 2, 3])), "`features` must be flat"),
    ],
)
def test_mistakes_are_refused_in_a_sentence(make, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        make()
