"""Another prior for a trained model (Ghosh et al., 2020, arXiv:1903.12436)."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae import checks
from tfvae.errors import DataError, NumericalError
from tfvae.models import VAE
from tfvae.models.inputs import Inputs, unpack
from tfvae.random import seed_pair
from tfvae.stochastic import StochasticLayer


def fit_prior(
    model: VAE,
    x: Any,
    prior: StochasticLayer,
    *,
    epochs: int = 50,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> VAE:
    """Returns a VAE of the same encoder and decoder whose prior is fitted to the codes of data.

    The prior's weights maximise E_q[log p(z)], the part of the ELBO that they appear in, with z
    drawn anew from q(z | x) in every epoch. No weight of encoder or decoder changes, and `model`
    keeps its own prior; both models hold the same layers.

    Args:
        model: A trained VAE.
        x: Examples [N, *event_shape], or a dictionary with `x` and any of `condition`,
            `mask` and `sample_weight`.
        prior: An untrained prior over the model's latents, such as
            `Mixture("Normal", (32,), num_components=20)` or `Transformed(StandardNormal((32,)),
            flows.RealNVP((32,)))`.
        epochs: Number of passes over the data.
        batch_size: Examples an update.
        learning_rate: Of Adam.
        seed: Seed of the order of examples and of the draws.

    Returns:
        An uncompiled VAE.

    Raises:
        TypeError, ValueError: If an argument does not fit, or the prior has no weights of its own.
        DataError: If the data do not fit the model, or have no rows.
        NumericalError: If the prior's log-density is not finite in the end.

    Example:
    >>> better = tfvae.fit_prior(vae, x_train, tfvae.Mixture("Normal", (32,), num_components=20))
    >>> better.generate(16)
    """
    if not isinstance(model, VAE):
        raise TypeError(f"`model` must be a `tfvae.VAE`. Received: {type(model).__name__}.")
    epochs = checks.positive_integer("epochs", epochs)
    batch_size = checks.positive_integer("batch_size", batch_size)
    checks.seed(seed)
    if checks.finite_number("learning_rate", learning_rate) <= 0.0:
        raise ValueError(f"`learning_rate` must be > 0. Received: learning_rate={learning_rate}.")
    data = {k: v for k, v in unpack(x, model.event_shape)._asdict().items() if v is not None}
    model.encode(tf.nest.map_structure(lambda a: a[:1], data))  # builds it, and checks a condition
    model.check_values(data)
    fitted = VAE(
        model.encoder, model.decoder, prior=prior, objective=model.objective, seed=model.seed
    )
    fitted.build(model.get_build_config()["input_shape"])
    kept = {id(w) for layer in (model.encoder, model.decoder) for w in layer.weights}
    weights = [w for w in prior.trainable_variables if id(w) not in kept]
    if not weights:
        raise ValueError(
            f"`prior` must have weights to fit. Received: {type(prior).__name__}. "
            "Fix: use a Mixture, or a flow."
        )
    optimizer = keras.optimizers.Adam(learning_rate)
    optimizer.build(weights)

    @tf.function(autograph=False)
    def update(rows: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        batch = {k: tf.gather(v, rows) for k, v in data.items()}
        inputs = Inputs(**batch)
        posterior = model.encoder(inputs.seen, inputs.condition)
        z = tf.stop_gradient(posterior.sample(seed=seed_pair(seed, "fit_prior", number)))
        weight = 1.0 if inputs.sample_weight is None else inputs.sample_weight
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(weight * prior(inputs.condition).log_prob(z))
        optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    size = min(batch_size, num_rows := int(data["x"].shape[0]))
    if num_rows == 0:
        raise DataError("`x` must have at least one row. Received: an empty array.")
    order, number = np.random.default_rng(seed), 0
    for _ in range(epochs):
        rows = order.permutation(num_rows).astype("int32")
        for start in range(0, num_rows - size + 1, size):
            loss = update(tf.constant(rows[start : start + size]), tf.constant(number))
            number += 1
    if not np.isfinite(loss):
        raise NumericalError(
            f"`prior` must have a finite log-density at the codes. Received: {-float(loss)}. "
            "Fix: lower `learning_rate`."
        )
    return fitted
