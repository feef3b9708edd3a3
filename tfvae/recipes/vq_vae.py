"""The vector-quantised VAE (van den Oord et al., 2017, arXiv:1711.00937)."""

from typing import Any

from tfvae.models import VAE
from tfvae.random import seeded_initializers
from tfvae.recipes.vae import vae
from tfvae.stochastic import Conditional, UniformCodes, VectorQuantized


def vq_vae(
    event_shape: tuple[int, ...],
    *,
    latent_size: int = 32,
    code_size: int = 8,
    num_codes: int = 128,
    commitment: float = 0.25,
    **arguments: Any,
) -> VAE:
    """Returns a VAE of discrete codes: dense networks, a learned codebook, a uniform prior.

    Args:
        event_shape: Shape of an example.
        latent_size: Number of codes of an example.
        code_size: Dimensions of a code's vector.
        num_codes: Vectors in the codebook.
        commitment: Weight of the distance between features and their vectors.
        **arguments: Those of `recipes.vae`.

    Example:
    >>> model = vq_vae((784,), latent_size=16, num_codes=256)
    >>> model.encoder.head.perplexity  # codes in use
    """
    base = vae(event_shape, latent_size=latent_size, **arguments)
    with seeded_initializers(base.seed + 1):
        codes = VectorQuantized((latent_size, code_size), num_codes, commitment)
        encoder = Conditional(base.encoder.network, codes)
    prior = UniformCodes(codes)
    return VAE(encoder, base.decoder, prior=prior, objective=base.objective, seed=base.seed)
