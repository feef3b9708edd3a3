"""Means that neither batching nor length bends."""

import keras
import numpy as np
import pytest

from tfvae.metrics import ExampleMean


def drift(metric):
    """Returns the relative error of a metric's mean after many unequal batches."""
    rng = np.random.default_rng(0)
    values = [
        rng.normal(1234.567, 1.0, rng.integers(1, 2_000)).astype("float32") for _ in range(200)
    ]
    for batch in values:
        metric.update_state(batch)
    exact = np.concatenate(values).astype("float64").mean()
    return abs(float(metric.result()) - exact) / exact


def test_a_long_mean_does_not_drift():
    assert drift(ExampleMean("elbo")) < 1e-12


def test_a_mean_of_single_precision_does():
    """The mutant: the same sums in float32, which is what Keras' own mean keeps."""
    assert drift(keras.metrics.Mean()) > 1e-9


@pytest.mark.parametrize("weights", [None, "some"])
def test_it_is_the_weighted_mean_over_examples(weights):
    rng, metric = np.random.default_rng(1), ExampleMean("kl")
    values, w = rng.normal(size=10).astype("float32"), np.ones(10, "float32")
    if weights:
        w[3:6] = 0.0, 2.5, 7.0
    for part in (slice(0, 7), slice(7, 10)):
        metric.update_state(values[part], None if weights is None else w[part])
    np.testing.assert_allclose(metric.result(), np.average(values, weights=w), rtol=1e-7)


def test_there_is_no_mean_of_nothing():
    assert np.isnan(float(ExampleMean("kl").result()))
