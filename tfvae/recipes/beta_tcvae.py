"""The beta-TCVAE (Chen et al., 2018, arXiv:1802.04942)."""

from typing import Any

from tfvae import checks
from tfvae.models import VAE
from tfvae.objectives import ELBO, TotalCorrelation
from tfvae.recipes.vae import vae


def beta_tcvae(
    event_shape: tuple[int, ...], *, num_examples: int, beta: float = 6.0, **arguments: Any
) -> VAE:
    """Returns a VAE whose total correlation alone costs `beta` nats a nat.

    Args:
        event_shape: Shape of an example.
        num_examples: Number of training examples.
        beta: Weight of the total correlation within the KL, >= 1.
        **arguments: Those of `recipes.vae`.

    Example:
    >>> model = beta_tcvae((28, 28, 1), num_examples=60_000, latent_size=10)
    """
    extra = checks.finite_number("beta", beta, minimum=1.0) - 1.0  # the KL in the ELBO holds one
    return vae(event_shape, objective=[ELBO(), TotalCorrelation(extra, num_examples)], **arguments)
