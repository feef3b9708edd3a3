"""ProdLDA, topics as a product of experts (Srivastava and Sutton, 2017, arXiv:1703.01488)."""

from collections.abc import Sequence
from typing import Any

import keras

from tfvae import checks
from tfvae.models import VAE
from tfvae.random import seeded_initializers
from tfvae.stochastic import Conditional, Head, dirichlet_laplace


def prod_lda(
    event_shape: tuple[int, ...],
    *,
    latent_size: int = 50,
    concentration: float = 1.0,
    units: Sequence[int] = (100, 100),
    dropout: float = 0.2,
    objective: Any = None,
    seed: int | None = None,
) -> VAE:
    """Returns a topic model of counts [B, V]: softmax(z) mixes the words' logits of the topics.

    Args:
        event_shape: (V,), the size of the vocabulary.
        latent_size: Number of topics.
        concentration: Of the symmetric Dirichlet that the prior approximates.
        units: Widths of the encoder's layers.
        dropout: Share of features and of topics that are dropped in training.
        objective: An objective or a list of them; `ELBO()` by default.
        seed: Seed of the initial weights and of all noise; None draws one.

    Raises:
        TypeError, ValueError: If an argument is out of range.

    Example: the words of each topic, most likely first.
    >>> model = prod_lda((2_000,), latent_size=50)
    >>> model.decode(6.0 * tf.eye(50)).mean().numpy().argsort(axis=1)[:, ::-1]
    """
    (size,) = checks.shape("event_shape", event_shape)
    widths = checks.shape("units", units)
    with seeded_initializers(checks.seed(seed)):
        hidden = [keras.layers.Dense(n, activation="softplus") for n in widths]
        # Counts are large: without the normalisation the KL starts at thousands of nats.
        encoder = [*hidden, keras.layers.Dropout(dropout), keras.layers.BatchNormalization()]
        words = [
            keras.layers.Softmax(),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(size, use_bias=False),
            keras.layers.BatchNormalization(),  # without it topics collapse into one
            keras.layers.Reshape((size, 1)),  # the head scales the logits word by word
        ]
        head = Head("BagOfWords", (size,), use_bias=False)
        return VAE(
            encoder=Conditional(keras.Sequential(encoder), Head("Normal", (latent_size,))),
            decoder=Conditional(keras.Sequential(words), head),
            prior=dirichlet_laplace([concentration] * latent_size),
            objective=objective,
            seed=seed,
        )
