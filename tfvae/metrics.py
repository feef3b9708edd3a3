"""Means over examples that neither batching nor length bends."""

from typing import Any

import keras
import tensorflow as tf


class ExampleMean(keras.metrics.Metric):
    """sum(w v) / sum(w) over all examples, whatever the batches.

    The sums are float64: those of `keras.metrics.Mean` are float32 and drift by 0.05 nats in some
    million examples.

    Example:
    >>> mean = ExampleMean("kl")
    >>> mean.update_state([1.0, 2.0, 6.0])
    >>> float(mean.result())
    3.0
    """

    def __init__(self, name: str, **kwargs: Any):
        super().__init__(name=name, dtype="float64")
        # Keras makes float32 variables of a float64 metric unless told otherwise.
        self.total = self.add_variable((), "zeros", self.dtype, name="total")
        self.weight = self.add_variable((), "zeros", self.dtype, name="weight")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds values [B], weighted by `sample_weight` [B] if given."""
        values = tf.cast(values, tf.float64)
        weights = (
            tf.ones_like(values) if sample_weight is None else tf.cast(sample_weight, tf.float64)
        )
        self.total.assign_add(tf.reduce_sum(weights * values))
        self.weight.assign_add(tf.reduce_sum(weights))

    def result(self) -> tf.Tensor:
        total, weight = (tf.convert_to_tensor(v.value) for v in (self.total, self.weight))
        return total / weight  # NaN before the first example: there is no mean of nothing


class BatchCounter(keras.metrics.Metric):
    """Number of batches since the last reset; it numbers the noise of an evaluation."""

    def __init__(self, name: str = "batches", **kwargs: Any):
        super().__init__(name=name, dtype="float64")
        self.count = self.add_variable((), "zeros", self.dtype, name="count")

    def update_state(self, *_: Any) -> None:
        self.count.assign_add(1.0)

    def result(self) -> tf.Tensor:
        return tf.convert_to_tensor(self.count.value)
