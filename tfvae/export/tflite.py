"""LiteRT (TFLite) files of built-in operations, run and compared before they are published."""

import contextlib
import importlib.util
import json
import logging
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.errors import ArtifactError, did_you_mean
from tfvae.export.parity import TOLERANCES, parity
from tfvae.export.sampling import RowNoise, draw
from tfvae.export.saved_model import check_exportable, write_graph
from tfvae.export.signatures import Signature, signatures
from tfvae.models.inputs import unpack
from tfvae.models.saving import written_whole
from tfvae.versions import installed_versions

log = logging.getLogger("tfvae")

NAMES = ("encode", "decode", "reconstruct", "sample", "encode_sample")
DRAWN = {"sample", "encode_sample"}
NUM_ROWS = 64


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
    rows = _rows(model, representative_data)
    with tempfile.TemporaryDirectory(prefix="tfvae-") as folder:
        converted = _Conversion(model, rows, quantize, folder)
        try:
            content = converted.run(served)
        except ValueError as error:
            required = {name: s for name, s in served.items() if name not in DRAWN}
            if len(required) == len(served):
                raise
            content = converted.run(required)  # raises if it was not the drawing
            left_out |= {name: str(error) for name in served if name in DRAWN}
            served = required
        report = {
            "path": os.path.basename(path),
            "quantize": quantize,
            "bytes": len(content),
            "tolerance": TOLERANCES[quantize],
            "signatures": parity(content, served, rows, quantize),
            "left_out": left_out,
            "lowered": converted.lowered,
            "versions": installed_versions(),
        }
    for name, reason in left_out.items():
        log.warning("The export leaves out %s: %s.", name, reason)
    text = json.dumps(report, indent=2, allow_nan=False) + "\n"
    with written_whole(report_path(path)) as beside, written_whole(path) as partial:
        pathlib.Path(beside).write_text(text, encoding="utf-8")
        pathlib.Path(partial).write_bytes(content)
    return path


def report_path(path: str) -> str:
    """Returns where the report of a file is."""
    return path.removesuffix(".tflite") + ".parity.json"


class _Conversion:
    """Conversions of a model's signatures, each in a process of its own."""

    def __init__(
        self, model: Any, rows: Mapping[str, np.ndarray], quantize: str | None, folder: str
    ):
        self._model, self._folder, self._quantize = model, folder, quantize
        self._rows = os.path.join(folder, "rows.npz")
        self.lowered: list[str] = []
        np.savez(self._rows, **rows)

    def run(self, served: Mapping[str, Signature]) -> bytes:
        """Returns the file's content.

        Raises:
            ValueError: If an operation cannot be converted.
        """
        folder = tempfile.mkdtemp(dir=self._folder)
        task = {
            "saved_model": os.path.join(folder, "model"),
            "signatures": {name: [i.name for i in s.inputs] for name, s in served.items()},
            "quantize": self._quantize,
            "rows": self._rows,
            "out": os.path.join(folder, "model.tflite"),
            "result": os.path.join(folder, "result.json"),
        }
        with _unrolled(self._model):
            write_graph(self._model, served, task["saved_model"])
        path = pathlib.Path(folder, "task.json")
        path.write_text(json.dumps(task), encoding="utf-8")
        converter = pathlib.Path(__file__).with_name("lite_converter.py")
        done = subprocess.run([sys.executable, converter, path], capture_output=True, text=True)
        if not os.path.exists(task["result"]):
            raise ArtifactError(
                "`path` must be on a machine that can convert the model. Received: a converter "
                f"that ended with {done.returncode}: {done.stderr[-500:]}"
            )
        result = json.loads(pathlib.Path(task["result"]).read_text(encoding="utf-8"))
        if "error" in result:
            raise ValueError(_sentence(result["error"]))
        self.lowered = result["lowered"]
        return pathlib.Path(task["out"]).read_bytes()


def _sentence(error: str) -> str:
    listed = ", ".join(re.findall(r"TF Select ops: (.*)", error)).split(", ")
    operations = sorted({*re.findall(r"'tf\.(\w+)' op", error), *listed} - {""})
    received = (
        f"a model with {', '.join(operations)}" if operations else " ".join(error.split())[:500]
    )
    return (
        "`model` must consist of operations that LiteRT has built in. Received: "
        f"{received}. Fix: use another layer or family in place of the one with that operation."
    )


def _checked_path(path: Any) -> str:
    if importlib.util.find_spec("ai_edge_litert") is None:
        raise ImportError(
            "`tflite` must have ai-edge-litert, to run what it writes. "
            "Fix: pip install 'tfvae[litert]'."
        )
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


def _rows(model: Any, data: Any) -> dict[str, np.ndarray]:
    """Returns inputs by name, [N, ...]: those given, or else what the model itself gives."""
    shape = model.get_build_config()["input_shape"].get("condition")
    if data is not None:
        x, condition, *_ = unpack(data, model.event_shape)
        x = x.numpy()
        given = None if condition is None else condition.numpy()
    else:
        given = None if shape is None else np.resize(np.eye(shape[-1]), (NUM_ROWS, shape[-1]))
        z = np.random.default_rng(0).normal(size=(NUM_ROWS, *model.latent_shape))
        x = model.decode(np.float32(z), given).mean().numpy()
    inputs = {"x": x} | ({} if shape is None else {"condition": np.float32(given)})
    posterior = model.encode(inputs)
    seed = np.stack([np.arange(len(x)), -7 * np.arange(len(x))], axis=1).astype("int32")
    try:
        z = draw(posterior, RowNoise(tf.constant(seed)))
    except NotImplementedError:
        z = posterior.mean()
    return inputs | {"z": np.float32(z), "seed": seed}


@contextlib.contextmanager
def _unrolled(model: Any) -> Iterator[None]:
    """Unrolls recurrent layers: their loop keeps a list of tensors of unknown batch."""
    layers = [layer for layer in model._flatten_layers() if hasattr(layer, "unroll")]
    before = [layer.unroll for layer in layers]
    for layer in layers:
        layer.unroll = True
    try:
        yield
    finally:
        for layer, value in zip(layers, before, strict=True):
            layer.unroll = value
