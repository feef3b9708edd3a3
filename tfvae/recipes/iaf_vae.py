"""The VAE with an inverse autoregressive posterior (Kingma et al., 2016, arXiv:1606.04934)."""

from typing import Any

from tfvae import flows
from tfvae.models import VAE
from tfvae.random import seeded_initializers
from tfvae.recipes.vae import vae
from tfvae.stochastic import Conditional, Head, Transformed


def iaf_vae(event_shape: tuple[int, ...], *, num_layers: int = 2, **arguments: Any) -> VAE:
    """Returns `recipes.vae` whose Gaussian posterior is moved by a flow that sees the features.

    Args:
        event_shape: Shape of an example.
        num_layers: Number of the flow's layers.
        **arguments: Those of `recipes.vae`.

    Example:
    >>> model = iaf_vae((784,), latent_size=50, num_layers=4)
    """
    base = vae(event_shape, **arguments)
    with seeded_initializers(base.seed + 1):
        flow = flows.InverseAutoregressive(base.latent_shape, num_layers=num_layers)
        head = Transformed(Head("Normal", base.latent_shape), flow)
    encoder = Conditional(base.encoder.network, head)
    return VAE(encoder, base.decoder, objective=base.objective, seed=base.seed)
