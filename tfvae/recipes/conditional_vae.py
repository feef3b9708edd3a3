"""The conditional VAE (Sohn, Lee and Yan, 2015)."""

from typing import Any

from tfvae.models import VAE
from tfvae.recipes.vae import vae


def conditional_vae(event_shape: tuple[int, ...], **arguments: Any) -> VAE:
    """Returns a VAE whose encoder and decoder see a condition, {"x": ..., "condition": ...}.

    A VAE is conditional by its data alone, so this is `recipes.vae`; its arguments are the same.

    Example:
    >>> model = conditional_vae((28, 28, 1), latent_size=16, seed=0)
    >>> model.compile("adam")
    >>> model.fit({"x": x_train, "condition": one_hot_labels})
    """
    return vae(event_shape, **arguments)
