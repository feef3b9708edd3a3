"""The VAE with finite scalar quantisation (Mentzer et al., 2023, arXiv:2309.15505)."""

from collections.abc import Sequence
from typing import Any

from tfvae.models import VAE
from tfvae.random import seeded_initializers
from tfvae.recipes.vae import vae
from tfvae.stochastic import Conditional, FiniteScalar, UniformCodes


def fsq_vae(
    event_shape: tuple[int, ...],
    *,
    latent_size: int = 32,
    levels: Sequence[int] = (5, 5, 5),
    **arguments: Any,
) -> VAE:
    """Returns a VAE of discrete codes without a codebook: dense networks, a uniform prior.

    Args:
        event_shape: Shape of an example.
        latent_size: Number of codes of an example.
        levels: Levels of each dimension of a code; there are prod(levels) codes.
        **arguments: Those of `recipes.vae`.

    Example: 1,000 codes at each of 16 positions.
    >>> model = fsq_vae((784,), latent_size=16, levels=(8, 5, 5, 5))
    """
    base = vae(event_shape, latent_size=latent_size, **arguments)
    with seeded_initializers(base.seed + 1):
        codes = FiniteScalar((latent_size,), levels)
        encoder = Conditional(base.encoder.network, codes)
    prior = UniformCodes(codes)
    return VAE(encoder, base.decoder, prior=prior, objective=base.objective, seed=base.seed)
