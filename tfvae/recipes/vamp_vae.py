"""The VAE with a VampPrior (Tomczak and Welling, 2018, arXiv:1705.07120)."""

from typing import Any

from tfvae.models import VAE
from tfvae.random import seeded_initializers
from tfvae.recipes.vae import vae
from tfvae.stochastic import VampPrior


def vamp_vae(
    event_shape: tuple[int, ...],
    *,
    num_components: int = 500,
    pseudo_inputs: Any = None,
    bounds: tuple[float, float] | None = (0.0, 1.0),
    **arguments: Any,
) -> VAE:
    """Returns `recipes.vae` with a mixture of its own posteriors as prior.

    Args:
        event_shape: Shape of an example.
        num_components: Number K of pseudo-inputs.
        pseudo_inputs: Examples [N, *event_shape], N >= K, to start from; random by default.
        bounds: Range of the data; None for unbounded data.
        **arguments: Those of `recipes.vae`.

    Example:
    >>> model = vamp_vae((784,), latent_size=40, num_components=500, pseudo_inputs=x_train)
    """
    base = vae(event_shape, **arguments)
    with seeded_initializers(base.seed + 1):
        prior = VampPrior(base.encoder, event_shape, num_components, bounds)
    if pseudo_inputs is not None:
        prior.start_from(pseudo_inputs)
    return VAE(base.encoder, base.decoder, prior=prior, objective=base.objective, seed=base.seed)
