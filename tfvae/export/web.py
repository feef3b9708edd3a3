"""A page that runs a model in the browser: an explorer of its latent space."""

import logging
import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.errors import ArtifactError
from tfvae.export.conversion import convert, rows_of
from tfvae.export.directory import partial_directory, publish_as
from tfvae.export.litertjs import Runtime
from tfvae.export.manifest import write_manifest
from tfvae.export.parity import parity
from tfvae.export.saved_model import check_exportable
from tfvae.export.signatures import Outputs, Signature, signatures
from tfvae.export.tflite import NAMES, check_installed
from tfvae.export.web_contents import card_of, display_of, latents_of

log = logging.getLogger("tfvae")

PAGE = pathlib.Path(__file__).with_name("page")
MANIFEST, MODEL, RUNTIME, EXAMPLES = "manifest.json", "model.tflite", "litertjs", "examples"
TILE = 64  # decodings at once, for the map
MAX_EXAMPLES = 64


def web(
    model: Any,
    path: Any,
    *,
    examples: Any = None,
    card: Mapping[str, str] | None = None,
    litertjs: Any = None,
    allow_untrained: bool = False,
) -> str:
    """Writes a VAE as a folder that any static server can serve: a page, the model, the runtime.

    The page drives the decoder with sliders and a map over two latent dimensions, encodes images
    (or rows of numbers), draws from the prior with a seed, and shows the model card. The model runs
    in the visitor's browser, by WebAssembly; nothing is loaded from elsewhere.

    The signatures are those of `tflite`, at a batch of 1, and `decode_64`; browsers take no open
    batch. `valid` is an int32 in them. Each was run and compared with the model.

    Args:
        model: A built `tfvae.VAE`.
        path: A new folder.
        examples: Up to 64 examples, [N, ...] or a dictionary of arrays, which the page offers to
            encode: whoever may see the page has them. Latent dimensions are listed by how much the
            codes of these vary; without any, the codes of what the model generates.
        card: What the page says of the model beside its sizes and families, by name.
        litertjs: Folder where `@litertjs/core` is installed; by default what the environment
            variable TFVAE_LITERTJS names, else `node_modules` here or above.
        allow_untrained: Whether a model that has seen no training batch may be exported.

    Returns:
        The path.

    Raises:
        TypeError: If `model` is no `tfvae.VAE`, or `card` not of texts.
        ValueError: If it takes a mask, an argument does not fit, or it does not convert, run or
            agree.
        ArtifactError: If the folder exists or cannot be written, or the runtime lacks files.
        ImportError: If `ai-edge-litert` or `@litertjs/core` is not installed.

    Example:
    >>> web(vae, "pages/digits", examples=x_test[:24])
    'pages/digits'
    """
    check_exportable(model, allow_untrained)
    check_installed("web")
    path = _checked_path(path)
    _check_card(card)
    runtime = Runtime(litertjs)
    rows = rows_of(model, examples)
    _check_examples(examples, rows)
    served, left_out = signatures(model)
    left_out = {name: reason for name, reason in left_out.items() if name in NAMES}
    converted = convert(model, _fixed(served), rows)
    report = parity(converted.content, converted.served, rows, None)
    left_out |= converted.left_out
    for name, reason in left_out.items():
        log.warning("The export leaves out %s: %s.", name, reason)
    more = {
        "title": os.path.basename(os.path.abspath(path)),
        "event_shape": list(model.event_shape),
        "condition_size": rows["condition"].shape[-1] if "condition" in rows else 0,
        "latents": latents_of(model, rows),
        "display": display_of(model, rows["x"]),
        "num_examples": 0 if examples is None else len(rows["x"]),
        "card": card_of(model) | dict(card or {}),
        "left_out": left_out,
        "parity": report,
        "litertjs": runtime.version,
    }
    try:
        with partial_directory(os.path.dirname(os.path.abspath(path))) as partial:
            directory = os.path.join(partial, "page")
            shutil.copytree(PAGE, directory, copy_function=shutil.copyfile)
            runtime.copy_to(os.path.join(directory, RUNTIME))
            pathlib.Path(directory, MODEL).write_bytes(converted.content)
            if examples is not None:
                _write_examples(os.path.join(directory, EXAMPLES), rows)
            outputs = {name: _outputs(s) for name, s in converted.served.items()}
            write_manifest(directory, model, converted.served, outputs, more, MANIFEST)
            publish_as(directory, path)
    except OSError as error:
        raise ArtifactError(
            f"`path` must be a new folder where one can write. Received: path={path!r}: {error}"
        ) from error
    return path


def _fixed(served: Mapping[str, Signature]) -> dict[str, Signature]:
    """Returns the signatures at the batches that the page uses."""
    fixed = {name: _at(served[name], 1) for name in NAMES if name in served}
    return fixed | {f"decode_{TILE}": _at(served["decode"], TILE)}


def _at(signature: Signature, batch: int) -> Signature:
    def function(*tensors: tf.Tensor) -> Outputs:
        outputs = signature.function(*tensors)
        # LiteRT's JavaScript reads float32, int32 and uint8.
        return {k: tf.cast(v, tf.int32) if v.dtype == tf.bool else v for k, v in outputs.items()}

    inputs = tuple(
        tf.TensorSpec((batch, *spec.shape[1:]), spec.dtype, spec.name) for spec in signature.inputs
    )
    return Signature(function, inputs)


def _outputs(signature: Signature) -> dict[str, tf.TensorSpec]:
    zeros = [tf.zeros(spec.shape, spec.dtype) for spec in signature.inputs]
    return {k: tf.TensorSpec(v.shape, v.dtype, k) for k, v in signature.function(*zeros).items()}


def _write_examples(directory: str, rows: Mapping[str, np.ndarray]) -> None:
    os.makedirs(directory)
    for name in ("x", "condition"):
        if name in rows:
            content = np.ascontiguousarray(rows[name], "<f4").tobytes()
            pathlib.Path(directory, f"{name}.bin").write_bytes(content)


def _checked_path(path: Any) -> str:
    path = os.fspath(path)
    if os.path.lexists(path):
        raise ArtifactError(
            f"`path` must be a new folder. Received: path={path!r}, which exists. "
            "Fix: give another name, or remove it first."
        )
    return path


def _check_card(card: Any) -> None:
    if card is None:
        return
    if not isinstance(card, Mapping) or not all(
        isinstance(text, str) for item in card.items() for text in item
    ):
        raise TypeError(
            f"`card` must be a dictionary of texts by name. Received: card={card!r}. "
            'Fix: pass such as {"Data": "handwritten digits", "ELBO": "-18.92 nats"}.'
        )


def _check_examples(examples: Any, rows: Mapping[str, np.ndarray]) -> None:
    if examples is not None and not 1 <= len(rows["x"]) <= MAX_EXAMPLES:
        raise ValueError(
            f"`examples` must be 1 to {MAX_EXAMPLES} examples. Received: {len(rows['x'])}. "
            f"Fix: pass examples[:{MAX_EXAMPLES}]."
        )
