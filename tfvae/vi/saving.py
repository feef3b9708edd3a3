"""Files of fits: arrays and a JSON header in one `.npz`."""

import json
import os
import zipfile
from typing import Any

import keras
import numpy as np

from tfvae.errors import ArtifactError
from tfvae.models.saving import written_whole
from tfvae.serialization import unregistered
from tfvae.vi import surrogates
from tfvae.vi.feed import Feed
from tfvae.vi.inference import Inference
from tfvae.vi.result import Fit
from tfvae.vi.sampling import Sampler
from tfvae.vi.target import Target

FORMAT = 1


def write(fit: Fit, path: Any) -> None:
    """Writes a fit; see `Fit.save`."""
    path = os.fspath(path)
    if not path.endswith(".npz"):
        raise ValueError(f"`path` must end with '.npz'. Received: path={path!r}. Fix: rename it.")
    config = keras.saving.serialize_keras_object(fit.surrogate)
    if names := unregistered(config):
        raise ValueError(
            "`save` must know every layer of the surrogate by a registered name. "
            f"Received: {', '.join(names)}. Fix: decorate with "
            "`@keras.saving.register_keras_serializable('mine')`."
        )
    has_data = fit.feed.dataset is None
    header = {
        "format": FORMAT,
        "surrogate": config,
        "latents": [[n, list(s)] for n, s in fit.inference.target.labels],
        "steps": fit.steps,
        "seed": fit.seed,
        "gradients": fit.gradients,
        "reasons": fit.optimisation_reasons,
        "data": list(fit.feed.arrays()) if has_data else None,
    }
    arrays = {f"weight_{i}": w for i, w in enumerate(fit.surrogate.get_weights())}
    if has_data:
        arrays |= {f"data_{i}": v for i, v in enumerate(fit.feed.arrays().values())}
    with written_whole(path) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, header=np.array(json.dumps(header)), **arrays)


def load(path: Any, joint: Any, data: Any = None, num_examples: int | None = None) -> Fit:
    """Reads a fit that `Fit.save` wrote; its bound and k-hat are computed anew.

    Args:
        path: The `.npz` file.
        joint: The joint distribution, or the function, that was fitted.
        data: The data of the fit, where they were a dataset; arrays are in the file.
        num_examples: As in `vi.fit`.

    Raises:
        ArtifactError: If the file is none of a fit, or that of another joint.
        ValueError: If the data are missing.

    Example:
    >>> vi.load("schools.npz", joint).mean()  # doctest: +SKIP
    """
    path = os.fspath(path)
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            header = json.loads(str(file["header"]))
            arrays = {k: file[k] for k in file.files if k != "header"}
        config, latents = header["surrogate"], header["latents"]
        if header["format"] != FORMAT:
            raise ValueError(f"format {header['format']}")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(
            f"`path` must be a file that `Fit.save` wrote. Received: path={path!r}: {error}"
        ) from error
    if data is None:
        if header["data"] is None:
            raise ValueError(
                "`data` must be given for a fit of a dataset, which the file does not hold. "
                "Received: data=None. Fix: pass the dataset and num_examples."
            )
        data = {n: arrays[f"data_{i}"] for i, n in enumerate(header["data"])}
    feed = Feed(joint, data, num_examples)
    target = Target(joint, feed.values, feed.covariates, feed.scale)
    if [[n, list(s)] for n, s in target.labels] != latents:
        raise ArtifactError(
            f"`joint` must have the latents of the fit, {latents}. "
            f"Received: {[[n, list(s)] for n, s in target.labels]}. Fix: pass the joint of the fit."
        )
    layer = surrogates.make(keras.saving.deserialize_keras_object(config), target.size)
    num_weights = sum(k.startswith("weight_") for k in arrays)
    layer.set_weights([arrays[f"weight_{i}"] for i in range(num_weights)])
    sampler = Sampler(Inference(target, layer), feed)
    return Fit(sampler, header["reasons"], header["steps"], header["seed"], header["gradients"])
