"""What an exported model answers: named inputs and outputs, all [batch, ...]."""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfvae.distributions import center, exact_kl
from tfvae.export.sampling import RowNoise, draw
from tfvae.threefry import fold_in

log = logging.getLogger("tfvae")
Outputs = dict[str, tf.Tensor]

UNITS = {
    "mean": "that of x, or of z",
    "scale": "standard deviation, that of z",
    "z": "that of z",
    "elbo": "nats",
    "log_evidence": "nats",
    "valid": "whether the row's inputs are finite",
}


class Signature(NamedTuple):
    """One of the functions that an exported model has.

    Attributes:
        function: Takes tensors as in `inputs`, and returns named tensors.
        inputs: Named specs with an open batch.
    """

    function: Callable[..., Outputs]
    inputs: tuple[tf.TensorSpec, ...]


def signatures(
    model: Any, *, preprocessing: Any = None, num_samples: int = 100
) -> tuple[dict[str, Signature], dict[str, str]]:
    """Returns the signatures of a model by name, and those left out with the reason.

    Args:
        model: A built `tfvae.VAE`.
        preprocessing: A Keras layer or model from what is served to x, or None.
        num_samples: Draws a row of `elbo` and `log_evidence`.

    Raises:
        ValueError: If a mean is not known or not finite, or `preprocessing` does not give x.
    """
    endpoints = _Endpoints(model, preprocessing, num_samples)
    shape = model.get_build_config()["input_shape"].get("condition")
    condition = () if shape is None else (tf.TensorSpec((None, shape[-1]), name="condition"),)
    x = _served_spec(preprocessing, model.event_shape)
    z = tf.TensorSpec((None, *model.latent_shape), name="z")
    seed = tf.TensorSpec((None, 2), tf.int32, "seed")
    _check_preprocessing(preprocessing, x, model.event_shape)
    posterior, prior, likelihood = _of_zeros(model)
    _check_moments(posterior, likelihood)
    found = {
        "serving_default": Signature(endpoints.encode, (x, *condition)),
        "encode": Signature(endpoints.encode, (x, *condition)),
        "decode": Signature(endpoints.decode, (z, *condition)),
        "reconstruct": Signature(endpoints.reconstruct, (x, *condition)),
        "sample": Signature(endpoints.sample, (seed, *condition)),
        "encode_sample": Signature(endpoints.encode_sample, (x, seed, *condition)),
        "elbo": Signature(endpoints.elbo, (x, seed, *condition)),
        "log_evidence": Signature(endpoints.log_evidence, (x, seed, *condition)),
    }
    left_out = {}
    for part, distribution, names in [
        ("prior", prior, ["sample"]),
        ("encoder", posterior, ["encode_sample", "elbo", "log_evidence"]),
    ]:
        try:
            draw(distribution, RowNoise(tf.zeros((1, 2), tf.int32)))
        except NotImplementedError as error:
            left_out |= dict.fromkeys(names, f"`{part}`: {error}")
            log.warning("The export leaves out %s: `%s`: %s.", ", ".join(names), part, error)
    return {name: s for name, s in found.items() if name not in left_out}, left_out


