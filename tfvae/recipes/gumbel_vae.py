"""The VAE with relaxed categorical latents (Jang et al., 2017; Maddison et al., 2017)."""

from typing import Any

import keras

from tfvae import checks
from tfvae.models import VAE
from tfvae.random import seeded_initializers
from tfvae.recipes.vae import vae
from tfvae.stochastic import Conditional, Fixed, Head


def gumbel_vae(
    event_shape: tuple[int, ...],
    *,
    latent_size: int = 32,
    num_classes: int = 10,
    temperature: float = 0.67,
    **arguments: Any,
) -> VAE:
    """Returns a VAE whose latents are relaxed one-hot vectors (arXiv:1611.01144, 1611.00712).

    Posterior and prior are densities of the relaxed vectors, so that the ELBO is a bound (Maddison
    et al., eq. 20); they are held as logarithms, which stay finite where a class has no share.

    Args:
        event_shape: Shape of an example.
        latent_size: Number of categorical latents.
        num_classes: Number of classes of each.
        temperature: Of posterior and prior; the vectors become one-hot as it goes to 0.
        **arguments: Those of `recipes.vae`.

    Example:
    >>> model = gumbel_vae((784,), latent_size=20, num_classes=10)
    """
    shape = (latent_size, checks.integer("num_classes", num_classes, 2))
    base = vae(event_shape, latent_size=latent_size, **arguments)
    with seeded_initializers(base.seed + 1):
        family, fixed = "ExpRelaxedOneHotCategorical", {"temperature": temperature}
        encoder = Conditional(base.encoder.network, Head(family, shape, fixed))
        shares = [keras.layers.Activation("exponential"), base.decoder.network]
        decoder = Conditional(keras.Sequential(shares), base.decoder.head)
    prior = Fixed(family, shape, {"logits": 0.0} | fixed)
    return VAE(encoder, decoder, prior=prior, objective=base.objective, seed=base.seed)
