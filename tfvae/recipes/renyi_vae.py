"""The VAE of Renyi's divergence (Li and Turner, 2016, arXiv:1602.02311)."""

from typing import Any

from tfvae.models import VAE
from tfvae.objectives import Renyi
from tfvae.recipes.vae import vae


def renyi_vae(
    event_shape: tuple[int, ...], *, alpha: float = 0.5, num_samples: int = 5, **arguments: Any
) -> VAE:
    """Returns a VAE between the importance-weighted bound (alpha = 0) and the ELBO (alpha = 1).

    Args:
        event_shape: Shape of an example.
        alpha: Order of the divergence.
        num_samples: Draws per example; time and memory grow with it.
        **arguments: Those of `recipes.vae`.

    Example:
    >>> model = renyi_vae((28, 28, 1), alpha=0.5)
    """
    return vae(event_shape, objective=Renyi(alpha, num_samples), **arguments)
