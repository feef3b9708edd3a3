"""The VAE with a mixture of Gaussians as prior (Jiang et al., 2017, arXiv:1611.05148)."""

from typing import Any

from tfvae.models import VAE
from tfvae.random import seeded_initializers
from tfvae.recipes.vae import vae
from tfvae.stochastic import Mixture


def mixture_vae(event_shape: tuple[int, ...], *, num_components: int = 10, **arguments: Any) -> VAE:
    """Returns `recipes.vae` with a learned mixture of diagonal Gaussians as prior.

    The cluster is summed out in p(z), so that its KL is estimated from the draws of z alone.

    Args:
        event_shape: Shape of an example.
        num_components: Number of Gaussians.
        **arguments: Those of `recipes.vae`.

    Example: the share of each cluster in each code.
    >>> model = mixture_vae((784,), latent_size=10, num_components=10)
    >>> model.prior(None).posterior_marginal(model.embed(x_test)).probs_parameter()
    """
    base = vae(event_shape, **arguments)
    with seeded_initializers(base.seed + 1):
        prior = Mixture("Normal", base.latent_shape, num_components)
    return VAE(base.encoder, base.decoder, prior=prior, objective=base.objective, seed=base.seed)
