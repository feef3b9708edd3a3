"""Signatures of a model as the content of a LiteRT file."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfvae.errors import ArtifactError
from tfvae.export.sampling import RowNoise, draw
from tfvae.export.saved_model import write_graph
from tfvae.export.signatures import Signature
from tfvae.models.inputs import unpack

DRAWN = {"sample", "encode_sample"}
NUM_ROWS = 64


class Converted(NamedTuple):
    """What a conversion gave.

    Attributes:
        content: The file's.
        served: Signatures in it.
        left_out: Those that are not, with the reason.
        lowered: The operations that were replaced.
    """

    content: bytes
    served: dict[str, Signature]
    left_out: dict[str, str]
    lowered: list[str]


def convert(
    model: Any,
    served: Mapping[str, Signature],
    rows: Mapping[str, np.ndarray],
    quantize: str | None = None,
) -> Converted:
    """Converts signatures; without those that draw, if it is only they that cannot be converted.

    Args:
        model: A built `tfvae.VAE`.
        served: Its signatures, with an open batch or a fixed one.
        rows: Inputs by name, of which the ranges for "int8" are taken.
        quantize: Key of `parity.TOLERANCES`.

    Raises:
        ValueError: If an operation cannot be converted.
    """
    with tempfile.TemporaryDirectory(prefix="tfvae-") as folder:
        conversion = Conversion(model, rows, quantize, folder)
        try:
            content, served, left_out = conversion.run(served), dict(served), {}
        except ValueError as error:
            required = {name: s for name, s in served.items() if name not in DRAWN}
            if len(required) == len(served):
                raise
            content = conversion.run(required)  # raises if it was not the drawing
            left_out = {name: str(error) for name in served if name in DRAWN}
            served = required
        return Converted(content, served, left_out, conversion.lowered)


class Conversion:
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


def rows_of(model: Any, data: Any) -> dict[str, np.ndarray]:
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
