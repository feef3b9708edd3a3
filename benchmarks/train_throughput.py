"""Training throughput through `model.fit`, beside the same VAE as a plain Keras subclass.

    python benchmarks/train_throughput.py [--rounds 5] [--rows 20000] [--jit]

784-400-50, Bernoulli, batch 128, Adam 1e-3. The two models alternate in one process; the table
gives the median examples per second of an epoch, and the median ratio of neighbouring rounds.
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


def epoch_rate(model, x):
    """Returns examples per second of one epoch."""
    start = time.perf_counter()
    model.fit(x, batch_size=BATCH_SIZE, epochs=1, verbose=0)
    return len(x) / (time.perf_counter() - start)


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--jit", action="store_true", help="compile both with XLA")
    options = parser.parse_args()
    x = (np.random.default_rng(0).random((options.rows, 784)) < 0.2).astype("float32")
    models = {
        "plain keras": PlainVAE(),
        "tfvae": tfvae.recipes.vae((784,), latent_size=50, units=(400,), seed=0),
    }
    for model in models.values():
        model.compile(keras.optimizers.Adam(1e-3), jit_compile=options.jit)
        epoch_rate(model, x[: 10 * BATCH_SIZE])  # traces and warms up
    rates = {name: [] for name in models}
    for _ in range(options.rounds):
        for name, model in models.items():
            rates[name].append(epoch_rate(model, x))
    for name, values in rates.items():
        print(f"{name:12s} {statistics.median(values):8,.0f} examples/s (max {max(values):,.0f})")
    ratios = [a / b for a, b in zip(rates["tfvae"], rates["plain keras"], strict=True)]
    print(f"ratio        {statistics.median(ratios):8.2f}")


if __name__ == "__main__":
    main()
