"""The VAE of controlled capacity (Burgess et al., 2018, arXiv:1804.03599)."""

from typing import Any

from tfvae import checks
from tfvae.models import VAE
from tfvae.objectives import Capacity
from tfvae.recipes.vae import vae
from tfvae.schedules import Linear


def capacity_vae(
    event_shape: tuple[int, ...],
    *,
    capacity: float = 25.0,
    steps: int = 100_000,
    weight: float = 1_000.0,
    **arguments: Any,
) -> VAE:
    """Returns a VAE whose KL is held at a capacity that grows from 0, a nat at a time.

    Args:
        event_shape: Shape of an example.
        capacity: Final KL in nats.
        steps: Training steps until it is reached.
        weight: Price of a nat away from it.
        **arguments: Those of `recipes.vae`.

    Example:
    >>> model = capacity_vae((28, 28, 1), capacity=20.0, steps=10_000, latent_size=10)
    """
    schedule = Linear(0.0, checks.finite_number("capacity", capacity, minimum=0.0), steps=steps)
    return vae(event_shape, objective=Capacity(schedule, weight), **arguments)
