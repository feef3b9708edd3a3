"""Total correlation by a critic, FactorVAE (Kim and Mnih, 2018, arXiv:1802.05983)."""

import math
from typing import Any

import keras
import tensorflow as tf

from tfvae import checks
from tfvae.draws import Draws
from tfvae.layers.building import build_network
from tfvae.objectives.objective import Objective
from tfvae.random import seed_pair
from tfvae.schedules import value_at
from tfvae.serialization import serializable


@serializable
class CriticTotalCorrelation(Objective):
    """weight * E[critic(z)], where the critic learns log q(z) - sum_d log q(z_d).

    The critic tells codes from codes whose dimensions were permuted over the batch, each on its
    own. The encoder is trained on its output and the critic on its cross-entropy, by one optimizer:
    neither gets the other's gradient. The loss that is reported is the encoder's. Against the
    paper, both are trained on one batch and not on two.

    Add it to a bound, `[ELBO(), CriticTotalCorrelation(10.0, critic)]`; it is no use alone.

    Args:
        weight: Price of a nat of total correlation, >= 0; a float or a Keras schedule.
        critic: Network [B, D] -> logits [B, 1], any Keras layer that treats rows one by one.
        seed: Seed of the permutations, which are a function of it and of the step.

    Raises:
        TypeError, ValueError: If an argument is out of range or the critic's output does not fit.

    Example:
    >>> critic = keras.Sequential([networks.mlp([256, 256]), keras.layers.Dense(1)])
    >>> objective = [ELBO(), CriticTotalCorrelation(10.0, critic)]
    """

    takes_hierarchy = False

    def __init__(self, weight: Any, critic: keras.layers.Layer, seed: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        self.weight = checks.number_or_schedule("weight", weight, minimum=0.0)
        if not isinstance(critic, keras.layers.Layer):
            raise TypeError(
                "`critic` must be a Keras layer or model. "
                f"Received: critic={critic!r} of type {type(critic).__name__}."
            )
        self.critic, self.seed = critic, checks.integer("seed", seed, 0)

    def build(self, latent_shape: tuple[int | None, ...]) -> None:
        self._num_latents = math.prod(latent_shape[1:])
        outputs = build_network(self.critic, (None, self._num_latents))
        if outputs[1:] != (1,):
            raise ValueError(
                "`critic` must return logits of shape [B, 1]. "
                f"Received: outputs of shape {outputs}. Fix: end it with `keras.layers.Dense(1)`."
            )
        self.built = True

    def loss(self, draws: Draws, step: tf.Tensor) -> tf.Tensor:
        num_samples, size = tf.unstack(tf.shape(draws.log_likelihood))
        z = tf.reshape(draws.z, [num_samples, size, self._num_latents])
        constant = tf.stop_gradient(z)
        with tf.GradientTape() as tape:
            tape.watch(constant)
            logit = self._logit(constant)  # [S, B]
        slope = tf.stop_gradient(tape.gradient(logit, constant))
        permuted = self._logit(permuted_codes(constant, seed_pair(self.seed, "critic", step)))
        cross_entropy = tf.nn.softplus(-logit) + tf.nn.softplus(permuted)
        # In value the critic's output; its gradient is the slope to the codes, that of the
        # cross-entropy to the critic.
        encoder = tf.reduce_sum(slope * (z - constant), axis=-1) + tf.stop_gradient(logit)
        critic = cross_entropy - tf.stop_gradient(cross_entropy)
        return tf.reduce_mean(value_at(self.weight, step) * encoder + critic, axis=0)

    def _logit(self, z: tf.Tensor) -> tf.Tensor:
        rows = tf.reshape(z, [-1, self._num_latents])
        return tf.reshape(tf.cast(self.critic(rows), tf.float32), tf.shape(z)[:2])


def permuted_codes(z: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns codes [S, B, D] whose dimensions were permuted over B, each on its own."""
    by_dimension = tf.transpose(z, [0, 2, 1])  # [S, D, B]
    # A random order by sorting noise: TensorFlow's own shuffle does not compile with XLA.
    order = tf.argsort(tf.random.stateless_uniform(tf.shape(by_dimension), seed))
    return tf.transpose(tf.gather(by_dimension, order, batch_dims=2), [0, 2, 1])
