"""Noise of rows: Threefry-2x32 with 20 rounds (Salmon et al., 2011, doi:10.1145/2063384.2063405).

The stateless generators of TensorFlow give other numbers under XLA and do not convert to LiteRT.
This one gives the same numbers everywhere: integer additions, shifts and exclusive ors.
"""

import math

import numpy as np
import tensorflow as tf

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


@tf.function(autograph=False)
def threefry2x32(
    key: tuple[tf.Tensor, tf.Tensor], counter: tuple[tf.Tensor, tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns two random words for a key and a counter of two words each.

    Args:
        key: Two uint32 tensors.
        counter: Two uint32 tensors; all four broadcast.

    Example:
    >>> zero = tf.constant(0, tf.uint32)
    >>> hex(threefry2x32((zero, zero), (zero, zero))[0])
    '0x6b200159'
    """
    xor = tf.bitwise.bitwise_xor
    keys = [*key, xor(xor(key[0], key[1]), _word(_PARITY))]
    x, y = counter[0] + keys[0], counter[1] + keys[1]
    for i in range(5):
        for distance in _ROTATIONS[i % 2]:
            x = x + y
            y = xor(_rotated(y, distance), x)
        x, y = x + keys[(i + 1) % 3], y + keys[(i + 2) % 3] + _word(i + 1)
    return x, y


def uniform(seed: tf.Tensor, shape: tuple[int, ...], stream: int = 0) -> tf.Tensor:
    """Returns numbers in (0, 1), multiples of 2**-24, float32 [B, *shape].

    Args:
        seed: int32 [B, 2]; each row of the result is a function of its own seed alone.
        shape: Shape of a row's numbers.
        stream: Streams of other numbers are independent.
    """
    size = math.prod(shape)
    numbers = tf.concat([_unit(word) for word in _words(seed, (size + 1) // 2, stream)], axis=1)
    return tf.reshape(numbers[:, :size], [-1, *shape])


def normal(seed: tf.Tensor, shape: tuple[int, ...], stream: int = 0) -> tf.Tensor:
    """Returns standard normal numbers, float32 [B, *shape], none beyond 5.8; see `uniform`.

    They come in pairs from pairs of uniform numbers (Box and Muller, 1958).
    """
    size = math.prod(shape)
    first, second = (_unit(word) for word in _words(seed, (size + 1) // 2, stream))
    radius, angle = tf.sqrt(-2.0 * tf.math.log(first)), (2.0 * math.pi) * second
    numbers = tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], axis=1)
    return tf.reshape(numbers[:, :size], [-1, *shape])


def fold_in(seed: tf.Tensor, number: tf.Tensor | int) -> tf.Tensor:
    """Returns other seeds, int32 [B, 2], for each `number`, such as that of a draw.

    Args:
        seed: int32 [B, 2].
        number: Scalar integer.
    """
    words = threefry2x32(_key(seed), (tf.cast(number, tf.uint32), _word(0xFFFFFFFF)))
    return tf.cast(tf.concat(words, axis=1), tf.int32)


def _words(seed: tf.Tensor, size: int, stream: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns two words for each of `size` counters, uint32 [B, size]."""
    return threefry2x32(_key(seed), (tf.constant(np.arange(size, dtype=np.uint32)), _word(stream)))


def _key(seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    seed = tf.cast(seed, tf.uint32)
    return seed[:, 0:1], seed[:, 1:2]


def _rotated(x: tf.Tensor, distance: int) -> tf.Tensor:
    # LiteRT has neither LEFT_SHIFT nor a bitwise OR: multiply, and add, for no bit overlaps.
    return x * _word(1 << distance) + tf.bitwise.right_shift(x, _word(32 - distance))


def _unit(word: tf.Tensor) -> tf.Tensor:
    """The upper 23 bits as the middle of one of 2**23 intervals: never 0 and never 1."""
    upper = tf.cast(tf.bitwise.right_shift(word, _word(9)), tf.int32)  # LiteRT casts no uint32
    return (tf.cast(upper, tf.float32) + 0.5) / float(1 << 23)


def _word(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint32)
