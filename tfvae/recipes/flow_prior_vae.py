"""The VAE with a flow prior (Chen et al., 2017, arXiv:1611.02731; Huang et al., 2017)."""

from typing import Any

from tfvae import flows
from tfvae.errors import did_you_mean
from tfvae.models import VAE
from tfvae.random import seeded_initializers
from tfvae.recipes.vae import vae
from tfvae.stochastic import StandardNormal, Transformed


def flow_prior_vae(
    event_shape: tuple[int, ...], *, flow: str = "RealNVP", num_layers: int = 4, **arguments: Any
) -> VAE:
    """Returns `recipes.vae` with a flow from N(0, I) as prior, learned with the model.

    Args:
        event_shape: Shape of an example.
        flow: Name of one of `tfvae.flows`; "RealNVP", "NeuralSpline" and "MaskedAutoregressive" are
            fast where a prior must be.
        num_layers: Number of the flow's layers.
        **arguments: Those of `recipes.vae`.

    Raises:
        ValueError: If there is no such flow.

    Example:
    >>> model = flow_prior_vae((784,), latent_size=50, flow="MaskedAutoregressive")
    """
    names = [n for n in flows.__all__ if n != "Flow"]
    if flow not in names:
        raise ValueError(
            f"`flow` must be one of {', '.join(names)}. Received: flow={flow!r}."
            f"{did_you_mean(str(flow), names)}"
        )
    base = vae(event_shape, **arguments)
    with seeded_initializers(base.seed + 1):
        layers = getattr(flows, flow)(base.latent_shape, num_layers=num_layers)
        prior = Transformed(StandardNormal(base.latent_shape), layers)
    return VAE(base.encoder, base.decoder, prior=prior, objective=base.objective, seed=base.seed)
