"""The evidence lower bound (Kingma and Welling, 2013, arXiv:1312.6114), and its beta form."""

from typing import Any

import tensorflow as tf

from tfvae import checks
from tfvae.draws import Draws
from tfvae.objectives.objective import Objective
from tfvae.schedules import value_at
from tfvae.serialization import serializable


@serializable
class ELBO(Objective):
    """beta * KL[q(z | x) || p(z)] - E_q[log p(x | z)], the negative ELBO at beta = 1.

    Args:
        beta: Weight of the KL, >= 0; a float (Higgins et al., 2017) or a Keras schedule (warm-up).
        free_bits: KL per latent dimension, in nats, that costs nothing: each dimension's KL,
            averaged over the batch, is charged as at least this (Kingma et al., 2016,
            arXiv:1606.04934). It needs a posterior and a prior that factorise.
        num_samples: S, draws per example.

    Raises:
        TypeError, ValueError: If an argument is out of range, or free bits meet a KL that has no
        parts.

    Example:
    >>> ELBO(beta=schedules.Linear(0.0, 1.0, steps=5_000))
    """

    def __init__(
        self, beta: Any = 1.0, free_bits: float = 0.0, num_samples: int = 1, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.beta = checks.number_or_schedule("beta", beta, minimum=0.0)
        self.free_bits = checks.finite_number("free_bits", free_bits, minimum=0.0)
        self.num_samples = checks.positive_integer("num_samples", num_samples)

    @property
    def weights_kl(self) -> bool:
        return self.beta != 1.0 or self.free_bits > 0.0

    def loss(self, draws: Draws, step: tf.Tensor) -> tf.Tensor:
        kl = self._charged_kl(draws) if self.free_bits else draws.kl
        return value_at(self.beta, step) * kl - tf.reduce_mean(draws.log_likelihood, axis=0)

    def _charged_kl(self, draws: Draws) -> tf.Tensor:
        parts = draws.kl_parts
        if parts is None:
            raise ValueError(
                "`free_bits` must be 0 where the KL has no parts by dimension. Received: "
                f"free_bits={self.free_bits} with posterior {type(draws.posterior).__name__} and "
                "prior "
                f"{type(draws.prior).__name__}. Fix: use a factorised posterior and prior, or warm "
                "up beta."
            )
        charged = tf.maximum(tf.reduce_mean(parts, axis=0), self.free_bits)  # [D]
        return tf.fill(tf.shape(parts)[:1], tf.reduce_sum(charged))
