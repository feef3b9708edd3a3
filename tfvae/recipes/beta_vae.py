"""The beta-VAE (Higgins et al., 2017)."""

from typing import Any

from tfvae.models import VAE
from tfvae.objectives import ELBO
from tfvae.recipes.vae import vae


def beta_vae(event_shape: tuple[int, ...], *, beta: Any = 4.0, **arguments: Any) -> VAE:
    """Returns a VAE whose KL costs `beta` nats a nat: fewer, more independent latents.

    Args:
        event_shape: Shape of an example.
        beta: Weight of the KL, >= 0; a float or a Keras schedule.
        **arguments: Those of `recipes.vae`.

    Example:
    >>> model = beta_vae((28, 28, 1), beta=4.0, latent_size=10)
    """
    return vae(event_shape, objective=ELBO(beta=beta), **arguments)
