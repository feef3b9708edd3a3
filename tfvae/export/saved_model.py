"""SavedModels in TensorFlow Serving's layout: `path/<version>/`."""

import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae import checks
from tfvae.errors import ArtifactError
from tfvae.export.directory import partial_directory, publish
from tfvae.export.graph_check import check_graph
from tfvae.export.manifest import write_manifest
from tfvae.export.signatures import Signature, signatures
from tfvae.export.warm_up import inputs_of, write_warm_up
from tfvae.models import VAE

WARM_UP_ROWS = (1, 8)


def saved_model(
    model: Any,
    path: Any,
    *,
    preprocessing: Any = None,
    num_samples: int = 100,
    allow_untrained: bool = False,
) -> str:
    """Writes a VAE as the next version under `path`, whole or not at all.

    Signatures, inputs and outputs are named, all [batch, ...]: `encode` (also `serving_default`)
    gives `mean` and `scale` of q(z | x), `decode` the `mean` of p(x | z), `reconstruct` the `mean`
    of p(x | z) at the mean of q, `sample` a `z` from the prior with the `mean` of p(x | z),
    `encode_sample` a `z` from q, `elbo` and `log_evidence` numbers in nats. Those that draw take
    `seed`, int32 [batch, 2]: each row is a function of its own inputs and its own seed. `valid` is
    false for rows whose inputs are not finite; their other outputs mean nothing.

    What was written is loaded and compared with the model before it gets its name. Beside it are a
    manifest and requests for the server's warm-up.

    Args:
        model: A built `tfvae.VAE`.
        path: Base directory; the first version is 1, an existing version is never overwritten.
        preprocessing: A Keras layer or model from what is served to x, such as a `Sequential` of
            `Input((28, 28, 1), dtype="uint8")` and `Rescaling(1 / 255)`.
        num_samples: Draws a row of `elbo` and `log_evidence`.
        allow_untrained: Whether a model that has seen no training batch may be exported.

    Returns:
        The directory of the new version.

    Raises:
        TypeError: If `model` is no `tfvae.VAE`.
        ValueError: If it takes a mask, is not built or not trained, its families lack the moments,
            or it is not a function of its inputs alone.
        ArtifactError: If the directory cannot be written; earlier versions are as they were.

    Example:
    >>> saved_model(vae, "saved_models/digits")
    'saved_models/digits/1'
    """
    check_exportable(model, allow_untrained)
    checks.positive_integer("num_samples", num_samples)
    served, left_out = signatures(model, preprocessing=preprocessing, num_samples=num_samples)
    base = os.fspath(path)
    more = {"num_samples": num_samples, "left_out": left_out}
    try:
        with partial_directory(base) as partial:
            directory = os.path.join(partial, "model")
            endpoints = write_graph(model, served, directory, preprocessing)
            check_graph(directory)
            outputs = _verify(directory, served, endpoints)
            name = os.path.basename(os.path.abspath(base))
            requests = [
                (n, inputs_of(s.inputs, r)) for n, s in served.items() for r in WARM_UP_ROWS
            ]
            write_warm_up(directory, name, requests)
            write_manifest(directory, model, served, outputs, more)
            return publish(directory, base)
    except (OSError, tf.errors.OpError) as error:
        raise ArtifactError(
            f"`path` must be a writable directory. Received: {base!r}: {error}"
        ) from error


def check_exportable(model: Any, allow_untrained: bool) -> None:
    """Refuses a model that has no such signatures, knows no shapes, or has learned nothing.

    Raises:
        TypeError: If it is no `tfvae.VAE`.
        ValueError: If it takes a mask, or is not trained.
    """
    if not isinstance(model, VAE):
        raise TypeError(
            "`model` must be a `tfvae.VAE`, for the signatures of an export have one level of "
            f"latents. Received: {type(model).__name__}. Fix: use `save`."
        )
    if not model.built or not (allow_untrained or int(model.batches_seen.numpy())):
        raise ValueError(
            "`model` must be trained before it is exported. Received: a model that has seen no "
            "training batch. Fix: call `fit`, or build it and pass allow_untrained=True."
        )
    if "mask" in model.get_build_config()["input_shape"]:
        raise ValueError(
            "`model` must take x and a condition alone, as the signatures of an export do. "
            "Received: a model of data with a mask. Fix: use `save`, or train without a mask."
        )


def write_graph(
    model: Any, served: dict[str, Signature], directory: str, preprocessing: Any = None
) -> dict[str, Any]:
    """Writes a SavedModel, and returns its functions by signature."""
    archive = keras.export.ExportArchive()
    archive.track(model)
    if preprocessing is not None:
        archive.track(preprocessing)
    endpoints = {
        name: archive.add_endpoint(name, _checked(signature), list(signature.inputs))
        for name, signature in served.items()
        if name != "serving_default"  # Keras gives that name to the first one, `encode`
    }
    # Nothing is differentiated where it is served.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    archive.write_out(directory, options, verbose=False)
    return endpoints | {"serving_default": endpoints["encode"]}


def _checked(signature: Signature) -> Callable[..., dict[str, tf.Tensor]]:
    """A function whose errors name the input: a server compares no shapes."""

    def function(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        pairs = list(zip(signature.inputs, tensors, strict=True))
        tensors = [tf.ensure_shape(tensor, spec.shape) for spec, tensor in pairs]
        rows = [
            tf.debugging.assert_equal(
                tf.shape(tensor)[0],
                tf.shape(tensors[0])[0],
                f"`{spec.name}` must have as many rows as `{signature.inputs[0].name}`.",
            )
            for spec, tensor in pairs[1:]
        ]
        with tf.control_dependencies(rows):
            return signature.function(*map(tf.identity, tensors))

    return function


def _verify(
    directory: str, served: dict[str, Signature], endpoints: dict[str, Any]
) -> dict[str, dict[str, tf.TensorSpec]]:
    """Loads what was written, compares it with the model, and returns the specs of its outputs.

    Raises:
        ArtifactError: If it gives other numbers.
    """
    loaded = tf.saved_model.load(directory)
    for name, signature in served.items():
        inputs = {k: tf.constant(v) for k, v in inputs_of(signature.inputs, 2).items()}
        expected = endpoints[name](*(inputs[spec.name] for spec in signature.inputs))
        actual = loaded.signatures[name](**inputs)
        for key, value in expected.items():
            if not np.allclose(actual[key], value, rtol=1e-4, atol=1e-5, equal_nan=True):
                raise ArtifactError(
                    f"`{name}` must give what the model gives. Received: another `{key}` from what "
                    "was written. Fix: look for faults of the disk or the memory."
                )
    return {name: loaded.signatures[name].structured_outputs for name in served}
