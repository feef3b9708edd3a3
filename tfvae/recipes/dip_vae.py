"""The DIP-VAE, I and II (Kumar et al., 2018, arXiv:1711.00848)."""

from typing import Any

from tfvae.models import VAE
from tfvae.objectives import DIP, ELBO
from tfvae.recipes.vae import vae


def dip_vae(
    event_shape: tuple[int, ...],
    *,
    weight: Any = 10.0,
    diagonal_weight: Any = None,
    of_means: bool = False,
    **arguments: Any,
) -> VAE:
    """Returns a VAE whose latents' covariance over the data is drawn to the identity.

    Args:
        event_shape: Shape of an example.
        weight: Price of the covariance off the diagonal.
        diagonal_weight: Price on the diagonal; `weight` by default.
        of_means: Whether the covariance is that of the means alone, DIP-VAE-I.
        **arguments: Those of `recipes.vae`.

    Example:
    >>> model = dip_vae((28, 28, 1), weight=10.0, latent_size=10)
    """
    objective = [ELBO(), DIP(weight, diagonal_weight, of_means)]
    return vae(event_shape, objective=objective, **arguments)
