"""What our own families give, and that `fit` holds data against it, column by column."""

import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae import networks
from tfvae.distributions.support import REALS, support_of

ROWS, WIDTH = 12, 4
COUNTS = np.random.default_rng(0).poisson(3.0, (ROWS, WIDTH)).astype("float32")
PIXELS = np.random.default_rng(0).integers(0, 256, (ROWS, WIDTH)).astype("float32")
TABLE = np.array([[0.5, -1.0, 2.0, 2.0], [1.5, 2.5, 0.0, 0.0]] * 6, "float32")
LEVELS = {"low": 1.0, "high": [4.0, 5.0, 6.0, 7.0]}


def head(family, size=WIDTH, **fixed):
    return tfvae.Head(family, (size,), fixed=fixed)


def columns():
    """Two real columns, 1 and 0, then a count, then one of three classes."""
    blocks = [head("Normal", 2), head("Poisson", 1), head("Categorical", 1, num_classes=3)]
    return tfvae.Columns(blocks, columns=[[1, 0], [2], [3]])


def with_value(x, row, column, value):
    x = x.copy()
    x[row, column] = value
    return x


# head, sound data, a cell that is not, and parts of the sentence
HEADS = {
    "counts, negative": (
        lambda: head("NegativeBinomialByMean"),
        COUNTS,
        (7, 2, -1.0),
        "integers >= 0, as ... x[7, 2]=-1",
    ),
    "counts, fractional": (
        lambda: head("ZeroInflatedNegativeBinomialByMean"),
        COUNTS,
        (0, 3, 0.5),
        "integers >= 0 ... x[0, 3]=0.5, 1 of 48 values. Fix: give raw counts",
    ),
    "words, fractional": (
        lambda: head("BagOfWords"),
        COUNTS,
        (11, 0, 1.5),
        "integers >= 0 ... x[11, 0]=1.5",
    ),
    "pixels, 256": (
        lambda: head("DiscretizedLogistic"),
        PIXELS,
        (2, 1, 256.0),
        "integers in [0, 255] ... x[2, 1]=256",
    ),
    "pixels, between levels": (
        lambda: head("DiscretizedLogisticMixture", num_components=2),
        PIXELS,
        (2, 1, 0.25),
        "integers in [0, 255] ... x[2, 1]=0.25",
    ),
    "levels by column": (
        lambda: head("DiscretizedLogistic", **LEVELS),
        np.ones_like(COUNTS),
        (5, 1, 6.0),
        "integers in [1, 5] in column 1, as ... x[5, 1]=6",
    ),
    "class 3 of 3": (columns, TABLE, (4, 3, 3.0), "integers in [0, 2] in column 3 ... x[4, 3]=3"),
    "a count in a table": (
        columns,
        TABLE,
        (1, 2, -2.0),
        "integers >= 0 in column 2 ... x[1, 2]=-2, 1 of 48 values of x in [-2, 2]",
    ),
    "a real in a table": (columns, TABLE, (1, 1, np.inf), "finite. ... x[1, 1]=inf"),
}  # fmt: skip


@pytest.fixture(scope="module")
def model_of():
    made = {}

    def get(make):
        if make not in made:
            with tfvae.random.seeded_initializers(0):
                made[make] = tfvae.VAE(
                    tfvae.Conditional(networks.mlp([3]), tfvae.Head("Normal", (2,))),
                    tfvae.Conditional(networks.mlp([3]), make()),
                    seed=0,
                )
            made[make].compile("sgd", run_eagerly=True)
            made[make].build((None, WIDTH))
        return made[make]

    return get


def fit_refuses(model, x, cell, expected):
    """And takes the sound data, as arrays and as a stream."""
    model.check_values(x)
    bad = with_value(x, *cell)
    for data in (bad, tf.data.Dataset.from_tensor_slices(bad).batch(ROWS)):
        with pytest.raises(tfvae.DataError) as error:
            model.fit(data, verbose=0)
        for part in expected.split(" ... "):
            assert part.split(", 1 of")[0] in str(error.value), error.value
    with pytest.raises(tfvae.DataError) as error:
        model.fit(bad, verbose=0)
    assert all(part in str(error.value) for part in expected.split(" ... ")), error.value
    assert int(model.batches_seen) == 0


@pytest.mark.parametrize("case", HEADS)
def test_data_are_held_against_our_own_families(model_of, case):
    make, x, cell, expected = HEADS[case]
    fit_refuses(model_of(make), x, cell, expected)


def test_that_law_rejects_columns_in_the_order_of_their_blocks(model_of, monkeypatch):
    blocks = tfvae.distributions.column_blocks.ColumnBlocks
    right = blocks.support.fget
    monkeypatch.setattr(
        blocks,
        "support",
        property(lambda self: right(self)._replace(low=right(self).low[::-1])),
    )
    with pytest.raises((AssertionError, tfvae.DataError)):
        fit_refuses(model_of(columns), *HEADS["a count in a table"][1:])


def test_a_calibrated_normal_gives_reals(model_of):
    layer = tfvae.CalibratedNormal((WIDTH,))
    assert support_of(layer(tf.zeros([2, 3]))) == REALS
    assert support_of(layer(tf.zeros([2, 3]), training=True)) == REALS


def test_a_distribution_that_is_no_composite_tensor_may_declare_its_support():
    class Counts(tfvae.families.tfd.Distribution):
        support = tfvae.distributions.support.COUNTS

        def __init__(self):
            super().__init__(tf.float32, tfvae.families.tfd.NOT_REPARAMETERIZED, False, True)

        def _batch_shape(self):
            return tf.TensorShape([3])

        def _event_shape(self):
            return tf.TensorShape([])

    repeated = tfvae.families.tfd.Independent(Counts(), 1)
    assert support_of(repeated).describe() == "integers >= 0"
