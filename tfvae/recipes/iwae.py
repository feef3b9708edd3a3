"""The importance-weighted auto-encoder (Burda et al., 2015, arXiv:1509.00519)."""

from typing import Any

from tfvae.models import VAE
from tfvae.objectives import ImportanceWeighted
from tfvae.recipes.vae import vae


def iwae(event_shape: tuple[int, ...], *, num_samples: int = 5, **arguments: Any) -> VAE:
    """Returns a VAE trained on the importance-weighted bound; see `dreg_vae` for many draws.

    Args:
        event_shape: Shape of an example.
        num_samples: Draws per example; time and memory grow with it.
        **arguments: Those of `recipes.vae`.

    Example:
    >>> model = iwae((28, 28, 1), num_samples=5)
    """
    return vae(event_shape, objective=ImportanceWeighted(num_samples), **arguments)
