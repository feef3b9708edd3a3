"""Threefry-2x32: published answers, rows that know their own seed alone, laws of the numbers."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tfvae import threefry
from tfvae.random import fold_in, normal, threefry2x32, uniform

# Random123 1.14, tests/kat_vectors, "threefry2x32 20": counter, key, answer.
KNOWN = [
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


def seeds(rows, first=0):
    return tf.stack([tf.fill([rows], first), tf.range(rows)], axis=1)


def gives_known_answers(function):
    def words(pair):
        return tuple(tf.constant(word, tf.uint32) for word in pair)

    return all(
        tuple(int(w) for w in function(words(key), words(counter))) == answer
        for counter, key, answer in KNOWN
    )


def test_published_answers(monkeypatch):
    assert gives_known_answers(threefry2x32)
    assert not gives_known_answers(lambda key, counter: threefry2x32(counter, key))  # mutant
    monkeypatch.setattr(threefry, "_ROTATIONS", ((13, 15, 26, 6), (17, 29, 16, 25)))
    assert not gives_known_answers(threefry2x32.python_function)  # mutant


def numbers(seed):
    return uniform(seed, (2, 3), stream=4), normal(seed, (3,)), fold_in(seed, 9)


def test_the_numbers_are_the_same_in_eager_graph_and_xla():
    seed = tf.constant([[1, 2], [-5, 2**31 - 1], [-(2**31), 0]], tf.int32)
    eager = numbers(seed)
    for function in (tf.function(numbers), tf.function(numbers, jit_compile=True)):
        uniforms, normals, folded = function(seed)
        np.testing.assert_array_equal(uniforms, eager[0])
        np.testing.assert_allclose(normals, eager[1], atol=1e-6)
        np.testing.assert_array_equal(folded, eager[2])


@pytest.mark.parametrize("draw", [uniform, normal])
def test_a_row_is_a_function_of_its_own_seed(draw):
    def rows_are_alone(draw):
        seed = seeds(7)
        together = draw(seed, (5,)).numpy()
        alone = np.concatenate([draw(seed[i : i + 1], (5,)) for i in (3, 0, 6)])
        # Vectorised logarithms differ in their last bits with the place in the array.
        return np.allclose(together[[3, 0, 6]], alone, atol=1e-6)

    assert rows_are_alone(draw)
    assert draw(seeds(0), (5,)).shape == (0, 5)
    assert not rows_are_alone(  # mutant: the first row's seed for all of them
        lambda seed, shape: draw(seed[:1], (seed.shape[0], *shape))[0]
    )


@pytest.mark.parametrize(
    ("draw", "law", "mutant"),
    [
        (uniform, scipy.stats.uniform, lambda u: np.sqrt(u)),
        (normal, scipy.stats.norm, lambda z: 1.02 * z),
    ],
)
def test_the_numbers_have_their_law_within_rows_and_across(draw, law, mutant):
    rows = draw(seeds(400), (501,)).numpy()
    for part in (rows.ravel(), rows[:, 0], rows[0]):
        assert scipy.stats.kstest(part, law.cdf).pvalue > 1e-4
    assert scipy.stats.kstest(mutant(rows.ravel()), law.cdf).pvalue < 1e-6
    assert np.isfinite(rows).all()
    others = [draw(seeds(400), (501,), stream=1), draw(seeds(400, first=1), (501,))]
    others.append(draw(fold_in(seeds(400), 0), (501,)))
    pairs = [(rows[:, 1:], rows[:, :-1]), (rows[1:], rows[:-1])]
    for a, b in [*pairs, *((rows, o.numpy()) for o in others)]:
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 5 / np.sqrt(a.size)


def test_uniform_numbers_are_never_at_the_ends():
    words = tf.constant([0, 2**32 - 1], tf.uint32)
    np.testing.assert_array_equal(threefry._unit(words), np.float32([2**-24, 1 - 2**-24]))
