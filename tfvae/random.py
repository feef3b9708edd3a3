"""Randomness as a pure function of (seed, stream, counter, replica); there is no generator state.

A resumed run therefore draws what the uninterrupted one would have drawn, and evaluating a model
changes nothing. (The state of a `keras.random.SeedGenerator` is not saved with a model.)

Training draws by TensorFlow's generators, exported models by `threefry2x32`.
"""

import contextlib
import random as python_random
import secrets
import threading
import zlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from tfvae.threefry import fold_in, normal, threefry2x32, uniform

__all__ = [
    "Noise",
    "fold_in",
    "fresh_seed",
    "normal",
    "seed_pair",
    "seeded_initializers",
    "threefry2x32",
    "uniform",
]


def fresh_seed() -> int:
    """Returns a seed from the operating system's entropy, in [0, 2**31)."""
    return secrets.randbits(31)


def seed_pair(seed: int, stream: str, counter: Any = 0) -> tf.Tensor:
    """Returns the seed of a stateless draw, int32 [2].

    Args:
        seed: The run's seed.
        stream: What the draw is for; streams with different names are independent.
        counter: Integer, or integer tensor, that numbers the draws of a stream.

    Example:
    >>> tf.random.stateless_normal([3], seed_pair(0, "train", counter=7)).shape
    TensorShape([3])
    """
    key = zlib.crc32(f"{seed}/{stream}".encode())
    signed = key - (1 << 32 if key >= 1 << 31 else 0)
    return tf.stack([tf.constant(signed, tf.int32), tf.cast(counter, tf.int32)])


class _Pass(threading.local):
    """Where a forward pass is; by thread, for the replicas of a strategy are threads."""

    def __init__(self):
        self.name, self.counter, self.calls = "call", 0, 0


class Noise:
    """The seeds of a model's forward passes.

    Inside `with noise.stream(name, counter):` each call of `next_seed` gives another seed; the n-th
    call of a pass gives the same seed whenever (seed, name, counter, replica) are the same. Outside
    of it, the stream is "call" with counter 0.

    Args:
        seed: The run's seed.
    """

    def __init__(self, seed: int):
        self._seed, self._pass = seed, _Pass()

    @contextlib.contextmanager
    def stream(self, name: str, counter: Any = 0) -> Iterator[None]:
        """Opens a stream for one forward pass."""
        outer = vars(self._pass).copy()
        self._pass.name, self._pass.counter, self._pass.calls = name, counter, 0
        try:
            yield
        finally:
            vars(self._pass).update(outer)

    def next_seed(self) -> tf.Tensor:
        """Returns the seed of the pass's next draw, int32 [2]."""
        self._pass.calls += 1
        counter, context = self._pass.counter, tf.distribute.get_replica_context()
        if context is not None and context.num_replicas_in_sync > 1:
            replica = tf.cast(context.replica_id_in_sync_group, tf.int32)
            counter = tf.cast(counter, tf.int32) * context.num_replicas_in_sync + replica
        return seed_pair(self._seed, f"{self._pass.name}/{self._pass.calls}", counter)


@contextlib.contextmanager
def seeded_initializers(seed: int | None) -> Iterator[None]:
    """Makes the initial weights and dropout of the layers made inside a function of `seed`.

    Keras takes a layer's own seed from Python's `random` when the layer is made; that generator's
    state is as before afterwards. With `seed=None` nothing happens.
    """
    state = python_random.getstate()
    if seed is not None:
        python_random.seed(seed)
    try:
        yield
    finally:
        if seed is not None:
            python_random.setstate(state)
