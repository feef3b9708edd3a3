"""The InfoVAE (Zhao et al., 2019, arXiv:1706.02262)."""

from typing import Any

from tfvae import checks
from tfvae.models import VAE
from tfvae.objectives import ELBO, MMD
from tfvae.recipes.vae import vae


def info_vae(
    event_shape: tuple[int, ...], *, alpha: float = 0.0, weight: float = 100.0, **arguments: Any
) -> VAE:
    """Returns a VAE whose latents keep what they know of x while q(z) is drawn to the prior.

    Its loss is the paper's, -E_q[log p(x | z)] + (1 - alpha) KL[q(z | x) || p(z)]
    + (alpha + weight - 1) MMD**2[q(z), p(z)].

    Args:
        event_shape: Shape of an example.
        alpha: Weight of the mutual information of x and z, at most 1; alpha = 1 leaves no KL.
        weight: The paper's lambda, at least 1 - alpha.
        **arguments: Those of `recipes.vae`.

    Example:
    >>> model = info_vae((28, 28, 1), alpha=0.5, weight=100.0)
    """
    kl = 1.0 - checks.finite_number("alpha", alpha)
    if kl < 0.0:
        raise ValueError(f"`alpha` must be at most 1. Received: alpha={alpha}.")
    if checks.finite_number("weight", weight) < kl:
        raise ValueError(
            f"`weight` must be at least 1 - alpha. Received: weight={weight} with alpha={alpha}."
        )
    return vae(event_shape, objective=[ELBO(beta=kl), MMD(weight - kl)], **arguments)