class _Endpoints:
    """The functions, of tensors that are named as in the signatures."""

    def __init__(self, model: Any, preprocessing: Any, num_samples: int):
        self._model, self._preprocessing = model, preprocessing
        self._num_samples = num_samples

    def encode(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> Outputs:
        inputs, valid = self._inputs(x, condition)
        posterior = self._model.encode(inputs)
        scale = _known(posterior.stddev)
        scale = {} if scale is None else {"scale": scale}
        return {"mean": center(posterior)} | scale | {"valid": valid}

    def decode(self, z: tf.Tensor, condition: tf.Tensor | None = None) -> Outputs:
        (z, condition), valid = finite_rows(z, condition)
        return {"mean": self._model.decode(z, condition).mean(), "valid": valid}

    def reconstruct(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> Outputs:
        inputs, valid = self._inputs(x, condition)
        return {"mean": self._model.reconstruct(inputs), "valid": valid}

    def sample(self, seed: tf.Tensor, condition: tf.Tensor | None = None) -> Outputs:
        z = draw(self._model.prior(condition), RowNoise(seed))
        return {"mean": self._model.decode(z, condition).mean(), "z": z}

    def encode_sample(
        self, x: tf.Tensor, seed: tf.Tensor, condition: tf.Tensor | None = None
    ) -> Outputs:
        inputs, valid = self._inputs(x, condition)
        return {"z": draw(self._model.encode(inputs), RowNoise(seed)), "valid": valid}

    def elbo(self, x: tf.Tensor, seed: tf.Tensor, condition: tf.Tensor | None = None) -> Outputs:
        inputs, valid = self._inputs(x, condition)
        kl = exact_kl(self._model.encode(inputs), self._model.prior(inputs.get("condition")))
        log_likelihood, log_ratio = self._draws(inputs, seed)  # [S, B]
        kl = tf.reduce_mean(log_ratio, axis=0) if kl is None else kl
        return {"elbo": tf.reduce_mean(log_likelihood, axis=0) - kl, "valid": valid}

    def log_evidence(
        self, x: tf.Tensor, seed: tf.Tensor, condition: tf.Tensor | None = None
    ) -> Outputs:
        inputs, valid = self._inputs(x, condition)
        log_likelihood, log_ratio = self._draws(inputs, seed)
        log_weight = log_likelihood - log_ratio
        total = tf.reduce_logsumexp(log_weight, axis=0)
        return {"log_evidence": total - float(np.log(self._num_samples)), "valid": valid}

    def _draws(self, inputs: dict[str, tf.Tensor], seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns log p(x | z) and log q(z | x) - log p(z), [S, B]; a draw at a time in memory."""
        condition = inputs.get("condition")
        posterior, prior = self._model.encode(inputs), self._model.prior(condition)

        def densities(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            z = draw(posterior, RowNoise(fold_in(seed, number)))
            log_likelihood = self._model.decode(z, condition).log_prob(inputs["x"])
            return log_likelihood, posterior.log_prob(z) - prior.log_prob(z)

        spec = tf.TensorSpec((None,), tf.float32)
        return tf.map_fn(densities, tf.range(self._num_samples), fn_output_signature=(spec, spec))

    def _inputs(
        self, x: tf.Tensor, condition: tf.Tensor | None
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Returns what the model takes, with zeros in rows that are not finite, and which are."""
        x = x if self._preprocessing is None else self._preprocessing(x, training=False)
        (x, condition), valid = finite_rows(x, condition)
        return {"x": x} | ({} if condition is None else {"condition": condition}), valid


def finite_rows(*arrays: tf.Tensor | None) -> tuple[list[tf.Tensor | None], tf.Tensor]:
    """Returns arrays with zeros in rows that are not finite in all of them, and which rows are."""
    present = [a for a in arrays if a is not None]
    finite = [
        tf.reduce_all(tf.math.is_finite(tf.reshape(a, [tf.shape(a)[0], -1])), axis=1)
        for a in present
    ]
    valid = tf.reduce_all(tf.stack(finite), axis=0)

    def clean(a: tf.Tensor) -> tf.Tensor:
        return tf.where(tf.reshape(valid, [-1, *[1] * (a.shape.rank - 1)]), a, tf.zeros_like(a))

    return [None if a is None else clean(a) for a in arrays], valid


def _served_spec(preprocessing: Any, event_shape: tuple[int, ...]) -> tf.TensorSpec:
    """What a preprocessing model declares as its input; without one, x itself."""
    inputs = getattr(preprocessing, "inputs", None)
    if not inputs:
        return tf.TensorSpec((None, *event_shape), tf.float32, "x")
    return tf.TensorSpec((None, *inputs[0].shape[1:]), inputs[0].dtype, "x")


def _check_preprocessing(
    preprocessing: Any, served: tf.TensorSpec, event_shape: tuple[int, ...]
) -> None:
    if preprocessing is None:
        return
    if not isinstance(preprocessing, keras.layers.Layer):
        raise TypeError(
            "`preprocessing` must be a Keras layer or model. Received: "
            f"preprocessing={preprocessing!r} of type {type(preprocessing).__name__}."
        )
    x = preprocessing(tf.zeros([1, *served.shape[1:]], served.dtype), training=False)
    if tuple(x.shape) != (1, *event_shape) or x.dtype != tf.float32:
        raise ValueError(
            f"`preprocessing` must give float32 examples of shape {event_shape}. "
            f"Received: one that gives {x.dtype.name} of shape {tuple(x.shape[1:])} for "
            f"{served.dtype.name} of shape {tuple(served.shape[1:])}. Fix: begin it with "
            "`keras.Input(shape, dtype=...)` of what is served, and end it with x."
        )


def _of_zeros(model: Any) -> tuple[Any, Any, Any]:
    """Returns posterior, prior and likelihood of one row of zeros."""
    shapes = model.get_build_config()["input_shape"]
    inputs = {key: tf.zeros((1, *shape[1:])) for key, shape in shapes.items()}
    condition = inputs.get("condition")
    likelihood = model.decode(tf.zeros((1, *model.latent_shape)), condition)
    return model.encode(inputs), model.prior(condition), likelihood


def _check_moments(posterior: Any, likelihood: Any) -> None:
    """Refuses families without the mean that the signatures give, such as the Cauchy.

    Behind a flow and on a simplex the center stands for it, and there is no standard deviation.

    Raises:
        ValueError: If one is not known, or not finite for zeros.
    """
    for name, distribution, moment, value in [
        ("encoder", posterior, "mean", _known(lambda: center(posterior))),
        ("encoder", posterior, "standard deviation", _known(posterior.stddev, or_else=0.0)),
        ("decoder", likelihood, "mean", _known(likelihood.mean)),
    ]:
        if value is None or not np.isfinite(value).all():
            raise ValueError(
                f"`{name}` must give distributions of which the {moment} is known and finite, for "
                f"the signatures return it. Received: {distribution.name}. Fix: use another family."
            )


def _known(moment: Callable[[], tf.Tensor], or_else: Any = None) -> Any:
    """Returns a moment of a distribution, and something else where there is no formula for it."""
    try:
        return moment()
    except NotImplementedError:
        return or_else
