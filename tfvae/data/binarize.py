"""Binary images from grey ones: a pixel of value p is 1 with probability p."""

from typing import TYPE_CHECKING

import numpy as np

from tfvae.data.numeric import as_float32
from tfvae.errors import DataError

if TYPE_CHECKING:
    import tensorflow as tf


def binarize(x: np.ndarray, seed: int = 0) -> np.ndarray:
    """Draws binary data once (static binarization; Salakhutdinov & Murray, 2008).

    Use it for validation and test data, which should not change between evaluations.

    Args:
        x: Probabilities [N, ...], in [0, 1].
        seed: Seed of the draw.

    Returns:
        float32 zeros and ones of the same shape; values that are already 0 or 1 stay.

    Raises:
        DataError: A value is outside [0, 1], or `x` is not a numeric array [N, ...].

    Example:
    >>> binarize(np.array([[0.0, 1.0]]))
    array([[0., 1.]], dtype=float32)
    """
    x = _probabilities(x)
    uniform = np.random.default_rng(seed).random(x.shape, dtype="float32")  # [0, 1)
    return (uniform < x).astype("float32")


def dynamic_binarization(x: np.ndarray, batch_size: int, seed: int = 0) -> "tf.data.Dataset":
    """Makes a training set that draws new binary images, in a new order, every epoch.

    The grey image is the data here and its binarization is noise, so a model can not learn one
    draw by heart (Burda et al., 2016, arXiv:1509.00519).

    Args:
        x: Probabilities [N, ...], in [0, 1].
        batch_size: Examples in a batch; the last one may be smaller.
        seed: Seed of order and draws. They are a function of this seed, of the number of epochs
            the returned data set has been iterated, and of `tf.random.set_seed`'s seed if one is
            set: data sets made alike repeat each other, epoch by epoch.

    Returns:
        Batches, float32 [B, ...], of known cardinality; ready for `fit(..., shuffle=False)`, which
        keeps Keras from warning that it does not shuffle a `tf.data.Dataset` again.

    Raises:
        DataError: A value is outside [0, 1], or `x` is not a numeric array [N, ...].
        ValueError: `batch_size` is not a positive integer.

    Example:
    >>> len(dynamic_binarization(np.full((10, 4), 0.5), batch_size=4))
    3
    """
    import tensorflow as tf

    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise ValueError(
            f"`batch_size` must be a positive integer. Received: batch_size={batch_size!r}. "
            f"Fix: give the number of examples in a batch, such as 128."
        )
    with tf.device("CPU"):  # where tf.data runs, and not in an accelerator's memory
        images = tf.constant(_probabilities(x))

    def draw(rows: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        probabilities = tf.gather(images, rows)
        uniform = tf.random.stateless_uniform(tf.shape(probabilities), tf.stack([noise, seed]))
        return tf.cast(uniform < probabilities, "float32")

    rows = tf.data.Dataset.range(len(images)).shuffle(len(images), seed=seed).batch(batch_size)
    noise = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)  # one a batch
    return (
        tf.data.Dataset.zip(rows, noise)
        .map(draw, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


def _probabilities(x: np.ndarray) -> np.ndarray:
    x = as_float32(x)
    low, high = x.min(), x.max()
    if low < 0 or high > 1:
        raise DataError(
            f"`x` must be in [0, 1], as probabilities are. Received: x in [{low:g}, {high:g}]. "
            f"Fix: scale it first, such as x / 255 for images of bytes."
        )
    return x
