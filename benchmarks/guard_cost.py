"""What the guard and the data checks cost, as shares of the time of training.

    python benchmarks/guard_cost.py [--pairs 200] [--models 3] [--rows 20000] [--kinds NAME ...]

784-400-50, Bernoulli, batch 128, Adam 1e-3, 26 steps a program. The bare model applies every update
and looks at no value. Programs of the bare model and of another take turns in one process, so that
both meet the same noise: the table gives the median over pairs of programs of the share by which
the other takes longer, and the interval in which that median lies with 95 % confidence. Where its
weights lie in memory makes one model faster than its equal, so several of each are made. Of a
dataset an epoch is one turn, for its pipeline may run ahead; there one model is timed with and
without the checks. Arrays are looked at once a `fit`: the last line gives that as a share of one
epoch.
"""

import argparse
import functools
import math
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import tfvae  # noqa: E402
from tfvae.models.execution import Blocks  # noqa: E402
from tfvae.models.feed import Feed, Stream  # noqa: E402

BATCH_SIZE, STEPS = 128, 26
KINDS = ("arrays", "arrays, XLA", "dataset", "dataset, XLA")


def make(data, with_xla, is_guarded=True, **arguments):
    """Returns a function that trains a model of its own for one turn.

    Batches of a dataset are looked at if it is called with True.

    Args:
        data: Array of rows, of which a turn takes one program, or a dataset, of which it takes all.
        with_xla: Whether XLA compiles the program.
        is_guarded: Whether the model has its guard.
        arguments: Of `compile`.
    """
    model = tfvae.recipes.vae((784,), latent_size=50, units=(400,), seed=0)
    model.compile(keras.optimizers.Adam(1e-3), **arguments)
    model.build((None, 784))
    model.optimizer.build(model.trainable_variables)
    step = model.train_step if is_guarded else model.bare_train_step
    bare_step = model.bare_train_step if is_guarded and not arguments else None
    blocks = Blocks(model, step, bare_step)
    if isinstance(data, np.ndarray):
        feed = Feed(data, BATCH_SIZE, seed=0, counter=lambda: 0)
        return lambda: blocks(feed.blocks(STEPS), STEPS, with_xla)
    look = model._looks_at_batches()

    def all_of_it(is_watched=False):
        feed, iterator = Stream(data, look=look if is_watched else None), iter(data)
        for _ in range(int(data.cardinality()) // STEPS):
            blocks(feed.blocks(STEPS, iterator), STEPS, with_xla)

    return all_of_it


def seconds(turn):
    """Returns the time of a turn."""
    start = time.perf_counter()
    turn()
    return time.perf_counter() - start


def shares(bare, other, pairs):
    """Returns by which share the other turn is longer than the bare one, pair by pair."""
    found = []
    for i in range(pairs):
        order = (bare, other)[:: 1 if i % 2 else -1]  # neither is always first
        taken = {id(turn): seconds(turn) for turn in order}
        found.append(taken[id(other)] / taken[id(bare)] - 1.0)
    return found


def median_interval(values):
    """Returns where the median of what the values are drawn from lies, by ranks, at 95 %."""
    values, margin = sorted(values), 0.98 * math.sqrt(len(values))
    middle = len(values) / 2
    return values[max(0, round(middle - margin))], values[
        min(len(values) - 1, round(middle + margin))
    ]


def look(x):
    """Returns the time of one look at all rows."""
    model = tfvae.recipes.vae((784,), seed=0)
    model.build((None, 784))
    return statistics.median(seconds(lambda: model.check_values({"x": x})) for _ in range(9))


def epoch(turn, rows):
    """Returns the time of an epoch, of turns of one program."""
    return statistics.median(seconds(turn) for _ in range(9)) * rows / BATCH_SIZE / STEPS


def table(kind, x, pairs, models):
    """Prints the rows of one kind of data."""
    with_xla, is_dataset = "XLA" in kind, "dataset" in kind
    data = tf.data.Dataset.from_tensor_slices(x).batch(BATCH_SIZE) if is_dataset else x
    pairs = max(10, pairs // (3 if is_dataset else 1)) // models
    found = {}
    for _ in range(models):
        bare, guarded = make(data, with_xla, is_guarded=False), make(data, with_xla)
        compared = {"guard": (bare, guarded)}
        if is_dataset:
            watched = functools.partial(guarded, True)
            compared |= {"checks": (guarded, watched), "guard and checks": (bare, watched)}
        else:
            limited = make(data, with_xla, skip_above_norm=1e6)
            compared["guard with a norm limit"] = bare, limited
        for turn in {turn for both in compared.values() for turn in both}:
            for _ in range(3):
                turn()  # traces, compiles and warms up
        for name, both in compared.items():
            found.setdefault(name, []).extend(shares(*both, pairs))
    for name, values in found.items():
        low, high = median_interval(values)
        median = statistics.median(values)
        print(f"{kind + ', ' + name:45} {median:7.1%} {low:7.1%} {high:7.1%}", flush=True)
    if not is_dataset:
        print(f"{kind + ', one look, of an epoch':45} {look(x) / epoch(bare, len(x)):7.1%}")


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--models", type=int, default=3)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    rows = max(1, options.rows // (BATCH_SIZE * STEPS)) * BATCH_SIZE * STEPS
    x = (np.random.default_rng(0).random((rows, 784)) < 0.2).astype("float32")
    print(f"{'share of the time of training':45} {'median':>7} {'95 % interval':>15}")
    for kind in options.kinds:
        table(kind, x, options.pairs, options.models)


if __name__ == "__main__":
    main()
