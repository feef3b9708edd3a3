"""Parity, size and latency of what is exported, for a convolutional VAE on MNIST.

    TFVAE_DATA=<folder with mnist/> python benchmarks/export.py [--epochs 3] [--rounds 50]

32-64 filters, 16 latents, Bernoulli pixels, Adam 1e-3, batch 128. Errors are those of the LiteRT
files against Keras, over 64 test images: the largest over all outputs of `encode`, `decode` and
`reconstruct`. Latency is that of `decode` at batches of 1 and 64; the ways alternate, and the
figures are medians.
"""

import argparse
import json
import os
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import tfvae  # noqa: E402
from tfvae import networks  # noqa: E402

LATENT_SIZE, FILTERS, BATCH_SIZE, LEARNING_RATE, SEED = 16, (32, 64), 128, 1e-3, 0
PRECISIONS = (None, "float16", "int8-weight-only", "int8-dynamic", "int8")
BATCHES = (1, 64)


def main():
    """Prints two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    mnist = tfvae.data.load(f"mnist:{os.path.join(os.environ['TFVAE_DATA'], 'mnist')}")
    model = trained(mnist, options.epochs)
    with tempfile.TemporaryDirectory() as folder:
        ways = {"Keras predict": keras_decode(model)}
        path = model.export(os.path.join(folder, "saved_model"))
        ways["SavedModel signature"] = saved_model_decode(path)
        print(f"{'precision':18s} {'bytes':>9s}  max error of encode / decode / reconstruct")
        for precision in PRECISIONS:
            name = precision or "float32"
            path = model.export(
                os.path.join(folder, f"{name}.tflite"),
                format="tflite",
                quantize=precision,
                representative_data=mnist.x_test[:64],
            )
            with open(path.replace(".tflite", ".parity.json"), encoding="utf-8") as file:
                report = json.load(file)
            errors = [
                report["signatures"][n]["max_error"] for n in ("encode", "decode", "reconstruct")
            ]
            print(f"{name:18s} {report['bytes']:9,d}  " + " / ".join(f"{e:.1e}" for e in errors))
            ways[f"LiteRT {name}"] = litert_decode(path)
        print_latencies(ways, options.rounds)


def trained(mnist, epochs):
    """Returns the model."""
    model = tfvae.VAE(
        tfvae.Conditional(
            networks.convolutional(list(FILTERS)), tfvae.Head("Normal", (LATENT_SIZE,))
        ),
        tfvae.Conditional(
            networks.deconvolutional(list(FILTERS[::-1]), start=(7, 7, FILTERS[-1])),
            tfvae.Head("Bernoulli", (28, 28, 1)),
        ),
        seed=SEED,
    )
    model.compile(keras.optimizers.Adam(LEARNING_RATE))
    model.fit(mnist.x_train, batch_size=BATCH_SIZE, epochs=epochs, verbose=2)
    return model


def keras_decode(model):
    """`predict` of a Keras model around the decoder's network and its means."""

    class Decoder(keras.Model):
        def call(self, z):
            return model.decode(z).mean()

    decoder = Decoder()
    return lambda z: decoder.predict(z, verbose=0)


def saved_model_decode(path):
    """The signature of a version, loaded by TensorFlow."""
    loaded = tf.saved_model.load(path)
    return lambda z: loaded.signatures["decode"](z=tf.constant(z))["mean"].numpy()


def litert_decode(path):
    """The signature of a LiteRT file, on one thread."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=1)
    runner = interpreter.get_signature_runner("decode")
    return lambda z: runner(z=z)["mean"]


def print_latencies(ways, rounds):
    """Prints the medians in milliseconds."""
    print(f"\n{'decode, ms':24s}" + "".join(f"{f'batch {size}':>12s}" for size in BATCHES))
    medians = {name: [] for name in ways}
    for size in BATCHES:
        z = np.random.default_rng(0).normal(size=(size, LATENT_SIZE)).astype("float32")
        times = {name: [] for name in ways}
        for number in range(rounds + 3):
            for name, decode in ways.items():
                start = time.perf_counter()
                decode(z)
                if number >= 3:  # the first calls trace and allocate
                    times[name].append(1e3 * (time.perf_counter() - start))
        for name, values in times.items():
            medians[name].append(statistics.median(values))
    for name, values in medians.items():
        print(f"{name:24s}" + "".join(f"{value:12.3f}" for value in values))


if __name__ == "__main__":
    main()
