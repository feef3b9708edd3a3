"""Data that are legal but suspicious: said once, and trained on."""

import logging
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae.models.arrays import is_sparse

log = logging.getLogger("tfvae")
ROWS = 10_000  # enough to know a column by


def note_oddities(model: Any, train: Any, validation: Any = None) -> None:
    """Warns, once a model, of what data and model together make suspicious.

    Args:
        model: A built model.
        train: Arrays to train on; streams are passed over.
        validation: Arrays to validate on, or None.
    """
    parts = train if isinstance(train, Mapping) else {"x": train}
    if hasattr(model, "latent_shape") and model.num_latents > np.prod(model.event_shape):
        _once(
            model,
            "latent",
            f"the latents have {model.num_latents} numbers, an example has "
            f"{np.prod(model.event_shape)}: the posterior can copy x. Fix: fewer "
            "latents, unless they are meant to be many.",
        )
    _note_shared_layers(model)
    if not hasattr(parts.get("x"), "shape"):
        return
    if hasattr(parts.get("mask"), "shape") and not np.any(parts["mask"]):
        _once(model, "mask", "mask has no 1: nothing of x is observed, and nothing is learned.")
    x = parts["x"]
    head = x[:ROWS].toarray() if is_sparse(x[:ROWS]) else np.asarray(x[:ROWS])
    if model.support.is_binary is True and ((head > 0) & (head < 1)).any():
        _once(
            model,
            "grey",
            "x has values between 0 and 1, of which a Bernoulli likelihood is no density: its ELBO "
            "compares with no other. Fix: make x binary, or use ContinuousBernoulli.",
        )
    if len(head) > 1:
        _note_constants(model, head)
    if validation is not None and _are_equal(train, validation):
        _once(
            model,
            "validation",
            "the validation data are the training data: val_* say nothing about new examples. "
            "Fix: hold rows back, `validation_split=0.1`.",
        )


def _note_constants(model: Any, x: np.ndarray) -> None:
    constant = np.ravel(x.min(axis=0) == x.max(axis=0))
    if constant.all():
        _once(model, "identical", f"all of {len(x)} rows of x are identical: there is one example.")
    elif constant.any() and _has_learned_scale(model):
        columns = ", ".join(map(str, np.flatnonzero(constant)[:5]))
        more = f" and {constant.sum() - 5} more" if constant.sum() > 5 else ""
        _once(
            model,
            "constant",
            f"x has columns that never change ({columns}{more}) under a likelihood with a learned "
            "scale, which will fall to its floor there and dominate the loss. Fix: drop them, or "
            'fix the scale, Head(..., fixed={"scale": 0.1}).',
        )


def _note_shared_layers(model: Any) -> None:
    """Names layers with weights that are in the encoder and in the decoder."""
    parts = [getattr(model, name, None) for name in ("encoder", "decoder")]
    if not all(isinstance(p, keras.layers.Layer) for p in parts):
        return
    ours = {id(layer) for layer in parts[0]._flatten_layers()}
    shared = [la.name for la in parts[1]._flatten_layers() if id(la) in ours and la.weights]
    if shared:
        _once(
            model,
            "shared",
            f"encoder and decoder share the layer {shared[-1]!r}: an update of one changes the "
            "other. Fix: make two layers, unless the weights are meant to be tied.",
        )


def _has_learned_scale(model: Any) -> bool:
    head = getattr(getattr(model, "decoder", None), "head", None)
    return "scale" in getattr(getattr(head, "_family", None), "free", {})


def _are_equal(a: Any, b: Any) -> bool:
    first, second = tf.nest.flatten(a), tf.nest.flatten(b)
    if len(first) != len(second):
        return False
    return all(_same(x, y) for x, y in zip(first, second, strict=True))


def _same(x: Any, y: Any) -> bool:
    if x is y:
        return True
    if not (hasattr(x, "shape") and hasattr(y, "shape")) or tuple(x.shape) != tuple(y.shape):
        return False
    if is_sparse(x) or is_sparse(y):
        return False
    # The first rows almost always say that they differ.
    return np.array_equal(x[:8], y[:8]) and np.array_equal(x, y)


def _once(model: Any, key: str, message: str) -> None:
    if key not in model._noted:
        model._noted |= {key}
        log.warning("%s", message)
