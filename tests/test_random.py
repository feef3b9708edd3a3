"""Seeds are a pure function of (seed, stream, counter, replica, call)."""

import random

import keras
import numpy as np
import tensorflow as tf

from tfvae.random import Noise, seed_pair, seeded_initializers


def pairs(noise, name, counter, calls=3):
    with noise.stream(name, counter):
        return [tuple(noise.next_seed().numpy()) for _ in range(calls)]


def test_all_coordinates_change_the_seed():
    seen = {
        (seed, stream, counter, call): pair
        for seed in (0, 1)
        for stream in ("train", "evaluate")
        for counter in (0, 1, 2**40)
        for call, pair in enumerate(pairs(Noise(seed), stream, tf.constant(counter, tf.int64)))
    }
    # A counter enters modulo 2**32, far beyond any run.
    distinct = {k: v for k, v in seen.items() if k[2] != 2**40}
    assert len(set(distinct.values())) == len(distinct)


def test_a_stream_begins_anew_and_gives_back_the_outer_one():
    noise = Noise(3)
    outside = noise.next_seed().numpy()
    with noise.stream("train", 5):
        first = noise.next_seed().numpy()
        with noise.stream("train", 5):
            np.testing.assert_array_equal(noise.next_seed(), first)
        assert not np.array_equal(noise.next_seed(), first)
    np.testing.assert_array_equal(Noise(3).next_seed(), outside)
    assert not np.array_equal(noise.next_seed(), outside)


def test_seeds_fit_int32_and_give_independent_normals():
    draws = [
        tf.random.stateless_normal([1000], seed_pair(0, "train", c)).numpy() for c in range(200)
    ]
    correlation = np.corrcoef(draws)[np.triu_indices(200, 1)]
    assert np.abs(correlation).max() < 0.2  # 6 standard deviations
    assert abs(correlation.mean()) < 5 / np.sqrt(1000 * 200 * 199 / 2)


def test_replicas_draw_different_noise(replicas):
    noise = Noise(0)

    def step():
        with noise.stream("train", tf.constant(4)):
            return noise.next_seed()

    per_replica = replicas.experimental_local_results(replicas.run(step))
    assert len({tuple(s.numpy()) for s in per_replica}) == 2


def test_seeded_initializers_repeat_themselves_and_leave_no_trace():
    def weights():
        with seeded_initializers(7):
            layer = keras.layers.Dense(3)
        layer.build((None, 2))
        return layer.kernel.numpy()

    random.seed(0)
    state = random.getstate()
    first = weights()
    assert random.getstate() == state
    np.testing.assert_array_equal(first, weights())
