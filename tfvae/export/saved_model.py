"""SavedModels in TensorFlow Serving's layout: `path/<version>/`."""

import errno
import os
import shutil
import tempfile
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae.errors import ArtifactError

Outputs = dict[str, tf.Tensor]


def saved_model(model: Any, path: Any, *, allow_untrained: bool = False) -> str:
    """Writes a VAE as the next version under `path`, whole or not at all.

    Signatures, inputs and outputs are named, all [batch, ...]: `encode` (also `serving_default`)
    gives `mean` and `scale` of q(z | x), `decode` the `mean` of p(x | z), `reconstruct` the `mean`
    of p(x | z) at the mean of q. `valid` is false for rows whose inputs are not finite; their other
    outputs mean nothing.

    Args:
        model: A built `tfvae.VAE`.
        path: Base directory; the first version is 1, an existing version is never overwritten.
        allow_untrained: Whether a model that has seen no training batch may be exported.

    Returns:
        The directory of the new version.

    Raises:
        ValueError: If the model is not built or not trained, or its families lack the moments.
        ArtifactError: If the directory cannot be written; earlier versions are as they were.

    Example:
    >>> saved_model(vae, "saved_models/digits")
    'saved_models/digits/1'
    """
    if not model.built or not (allow_untrained or int(model.batches_seen.numpy())):
        raise ValueError(
            "`model` must be trained before it is exported. Received: a model that has seen no "
            "training batch. Fix: call `fit`, or build it and pass allow_untrained=True."
        )
    _check_moments(model)
    base = os.fspath(path)
    try:
        os.makedirs(base, exist_ok=True)
        # Not an integer, so that a server which polls `base` never takes it for a version.
        partial = tempfile.mkdtemp(prefix=".partial-", dir=base)
        try:
            _write(model, os.path.join(partial, "model"))
            return _publish(os.path.join(partial, "model"), base)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except (OSError, tf.errors.OpError) as error:
        raise ArtifactError(
            f"`path` must be a writable directory. Received: {base!r}: {error}"
        ) from error


def _check_moments(model: Any) -> None:
    """Refuses families without the moments that the signatures give, such as the Cauchy.

    Raises:
        ValueError: If one is not known, or not finite for zeros.
    """
    shapes = model.get_build_config()["input_shape"]
    inputs = {key: tf.zeros((1, *shape[1:])) for key, shape in shapes.items()}
    z = tf.zeros((1, *model.latent_shape))
    posterior, likelihood = model.encode(inputs), model.decode(z, inputs.get("condition"))
    for name, distribution, moment in [
        ("encoder", posterior, "mean"),
        ("encoder", posterior, "stddev"),
        ("decoder", likelihood, "mean"),
    ]:
        try:
            is_finite = np.isfinite(getattr(distribution, moment)()).all()
        except NotImplementedError:
            is_finite = False
        if not is_finite:
            raise ValueError(
                f"`{name}` must give distributions of which the {moment} is known and finite, for "
                f"the signatures return it. Received: {distribution.name}. Fix: use another family."
            )


def _write(model: Any, directory: str) -> None:
    condition_shape = model.get_build_config()["input_shape"].get("condition")
    x = tf.TensorSpec((None, *model.event_shape), tf.float32, "x")
    z = tf.TensorSpec((None, *model.latent_shape), tf.float32, "z")
    condition = (
        []
        if condition_shape is None
        else [tf.TensorSpec((None, condition_shape[-1]), name="condition")]
    )

    def inputs(x: tf.Tensor, condition: tf.Tensor | None) -> dict[str, tf.Tensor]:
        return {"x": x} | ({} if condition is None else {"condition": condition})

    def encode(x: tf.Tensor, condition: tf.Tensor | None = None) -> Outputs:
        (x, condition), valid = _finite_rows(x, condition)
        posterior = model.encode(inputs(x, condition))
        return {"mean": posterior.mean(), "scale": posterior.stddev(), "valid": valid}

    def decode(z: tf.Tensor, condition: tf.Tensor | None = None) -> Outputs:
        (z, condition), valid = _finite_rows(z, condition)
        return {"mean": model.decode(z, condition).mean(), "valid": valid}

    def reconstruct(x: tf.Tensor, condition: tf.Tensor | None = None) -> Outputs:
        (x, condition), valid = _finite_rows(x, condition)
        return {"mean": model.reconstruct(inputs(x, condition)), "valid": valid}

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", encode, [x, *condition])
    archive.add_endpoint("encode", encode, [x, *condition])
    archive.add_endpoint("decode", decode, [z, *condition])
    archive.add_endpoint("reconstruct", reconstruct, [x, *condition])
    archive.write_out(directory, verbose=False)


def _finite_rows(*arrays: tf.Tensor | None) -> tuple[list[tf.Tensor | None], tf.Tensor]:
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


def _publish(directory: str, base: str) -> str:
    """Renames a finished directory to the next free version, and returns that."""
    while True:
        versions = [int(name) for name in os.listdir(base) if name.isascii() and name.isdigit()]
        target = os.path.join(base, str(max(versions, default=0) + 1))
        try:
            os.rename(directory, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            continue  # somebody else has just published that version
        return target
