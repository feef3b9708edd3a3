"""What data checks and the guard cost, as a share of the time of `model.fit`.

    python benchmarks/guard_cost.py [--rounds 11] [--rows 20000] [--epochs 4] [--kinds NAME ...]

784-400-50, Bernoulli, batch 128, Adam 1e-3. Configurations alternate with the bare one of their
kind in one process; the table gives the median share by which a `fit` is longer, and the quartiles
that show the noise. The bare model applies every update and looks at no value.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import tfvae  # noqa: E402

BATCH_SIZE = 128


class Bare(tfvae.VAE):
    """A VAE without guard."""

    def train_step(self, data):
        """Updates the model, whatever the gradient."""
        return self.bare_train_step(data)


def make(cls, **arguments):
    """Returns a compiled model of a class."""
    parts = tfvae.recipes.vae((784,), latent_size=50, units=(400,), seed=0)
    model = cls(parts.encoder, parts.decoder, seed=0)
    model.compile(keras.optimizers.Adam(1e-3), **arguments)
    return model


def stream(x):
    """Returns the rows as a dataset."""
    return tf.data.Dataset.from_tensor_slices(x).batch(BATCH_SIZE, drop_remainder=True)


GRAPH = {"jit_compile": False, "steps_per_execution": 1}
KINDS = {
    "arrays, one step": (GRAPH, None),
    "arrays, 26 steps": (GRAPH | {"steps_per_execution": 26}, None),
    "arrays, 26 steps, XLA": ({"jit_compile": True, "steps_per_execution": 26}, None),
    "dataset, 26 steps": (GRAPH | {"steps_per_execution": 26}, stream),
}


def seconds(model, data, epochs):
    """Returns the time of a `fit`."""
    batch_size = None if isinstance(data, tf.data.Dataset) else BATCH_SIZE
    start = time.perf_counter()
    shuffle = batch_size is not None
    model.fit(data, batch_size=batch_size, epochs=epochs, verbose=0, shuffle=shuffle)
    return time.perf_counter() - start


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=4, help="of each `fit`")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    rows = options.rows // BATCH_SIZE * BATCH_SIZE
    x = (np.random.default_rng(0).random((rows, 784)) < 0.2).astype("float32")
    print(f"{'share of a fit':50} {'median':>7} {'quartiles':>15}")
    for kind in options.kinds:
        arguments, as_stream = KINDS[kind]
        data = x if as_stream is None else as_stream(x)
        bare = make(Bare, **arguments)
        bare.check_data = False
        guarded = make(tfvae.VAE, **arguments)
        guarded.check_data = False
        limited = make(tfvae.VAE, skip_above_norm=1e6, **arguments)
        limited.check_data = False
        models = {
            "guard": guarded,
            "guard and checks": make(tfvae.VAE, **arguments),
            "guard with a norm limit": limited,
        }
        for model in (bare, *models.values()):
            seconds(model, data, options.epochs)  # traces, compiles and warms up
        shares = {name: [] for name in models}
        for turn in range(options.rounds):
            for name, model in models.items():
                pair = (bare, model)[:: 1 if turn % 2 else -1]  # neither is always first
                taken = {id(m): seconds(m, data, options.epochs) for m in pair}
                shares[name].append(taken[id(model)] / taken[id(bare)] - 1.0)
        for name, values in shares.items():
            low, _, high = statistics.quantiles(values, n=4)
            median = statistics.median(values)
            print(f"{kind + ', ' + name:50} {median:7.1%} {low:7.1%} {high:7.1%}", flush=True)


if __name__ == "__main__":
    main()
