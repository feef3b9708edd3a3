"""How the time of a training example grows with batch, width, latent size and number of draws.

    python benchmarks/scaling.py [--seconds 2]

The `small` network (784-400-50, Adam) with one of the four changed at a time; XLA, as many steps a
program as `fit` chooses itself. Microseconds an example, medians over blocks after the first.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402

import tfvae  # noqa: E402
from tfvae.models import automatic  # noqa: E402
from tfvae.models.execution import Blocks  # noqa: E402
from tfvae.models.feed import Feed  # noqa: E402

USUAL = {"batch_size": 128, "units": 400, "latent_size": 50, "num_samples": 1}
AXES = {
    "batch_size": (32, 128, 512, 1024, 4096),
    "units": (100, 200, 400, 800, 1600),
    "latent_size": (2, 10, 50, 200),
    "num_samples": (1, 4, 16, 64),
}


def microseconds(x, seconds, batch_size, units, latent_size, num_samples):
    """Returns the time of an example in microseconds."""
    objective = tfvae.objectives.ELBO(num_samples=num_samples)
    model = tfvae.recipes.vae(
        (784,), latent_size=latent_size, units=(units,), objective=objective, seed=0
    )
    model.build((None, 784))
    model.compile(keras.optimizers.Adam(1e-3))
    model.optimizer.build(model.trainable_variables)
    blocks = Blocks(model, model.train_step, model.bare_train_step)
    feed = Feed(x, batch_size, None, 0, iter(range(10**9)).__next__)
    steps = automatic.steps(model, batch_size * num_samples, feed.num_batches, None)
    times, until = [], None
    while until is None or time.perf_counter() < until or len(times) < 3:
        start = time.perf_counter()
        taken = [b for b in feed.blocks(steps) if b.is_whole]
        blocks(taken, steps, True)
        rows = sum(b.rows.size for b in taken)
        if until is None:  # the first compiles
            until = time.perf_counter() + seconds
        elif rows:
            times.append((time.perf_counter() - start) / rows)
    return 1e6 * statistics.median(times)


def main():
    """Prints a table for each axis."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    options = parser.parse_args()
    x = (np.random.default_rng(0).random((16_384, 784)) < 0.2).astype("float32")
    for axis, values in AXES.items():
        print(f"\n| {axis} | microseconds an example |\n|---|---|")
        for value in values:
            time_of_one = microseconds(x, options.seconds, **USUAL | {axis: value})
            print(f"| {value:,} | {time_of_one:,.1f} |", flush=True)


if __name__ == "__main__":
    main()
