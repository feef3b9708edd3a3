"""LiteRT (TFLite) files of built-in operations, run and compared before they are published."""

import importlib.util
import json
import logging
import os
import pathlib
from typing import Any

from tfvae.errors import ArtifactError, did_you_mean
from tfvae.export.conversion import DRAWN, convert, rows_of
from tfvae.export.parity import TOLERANCES, parity
from tfvae.export.saved_model import check_exportable
from tfvae.export.signatures import signatures
from tfvae.models.saving import written_whole
from tfvae.versions import installed_versions

log = logging.getLogger("tfvae")

NAMES = ("encode", "decode", "reconstruct", "sample", "encode_sample")


def tflite(
    model: Any,
    path: Any,
    *,
    quantize: str | None = None,
    representative_data: Any = None,
    allow_untrained: bool = False,
) -> str:
    """Writes a VAE as one LiteRT file with the signatures of `saved_model` but for the densities.

    The file has LiteRT's built-in operations only. Each signature is run at two batch sizes and
    compared with the model; errors, latency and size are in `<name>.parity.json` beside the file.
    With "int8" there are neither `sample` nor `encode_sample`: their noise would have 256 levels.
    Recurrent layers are unrolled over their time steps.

    Args:
        model: A built `tfvae.VAE`.
        path: A new file that ends with ".tflite".
        quantize: None (float32), "float16", "int8-dynamic" (8-bit weights, activations quantized
            as they come), "int8-weight-only" (8-bit weights, float32 arithmetic) or "int8" (8-bit
            weights and activations).
        representative_data: Examples [N, ...], or a dictionary of arrays, of which the ranges of
            the activations are taken for "int8"; also those that are compared.
        allow_untrained: Whether a model that has seen no training batch may be exported.

    Returns:
        The path.

    Raises:
        TypeError: If `model` is no `tfvae.VAE`.
        ValueError: If it takes a mask, an argument does not fit, or it does not convert, run or
            agree.
        ArtifactError: If the file exists or cannot be written.
        ImportError: If `ai-edge-litert` is not installed.

    Example:
    >>> tflite(vae, "digits.tflite", quantize="float16")
    'digits.tflite'
    """
    check_exportable(model, allow_untrained)
    path = _checked_path(path)
    _check_quantize(quantize, representative_data)
    served, left_out = signatures(model)
    left_out = {name: reason for name, reason in left_out.items() if name in NAMES}
    if quantize == "int8":
        left_out |= dict.fromkeys(DRAWN, "the noise would have 256 levels")
    served = {name: served[name] for name in NAMES if name not in left_out}
    rows = rows_of(model, representative_data)
    converted = convert(model, served, rows, quantize)
    left_out |= converted.left_out
    report = {
        "path": os.path.basename(path),
        "quantize": quantize,
        "bytes": len(converted.content),
        "tolerance": TOLERANCES[quantize],
        "signatures": parity(converted.content, converted.served, rows, quantize),
        "left_out": left_out,
        "lowered": converted.lowered,
        "versions": installed_versions(),
    }
    for name, reason in left_out.items():
        log.warning("The export leaves out %s: %s.", name, reason)
    text = json.dumps(report, indent=2, allow_nan=False) + "\n"
    with written_whole(report_path(path)) as beside, written_whole(path) as partial:
        pathlib.Path(beside).write_text(text, encoding="utf-8")
        pathlib.Path(partial).write_bytes(converted.content)
    return path


def report_path(path: str) -> str:
    """Returns where the report of a file is."""
    return path.removesuffix(".tflite") + ".parity.json"


def check_installed(function: str) -> None:
    """Refuses to export where what is written cannot be run.

    Raises:
        ImportError: If there is no LiteRT.
    """
    if importlib.util.find_spec("ai_edge_litert") is None:
        raise ImportError(
            f"`{function}` must have ai-edge-litert, to run what it writes. "
            "Fix: pip install 'tfvae[litert]'."
        )


def _checked_path(path: Any) -> str:
    check_installed("tflite")
    path = os.fspath(path)
    if not path.endswith(".tflite"):
        raise ValueError(
            f"`path` must end with '.tflite'. Received: path={path!r}. Fix: rename it."
        )
    if os.path.lexists(path):
        raise ArtifactError(
            f"`path` must be a new file. Received: path={path!r}, which exists. "
            "Fix: give another name, or remove it first."
        )
    return path


def _check_quantize(quantize: Any, representative_data: Any) -> None:
    known = [name for name in TOLERANCES if name]
    if quantize is not None and quantize not in known:
        raise ValueError(
            f"`quantize` must be None or one of {', '.join(known)}. "
            f"Received: quantize={quantize!r}.{did_you_mean(quantize, known)}"
        )
    if quantize == "int8" and representative_data is None:
        raise ValueError(
            "`representative_data` must be given with quantize='int8', which takes the ranges of "
            "the activations from it. Received: None. Fix: pass some hundred training examples."
        )
    if quantize == "int8-weight-only" and importlib.util.find_spec("ai_edge_quantizer") is None:
        raise ImportError(
            "`quantize='int8-weight-only'` must have ai-edge-quantizer. "
            "Fix: pip install 'tfvae[litert]'."
        )
