"""IWAE with doubly reparameterised gradients (Tucker et al., 2018, arXiv:1810.04152)."""

from typing import Any

from tfvae.models import VAE
from tfvae.objectives import DReG
from tfvae.recipes.vae import vae


def dreg_vae(event_shape: tuple[int, ...], *, num_samples: int = 50, **arguments: Any) -> VAE:
    """Returns a VAE trained on the importance-weighted bound, with the less noisy gradient.

    Args:
        event_shape: Shape of an example.
        num_samples: Draws per example; time and memory grow with it.
        **arguments: Those of `recipes.vae`.

    Example:
    >>> model = dreg_vae((28, 28, 1), num_samples=50)
    """
    return vae(event_shape, objective=DReG(num_samples), **arguments)
