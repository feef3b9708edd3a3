"""Converts a SavedModel to LiteRT, in a process of its own: a conversion keeps its memory.

Usage: lite_converter.py TASK.json, with the keys saved_model, signatures, quantize, rows (an .npz
with inputs by name, of which each row is one calibration), out and result. TensorFlow alone is
imported, which is quicker. RESULT is JSON: either `lowered`, the operations that were replaced, or
`error`.
"""

import json
import os
import sys
import tempfile

import numpy as np
import tensorflow as tf
from lowering import lower  # beside this file
from tensorflow.core.protobuf import saved_model_pb2


def convert(task: dict) -> list[str]:
    """Writes the file, and returns the operations that were replaced."""
    path = os.path.join(task["saved_model"], "saved_model.pb")
    saved = saved_model_pb2.SavedModel()
    with open(path, "rb") as file:
        saved.ParseFromString(file.read())
    lowered = lower(saved)
    with open(path, "wb") as file:
        file.write(saved.SerializeToString())
    converter = tf.lite.TFLiteConverter.from_saved_model(
        task["saved_model"], signature_keys=list(task["signatures"])
    )
    if task["quantize"] in ("float16", "int8-dynamic", "int8"):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if task["quantize"] == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if task["quantize"] == "int8":
        converter.representative_dataset = lambda: calibrations(task)
    content = converter.convert()
    with open(task["out"], "wb") as file:
        file.write(
            weights_quantized(content) if task["quantize"] == "int8-weight-only" else content
        )
    return lowered


def calibrations(task: dict):
    """Yields (signature, inputs of one row)."""
    with np.load(task["rows"], allow_pickle=False) as arrays:
        rows = dict(arrays)
    for i in range(len(next(iter(rows.values())))):
        for name, inputs in task["signatures"].items():
            yield name, {key: rows[key][i : i + 1] for key in inputs}


def weights_quantized(content: bytes) -> bytes:
    """Puts 8-bit weights in place of the large ones of 32 bits; activations stay as they are."""
    from ai_edge_quantizer import quantizer, recipe

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.tflite")
        with open(path, "wb") as file:
            file.write(content)
        made = quantizer.Quantizer(path)
        made.load_quantization_recipe(recipe.weight_only_wi8_afp32())
        return bytes(made.quantize().quantized_model)


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: its names are ours alone
    with open(sys.argv[1], encoding="utf-8") as file:
        task = json.load(file)
    try:
        result = {"lowered": convert(task)}
    except Exception as error:  # the converter has several kinds, and says all in the text
        result = {"error": f"{type(error).__name__}: {error}"}
    with open(task["result"], "w", encoding="utf-8") as file:
        json.dump(result, file)
