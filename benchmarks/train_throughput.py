"""Training throughput through `model.fit`, beside the same VAE as a plain Keras subclass.

    python benchmarks/train_throughput.py [--rounds 7] [--rows 30000]

784-400-50, Bernoulli, batch 128, Adam 1e-3. The models alternate in one process; the table gives
the median and the best examples per second of an epoch, and the median ratio to plain Keras in
the same round.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
from plain_keras import PlainVAE  # noqa: E402

import tfvae  # noqa: E402

BATCH_SIZE = 128
BASELINE = "plain Keras"


def ours():
    """Returns the same VAE as a recipe."""
    return tfvae.recipes.vae((784,), latent_size=50, units=(400,), seed=0)


CONFIGURATIONS = {
    BASELINE: (PlainVAE, {"jit_compile": False}),
    "plain Keras, XLA": (PlainVAE, {"jit_compile": True}),
    "tfvae": (ours, {"jit_compile": False}),
    "tfvae, XLA": (ours, {"jit_compile": True}),
    "tfvae, XLA, 26 steps": (ours, {"jit_compile": True, "steps_per_execution": 26}),
}


def epoch_rate(model, x):
    """Returns examples per second of one epoch."""
    start = time.perf_counter()
    model.fit(x, batch_size=BATCH_SIZE, epochs=1, verbose=0)
    return len(x) / (time.perf_counter() - start)


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=30_000)
    options = parser.parse_args()
    x = (np.random.default_rng(0).random((options.rows, 784)) < 0.2).astype("float32")
    models = {}
    for name, (build, arguments) in CONFIGURATIONS.items():
        models[name] = build()
        models[name].compile(keras.optimizers.Adam(1e-3), **arguments)
        epoch_rate(models[name], x)  # traces, compiles and warms up
    rates = {name: [] for name in models}
    for _ in range(options.rounds):
        for name, model in models.items():
            rates[name].append(epoch_rate(model, x))
    print(f"{'examples per second':24s} {'median':>8s} {'best':>8s} {'ratio':>6s}")
    for name, values in rates.items():
        ratio = statistics.median(
            rate / base for rate, base in zip(values, rates[BASELINE], strict=True)
        )
        print(f"{name:24s} {statistics.median(values):8,.0f} {max(values):8,.0f} {ratio:6.2f}")


if __name__ == "__main__":
    main()
