"""Runs StableHLO programs that `gpu.py` has written, checks their outputs and times them.

python jax_program.py FOLDER ...
"""

import json
import pathlib
import re
import statistics
import sys
import time

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
from jax._src.interpreters import mlir
from jax.extend.backend import get_backend
from jax_worker import training
from jaxlib import xla_client

jax.config.update("jax_enable_x64", True)

PEAKS = {"H100": (67e12, 990e12), "H200": (67e12, 990e12), "A100": (19.5e12, 312e12)}
# FLOP/s in float32 (without tensor cores) and bfloat16, from the vendor's data sheets
LAUNCHES = 20


def load(folder):
    """Returns the compiled program, which output updates which input, its inputs and outputs."""
    text = (folder / "program.mlir").read_text()
    pairs = re.findall(r"parameter_number = (\d+) : i64}, output_index = array<i64: (\d+)>", text)
    updates = {int(output): int(parameter) for parameter, output in pairs}
    # JAX's client rejects this attribute.
    text = re.sub(
        r"mhlo\.input_output_alias = \[.*?\](?=,|\})", "mhlo.not_used = []", text, flags=re.S
    )
    with mlir.make_ir_context():
        module = jaxlib.mlir.ir.Module.parse(text)
        backend = get_backend()
        devices = xla_client.DeviceList(tuple(backend.local_devices()[:1]))
        program = backend.compile_and_load(module, devices, xla_client.CompileOptions())
    arrays = [list(np.load(folder / f"{n}.npz").values()) for n in ("inputs", "outputs")]
    return program, updates, *arrays


def launch(program, inputs):
    """Returns the outputs of a program."""
    shards = program.execute_sharded(inputs).disassemble_into_single_device_arrays()
    return [shard[0] for shard in shards]


def measure(folder):
    """Returns a row of the table."""
    about = json.loads((folder / "about.json").read_text())
    program, updates, inputs, expected = load(folder)
    inputs = [jax.device_put(a) for a in inputs]
    outputs = launch(program, inputs)
    results = about["num_results"]
    difference = 0.0
    for output, parameter in updates.items():
        want = np.asarray(expected[results + parameter - 3], "float64")
        error = np.abs(np.asarray(outputs[output], "float64") - want).max()
        difference = max(difference, error / max(np.abs(want).max(), 1.0))
    logs = [
        abs(float(a) - float(b)) / max(abs(float(b)), 1.0)
        for a, b in zip(outputs[: results - 1], expected, strict=False)
    ]
    seconds = []
    for _ in range(LAUNCHES):
        for output, parameter in updates.items():
            inputs[parameter] = outputs[output]
        start = time.perf_counter()
        outputs = launch(program, inputs)
        jax.block_until_ready(outputs)
        seconds.append(time.perf_counter() - start)
    seconds = statistics.median(seconds)
    rate = about["steps"] * about["batch_size"] / seconds
    return about | {
        "rate": rate,
        "by_hand": rate_by_hand(about),
        "launches": 1 / seconds,
        "logs": max(logs),
        "difference": difference,
        "share": 6 * about["weights"] * rate / peak(about["policy"]) if peak("") else None,
    }


def rate_by_hand(about):
    """Returns examples per second of the same network by hand, as many steps a launch."""
    number = about["steps"] * about["batch_size"]
    x = np.random.default_rng(0).random((number, 784)) < 0.2
    shape = (-1, 28, 28, 1) if about["network"] == "conv" else (-1, 784)
    dtype = jnp.bfloat16 if about["policy"] == "mixed_bfloat16" else jnp.float32
    epoch = training(
        about["network"], x.reshape(shape).astype("float32"), about["batch_size"], dtype
    )
    epoch()  # compiles
    seconds = []
    for _ in range(LAUNCHES):
        start = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - start)
    return number / statistics.median(seconds)


def peak(policy):
    """Returns the device's FLOP/s, None where it is not known."""
    kind = jax.devices()[0].device_kind
    found = next((p for name, p in PEAKS.items() if name in kind), None)
    return found[policy == "mixed_bfloat16"] if found else None


def main():
    """Prints the table."""
    device = jax.devices()[0]
    print(f"Device: {device.device_kind} ({device.platform})", end="")
    print("; there is no accelerator." if device.platform == "cpu" else ".")
    print("| program | batch | policy | examples/s | by hand | launches/s | share of peak ", end="")
    print("| relative difference of logs | of state | modules, waits |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for folder in sys.argv[1:]:
        row = measure(pathlib.Path(folder))
        share = "not known" if row["share"] is None else f"{row['share']:.1%}"
        print(
            f"| {row['network']} | {row['batch_size']:,} | {row['policy']} | {row['rate']:,.0f} "
            f"| {row['by_hand']:,.0f} | {row['launches']:,.1f} | {share} "
            f"| {row['logs']:.1e} | {row['difference']:.1e} "
            f"| {row['modules']}, {row['waits']} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
