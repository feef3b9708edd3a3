"""Vector-quantised codes (van den Oord et al., 2017, arXiv:1711.00937)."""

from typing import Any

import keras
import tensorflow as tf

from tfvae import checks
from tfvae.layers.building import Shape, build_once
from tfvae.serialization import serializable
from tfvae.stochastic.head import Head
from tfvae.stochastic.quantized import point_mass
from tfvae.stochastic.stochastic_layer import StochasticLayer


@serializable
class VectorQuantized(StochasticLayer):
    """Features -> the nearest vectors of a codebook, a posterior without noise.

    x determines its codes: log q(z | x) = 0, and with `UniformCodes` as prior the KL is exactly
    log K for each position, so that log p(x | z) - P log K is a bound on the evidence of a model
    with K**P latent states. No gradient can pass the choice of a code; the features get that of the
    chosen vector (straight through), and are drawn to it by a loss of the layer's own, the
    commitment: its mean over the batch adds to the training loss.

    The codebook is the moving average of the features that chose each vector. A vector that is
    hardly chosen is put where a random feature of the batch is. With all counts at 0, the first
    training batch gives the first codebook.

    Args:
        event_shape: Shape (*positions, D); D is the size of a vector.
        num_codes: K >= 2, vectors in the codebook.
        commitment: Weight of the squared distance between features and their vectors.
        decay: Of the moving averages, in [0, 1).
        restart_below: Share of an even use of the codebook below which a vector is put elsewhere; 0
            keeps them all.

    Raises:
        TypeError, ValueError: If an argument is out of range.

    Example:
    >>> codes = VectorQuantized((7, 7, 16), num_codes=128)
    >>> encoder = Conditional(networks.convolutional([32, 64]), codes)
    >>> vae = VAE(encoder, decoder, prior=UniformCodes(codes))
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        num_codes: int,
        commitment: float = 0.25,
        decay: float = 0.99,
        restart_below: float = 0.1,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.num_codes = checks.integer("num_codes", num_codes, 2)
        self.commitment = checks.finite_number("commitment", commitment, 0.0)
        self.restart_below = checks.finite_number("restart_below", restart_below, 0.0)
        self.decay = checks.finite_number("decay", decay, 0.0)
        if self.decay >= 1.0:
            raise ValueError(f"`decay` must be in [0, 1). Received: decay={decay}.")
        self.projection = Head("Normal", event_shape, fixed={"scale": 1.0})
        self.event_shape = self.projection.event_shape
        if not self.event_shape:
            raise ValueError("`event_shape` must be (*positions, D). Received: event_shape=().")
        self.seed_generator = keras.random.SeedGenerator()
        self._initializer = keras.initializers.RandomNormal(stddev=1.0)

    def build(self, features_shape: Shape) -> None:
        build_once(self.projection, features_shape)
        shape = (self.num_codes, self.event_shape[-1])
        self.codebook = self.add_weight(
            name="codebook",
            shape=shape,
            initializer=self._initializer,
            trainable=False,
            aggregation="mean",
        )
        self.counts, self.sums = (
            self.add_weight(
                name=name, shape=s, initializer="zeros", trainable=False, aggregation="mean"
            )
            for name, s in (("counts", shape[:1]), ("sums", shape))
        )
        self.built = True

    @property
    def codes(self) -> tf.Tensor:
        """The codebook, [K, D]."""
        return tf.convert_to_tensor(self.codebook.value)

    @property
    def perplexity(self) -> tf.Tensor:
        """Effective number of vectors in use, exp of the entropy of their use: 1 to K."""
        use = self.counts.value / tf.maximum(tf.reduce_sum(self.counts.value), 1e-12)
        return tf.exp(-tf.reduce_sum(tf.math.xlogy(use, use)))

    def call(self, features: tf.Tensor, training: bool | None = None) -> Any:
        z = self.projection(features).mean()
        flat = tf.reshape(tf.stop_gradient(z), [-1, self.event_shape[-1]])
        index = nearest(flat, self.codes)
        vectors = tf.reshape(tf.gather(self.codes, index), tf.shape(z))
        if training:
            axes = range(1, z.shape.rank)
            distance = tf.reduce_sum(tf.square(z - tf.stop_gradient(vectors)), axis=list(axes))
            self.add_loss(self.commitment * tf.reduce_mean(distance))
            self._follow(flat, index)
        return point_mass(vectors, z, len(self.event_shape))

    def _follow(self, features: tf.Tensor, index: tf.Tensor) -> None:
        """Moves the codebook towards the features [N, D] that chose each vector."""
        chosen = tf.one_hot(index, self.num_codes)  # [N, K]
        counts = self.decay * self.counts.value + (1.0 - self.decay) * tf.reduce_sum(chosen, axis=0)
        sums = self.decay * self.sums.value + (1.0 - self.decay) * tf.matmul(
            chosen, features, transpose_a=True
        )
        size = tf.shape(features)[0]
        even_use = tf.cast(size, tf.float32) / self.num_codes
        seed = tf.cast(self.seed_generator.next(), tf.int32)
        others = tf.random.stateless_uniform([self.num_codes], seed, 0, size, tf.int32)
        dead = counts < self.restart_below * even_use
        counts = tf.where(dead, even_use, counts)
        sums = tf.where(dead[:, None], even_use * tf.gather(features, others), sums)
        self.counts.assign(counts)
        self.sums.assign(sums)
        in_use = counts[:, None] > 0.0
        mean = sums / tf.where(in_use, counts[:, None], 1.0)
        self.codebook.assign(tf.where(in_use, mean, self.codebook.value))


def nearest(vectors: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
    """Returns the index of the nearest code of each vector, [N, D] and [K, D] -> [N]."""
    products = tf.matmul(vectors, codes, transpose_b=True)
    return tf.argmin(tf.reduce_sum(tf.square(codes), axis=-1) - 2.0 * products, axis=-1)
