"""Runs a LiteRT file and compares it with the model that it was made from."""

import statistics
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.export.signatures import Signature

# Root mean square of the error, relative to that of the signature's outputs.
TOLERANCES = {
    None: 1e-4,
    "float16": 1e-2,
    "int8-weight-only": 0.05,
    "int8-dynamic": 0.1,
    "int8": 0.2,
}
BATCHES = (1, 64)  # two sizes: what is wrong with an open batch shows at the second


def parity(
    content: bytes,
    served: Mapping[str, Signature],
    rows: Mapping[str, np.ndarray],
    quantize: str | None,
) -> dict[str, dict[str, Any]]:
    """Returns errors and latency by signature.

    Args:
        content: The LiteRT file.
        served: Signatures in it.
        rows: Inputs by name, [N, ...]; repeated up to the largest batch.
        quantize: Key of `TOLERANCES`.

    Raises:
        ValueError: If a signature does not run, or gives other numbers than the model.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    report = {}
    for name, signature in served.items():
        runner = interpreter.get_signature_runner(name)
        report[name] = {"max_error": 0.0, "rms_error": 0.0, "relative_error": 0.0}
        report[name]["milliseconds"] = {}
        fixed = signature.inputs[0].shape[0]
        for size in BATCHES if fixed is None else (fixed,):
            inputs = {
                s.name: np.resize(rows[s.name], (size, *s.shape[1:])) for s in signature.inputs
            }
            try:
                actual = runner(**inputs)
                times = [_milliseconds(runner, inputs) for _ in range(5)]
            except (RuntimeError, ValueError) as error:
                raise ValueError(
                    f"`{name}` must run in LiteRT at a batch of {size}. Received: {error}. Fix: "
                    "change the layer or family that the operation belongs to."
                ) from error
            expected = signature.function(*(tf.constant(inputs[s.name]) for s in signature.inputs))
            _compare(report[name], name, actual, expected, quantize)
            report[name]["milliseconds"][str(size)] = round(statistics.median(times), 4)
    return report


def _compare(
    entry: dict[str, Any],
    name: str,
    actual: Mapping[str, np.ndarray],
    expected: Mapping[str, tf.Tensor],
    quantize: str | None,
) -> None:
    """Adds the errors of one run to a signature's entry.

    Raises:
        ValueError: If they are too large.
    """
    numbers = {key: value.numpy() for key, value in expected.items()}
    errors = {
        key: np.abs(np.float64(value) - actual[key])
        if actual[key].shape == value.shape
        else np.array(np.inf)
        for key, value in numbers.items()
    }
    exact = [e for key, e in errors.items() if numbers[key].dtype != np.float32]
    close = np.concatenate([e.ravel() for k, e in errors.items() if numbers[k].dtype == np.float32])
    size = np.concatenate([v.ravel() for v in numbers.values() if v.dtype == np.float32])
    rms = float(np.sqrt(np.mean(close**2)))
    relative = rms / max(float(np.sqrt(np.mean(np.float64(size) ** 2))), 1e-6)
    if not relative <= TOLERANCES[quantize] or any(e.any() for e in exact):
        worst = max(errors, key=lambda key: np.nan_to_num(errors[key].max(), nan=np.inf))
        fix = "other layers or families" if quantize is None else "a finer `quantize`, or None"
        raise ValueError(
            f"`{name}` must give in LiteRT what it gives in Keras, within a relative error of "
            f"{TOLERANCES[quantize]:g}. Received: {relative:.2g}, the most in `{worst}`. "
            f"Fix: use {fix}."
        )
    entry["max_error"] = max(entry["max_error"], float(close.max()))
    entry["rms_error"] = max(entry["rms_error"], rms)
    entry["relative_error"] = max(entry["relative_error"], relative)


def _milliseconds(runner: Any, inputs: Mapping[str, np.ndarray]) -> float:
    start = time.perf_counter()
    runner(**inputs)
    return 1e3 * (time.perf_counter() - start)
