"""The FactorVAE (Kim and Mnih, 2018, arXiv:1802.05983)."""

from collections.abc import Sequence
from typing import Any

import keras

from tfvae import checks, networks
from tfvae.models import VAE
from tfvae.objectives import ELBO, CriticTotalCorrelation
from tfvae.random import fresh_seed, seeded_initializers
from tfvae.recipes.vae import vae


def factor_vae(
    event_shape: tuple[int, ...],
    *,
    weight: Any = 10.0,
    critic_units: Sequence[int] = (512, 512),
    seed: int | None = None,
    **arguments: Any,
) -> VAE:
    """Returns a VAE whose total correlation, as a critic sees it, costs `weight` more a nat.

    Args:
        event_shape: Shape of an example.
        weight: Price of a nat of total correlation, >= 0; a float or a Keras schedule.
        critic_units: Widths of the critic's layers; six of 1000 in the paper.
        seed: Seed of the initial weights and of all noise; None draws one.
        **arguments: The others of `recipes.vae`.

    Example:
    >>> model = factor_vae((28, 28, 1), weight=10.0, latent_size=10)
    """
    seed = fresh_seed() if seed is None else checks.seed(seed)
    with seeded_initializers(seed):
        critic = keras.Sequential(
            [networks.mlp(critic_units, "leaky_relu"), keras.layers.Dense(1)], name="critic"
        )
    objective = [ELBO(), CriticTotalCorrelation(weight, critic, seed)]
    return vae(event_shape, objective=objective, seed=seed, **arguments)
