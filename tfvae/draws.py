"""Draws: what every model gives and every objective takes.

Axes, here and everywhere: S draws, B examples, T time steps, D dimensions. Densities are in nats.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from tfvae.distributions import exact_kl, exact_kl_parts


class Draws(NamedTuple):
    """Latents drawn from a posterior, with the log-densities at them.

    Attributes:
        z: Latents, [S, B, ...]; a tuple of such tensors for a hierarchy, top level first.
        log_likelihood: log p(x | z), [S, B].
        log_prior: log p(z), [S, B].
        log_posterior: log q(z | x), [S, B].
        posterior: q(z | x), for objectives that need it away from `z`; a `tfd.Distribution` [B], a
            tuple of them for a hierarchy.
        prior: p(z), likewise.
    """

    z: Any
    log_likelihood: tf.Tensor
    log_prior: tf.Tensor
    log_posterior: tf.Tensor
    posterior: Any = None
    prior: Any = None

    @property
    def log_weight(self) -> tf.Tensor:
        """Log importance weight, log p(x, z) - log q(z | x), [S, B]."""
        return self.log_likelihood + self.log_prior - self.log_posterior

    @property
    def exact_kl(self) -> tf.Tensor | None:
        """KL[q(z | x) || p(z)] in closed form, [B], or None where none is known."""
        if self.posterior is None or self.prior is None:
            return None
        if isinstance(self.posterior, tuple):
            return None if self.kl_parts is None else tf.reduce_sum(self.kl_parts, axis=-1)
        return exact_kl(self.posterior, self.prior)

    @property
    def kl(self) -> tf.Tensor:
        """KL[q(z | x) || p(z)], [B]: in closed form if there is one, else over the draws."""
        exact = self.exact_kl
        return (
            tf.reduce_mean(self.log_posterior - self.log_prior, axis=0) if exact is None else exact
        )

    @property
    def kl_parts(self) -> tf.Tensor | None:
        """KL by latent dimension, [B, D], where posterior and prior factorise, else None.

        In a hierarchy it is the KL by level, [B, L]: exact given the draws of the levels above.
        """
        if self.posterior is None or self.prior is None:
            return None
        if isinstance(self.posterior, tuple):
            levels = [exact_kl(q, p) for q, p in zip(self.posterior, self.prior, strict=True)]
            if any(kl is None for kl in levels):
                return None
            top, *below = levels  # [B], then [S, B]
            return tf.stack([top, *(tf.reduce_mean(kl, axis=0) for kl in below)], axis=-1)
        return exact_kl_parts(self.posterior, self.prior)

    @property
    def elbo(self) -> tf.Tensor:
        """Evidence lower bound, E_q[log p(x | z)] - KL[q(z | x) || p(z)], [B]."""
        return tf.reduce_mean(self.log_likelihood, axis=0) - self.kl
