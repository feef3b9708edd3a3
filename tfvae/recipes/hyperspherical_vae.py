"""The hyperspherical VAE (Davidson et al., 2018, arXiv:1804.00891)."""

from typing import Any

from tfvae.models import VAE
from tfvae.random import seeded_initializers
from tfvae.recipes.vae import vae
from tfvae.stochastic import Conditional, PowerSpherical, SphericalUniform


def hyperspherical_vae(event_shape: tuple[int, ...], **arguments: Any) -> VAE:
    """Returns `recipes.vae` with latents on the unit sphere and a uniform prior.

    The posterior is power-spherical (De Cao and Aziz, 2020, arXiv:2006.04437) instead of the
    paper's von Mises-Fisher: as concentrated, and sampled without rejection. The KL is exact.

    Args:
        event_shape: Shape of an example.
        **arguments: Those of `recipes.vae`; `latent_size` is D of the sphere in D dimensions.

    Example:
    >>> model = hyperspherical_vae((784,), latent_size=10)
    """
    base = vae(event_shape, **arguments)
    with seeded_initializers(base.seed + 1):
        encoder = Conditional(base.encoder.network, PowerSpherical(base.latent_shape))
    prior = SphericalUniform(base.latent_shape)
    return VAE(encoder, base.decoder, prior=prior, objective=base.objective, seed=base.seed)
