"""The ladder VAE (Sonderby et al., 2016, arXiv:1602.02282)."""

from collections.abc import Sequence
from typing import Any

from tfvae import checks, networks
from tfvae.models import LadderVAE
from tfvae.random import seeded_initializers
from tfvae.recipes.vae import vae
from tfvae.stochastic import Conditional, Head, StandardNormal


def ladder_vae(
    event_shape: tuple[int, ...],
    *,
    latent_sizes: Sequence[int] = (16, 32),
    units: Sequence[int] = (512, 512),
    **arguments: Any,
) -> LadderVAE:
    """Returns an uncompiled hierarchy of dense networks; the bottom level is that of `recipes.vae`.

    Args:
        event_shape: Shape of an example.
        latent_sizes: Number of latent dimensions of each level, top level first.
        units: Widths of the layers of every network.
        **arguments: Those of `recipes.vae`; warm-up of beta keeps the upper levels alive.

    Raises:
        ValueError: If there are fewer than two levels, or an argument is out of range.

    Example: five levels, as in the paper.
    >>> model = ladder_vae((784,), latent_sizes=(4, 8, 16, 32, 64))
    """
    if "latent_size" in arguments:
        raise ValueError(
            "`latent_size` must be left out of a ladder, which has one for each level. Received: "
            f"latent_size={arguments['latent_size']}. Fix: pass latent_sizes=(16, 32), top first."
        )
    *upper, bottom = checks.shape("latent_sizes", latent_sizes) or (0,)
    if not upper:
        raise ValueError(
            "`latent_sizes` must be sizes of two levels or more, top first. "
            f"Received: latent_sizes={latent_sizes}. Fix: pass (16, 32), or use `recipes.vae`."
        )
    base = vae(event_shape, latent_size=bottom, units=units, **arguments)
    with seeded_initializers(base.seed + 1):
        heads = [Head("Normal", (size,)) for size in upper]
        encoders = [Conditional(networks.mlp(units), head) for head in heads]
        priors = [
            Conditional(networks.mlp(units[::-1]), Head("Normal", (size,)))
            for size in (*upper, bottom)[1:]
        ]
    return LadderVAE(
        encoders=[*encoders, base.encoder],
        priors=[StandardNormal((*upper, bottom)[:1]), *priors],
        decoder=base.decoder,
        objective=base.objective,
        seed=base.seed,
    )
