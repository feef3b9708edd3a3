"""The VAE of constrained optimisation, GECO (Rezende and Viola, 2018, arXiv:1810.00597)."""

from typing import Any

from tfvae.models import VAE
from tfvae.objectives import Constrained
from tfvae.recipes.vae import vae


def geco_vae(event_shape: tuple[int, ...], *, tolerance: float, **arguments: Any) -> VAE:
    """Returns a VAE of least KL among those that reconstruct well enough.

    Args:
        event_shape: Shape of an example.
        tolerance: Mean reconstruction error, -E_q[log p(x | z)], in nats per example.
        **arguments: Those of `recipes.vae`.

    Example:
    >>> model = geco_vae((28, 28, 1), tolerance=80.0)
    """
    return vae(event_shape, objective=Constrained(tolerance), **arguments)
