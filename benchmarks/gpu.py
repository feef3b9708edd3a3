"""The program that `fit` launches, run by JAX's client on whatever accelerator that JAX has.

    python benchmarks/gpu.py [--networks small] [--batch-sizes 128 1024] [--policies float32]
    python benchmarks/gpu.py --write FOLDER     # the programs alone, to be carried elsewhere
    python benchmarks/peers/jax_program.py FOLDER/*     # there; `peers/` needs JAX alone

TensorFlow compiles K train steps to one StableHLO program; it is written with its inputs and with
the outputs of TensorFlow's own run on the CPU. JAX runs it, compares the outputs, and reports
examples per second, launches a second, and the share of the device's peak, beside the same network
written by hand in JAX (`peers/jax_worker.py`). Without an accelerator it runs on the CPU and says
so.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE / "peers"))

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from environments import DEFAULT, python_of  # noqa: E402
from keras_worker import ours  # noqa: E402

from tfvae.models.execution import Blocks  # noqa: E402

ROWS = 2**16
STEPS = 26


def write(folder, network, batch_size, policy):
    """Writes a program with its inputs and outputs, and what it is."""
    folder.mkdir(parents=True, exist_ok=True)
    keras.config.set_dtype_policy(policy)
    model = ours(network)
    keras.config.set_dtype_policy("float32")
    shape = (28, 28, 1) if network == "conv" else (784,)
    model.build((None, *shape))
    model.compile(keras.optimizers.Adam(1e-3))
    model.optimizer.build(model.trainable_variables)
    rng = np.random.default_rng(0)
    number = max(min(ROWS, STEPS * batch_size), batch_size)
    x = (rng.random((number, *shape)) < 0.2).astype("uint8")
    rows = rng.integers(0, number, (STEPS, batch_size)).astype("int32")
    arguments = tf.constant(x), tf.constant(rows), tf.constant(STEPS)
    blocks = Blocks(model, model.train_step, model.bare_train_step)
    text = blocks.program.experimental_get_compiler_ir(*arguments)(stage="stablehlo")
    optimized = blocks.program.experimental_get_compiler_ir(*arguments)(stage="optimized_hlo")
    function = blocks.program.get_concrete_function(*arguments)
    variables = {id(v.handle): v for v in function.variables}
    captured = [variables.get(id(c), c) for c in function.captured_inputs]
    inputs = [a.numpy() for a in (*arguments, *captured)]
    logs, ok = blocks.program(*arguments)
    outputs = [v.numpy() for v in (*tf.nest.flatten(logs), ok)]
    (folder / "program.mlir").write_text(text)
    np.savez(folder / "inputs.npz", *inputs)
    np.savez(folder / "outputs.npz", *outputs, *[v.numpy() for v in captured])
    weights = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    about = {
        "network": network,
        "batch_size": batch_size,
        "policy": policy,
        "steps": STEPS,
        "weights": weights,
        "num_results": len(outputs),
        "modules": optimized.count("HloModule"),
        "waits": len(re.findall(r"infeed|outfeed|callback|\bsend\(|\brecv\(", optimized)),
    }
    (folder / "about.json").write_text(json.dumps(about))


def main():
    """Writes the programs and runs them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["small", "wide"])
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[128, 1024])
    parser.add_argument("--policies", nargs="+", default=["float32", "mixed_bfloat16"])
    parser.add_argument("--write", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--environments", type=pathlib.Path, default=DEFAULT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        base, folders = options.write or pathlib.Path(scratch), []
        for network in options.networks:
            for batch_size in options.batch_sizes:
                for policy in options.policies:
                    folders.append(base / f"{network}-{batch_size}-{policy}")
                    write(folders[-1], network, batch_size, policy)
        if options.write is None:
            python = python_of("jax", options.environments.absolute())
            script = str(HERE / "peers" / "jax_program.py")
            subprocess.run([python, script, *map(str, folders)], check=True)


if __name__ == "__main__":
    main()
