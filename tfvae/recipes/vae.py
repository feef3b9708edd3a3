"""The variational auto-encoder (Kingma and Welling, 2013, arXiv:1312.6114)."""

from collections.abc import Sequence
from typing import Any

from tfvae import checks, networks
from tfvae.models import VAE
from tfvae.random import seeded_initializers
from tfvae.stochastic import Conditional, Head


def vae(
    event_shape: tuple[int, ...],
    *,
    latent_size: int = 32,
    likelihood: str = "Bernoulli",
    scale: float | None = None,
    units: Sequence[int] = (512, 512),
    objective: Any = None,
    seed: int | None = None,
) -> VAE:
    """Returns an uncompiled VAE: dense networks, diagonal Gaussian posterior, N(0, I) prior.

    Args:
        event_shape: Shape of an example.
        latent_size: Number of latent dimensions.
        likelihood: Family of p(x | z), any that `tfvae.Head` takes.
        scale: The constant sigma of a "Normal" likelihood, N(x | f(z), sigma**2 I); 1 by default.
            Others take none.
        units: Widths of the encoder's layers; the decoder has them in reverse.
        objective: An objective or a list of them; `ELBO()` by default.
        seed: Seed of the initial weights and of all noise; None draws one.

    Raises:
        TypeError, ValueError: If an argument is out of range.

    Example: the textbook model.
    >>> model = vae((784,), latent_size=50, likelihood="Normal", scale=0.1, units=(400,))
    """
    checks.positive_integer("latent_size", latent_size)
    with seeded_initializers(checks.seed(seed)):
        return VAE(
            encoder=Conditional(networks.mlp(units), Head("Normal", (latent_size,))),
            decoder=Conditional(
                networks.mlp(units[::-1]), likelihood_head(likelihood, event_shape, scale)
            ),
            objective=objective,
            seed=seed,
        )


def likelihood_head(likelihood: str, event_shape: tuple[int, ...], scale: float | None) -> Head:
    """Returns the head of p(x | z); a "Normal" one has a constant scale.

    Raises:
        ValueError: If another family is given a scale.
    """
    if likelihood == "Normal":
        return Head(likelihood, event_shape, fixed={"scale": 1.0 if scale is None else scale})
    if scale is not None:
        raise ValueError(
            f'`scale` must be left out unless likelihood="Normal". Received: scale={scale} with '
            f"likelihood={likelihood!r}. Fix: make a `tfvae.VAE` of your own `tfvae.Head`."
        )
    return Head(likelihood, event_shape)
