"""The sigma-VAE (Rybkin, Daniilidis and Levine, 2021, arXiv:2006.13202)."""

from collections.abc import Sequence
from typing import Any

from tfvae import checks, networks
from tfvae.models import VAE
from tfvae.random import seeded_initializers
from tfvae.stochastic import CalibratedNormal, Conditional, Head


def sigma_vae(
    event_shape: tuple[int, ...],
    *,
    latent_size: int = 32,
    units: Sequence[int] = (512, 512),
    objective: Any = None,
    seed: int | None = None,
) -> VAE:
    """Returns an uncompiled VAE of real data whose Gaussian likelihood finds its own scale.

    The scale takes the place of a beta that would have to be tuned: beta = 1 is right for it.

    Args:
        event_shape: Shape of an example.
        latent_size: Number of latent dimensions.
        units: Widths of the encoder's layers; the decoder has them in reverse.
        objective: An objective or a list of them; `ELBO()` by default.
        seed: Seed of the initial weights and of all noise; None draws one.

    Raises:
        TypeError, ValueError: If an argument is out of range.

    Example:
    >>> model = sigma_vae((28, 28, 1), latent_size=16, seed=0)
    """
    checks.positive_integer("latent_size", latent_size)
    with seeded_initializers(checks.seed(seed)):
        return VAE(
            encoder=Conditional(networks.mlp(units), Head("Normal", (latent_size,))),
            decoder=Conditional(networks.mlp(units[::-1]), CalibratedNormal(event_shape)),
            objective=objective,
            seed=seed,
        )
