"""The Wasserstein auto-encoder with MMD (Tolstikhin et al., 2018, arXiv:1711.01558)."""

from typing import Any

from tfvae.models import VAE
from tfvae.objectives import ELBO, MMD
from tfvae.recipes.vae import vae


def wae_mmd(event_shape: tuple[int, ...], *, weight: Any = 100.0, **arguments: Any) -> VAE:
    """Returns an auto-encoder with a random encoder, no KL, and q(z) drawn to the prior.

    The paper's cost is half the squared error: likelihood="Normal" with its scale of 1. Its encoder
    may also be deterministic; this one is Gaussian, so that evidence and ELBO are defined.

    Args:
        event_shape: Shape of an example.
        weight: Price of the squared discrepancy, >= 0; a float or a Keras schedule.
        **arguments: Those of `recipes.vae`.

    Example:
    >>> model = wae_mmd((28, 28, 1), likelihood="Normal")
    """
    return vae(event_shape, objective=[ELBO(beta=0.0), MMD(weight)], **arguments)
