"""Parity, size and latency of what is exported, for a convolutional VAE on MNIST.

    TFVAE_DATA=<folder with mnist/> python benchmarks/export.py [--epochs 3] [--rounds 50]

32-64 filters, 16 latents, Bernoulli pixels, Adam 1e-3, batch 128. Errors are those of the LiteRT
files against Keras, over 64 test images: the largest over all outputs of `encode`, `decode` and
`reconstruct`. Latency is that of `decode` at batches of 1 and 64; the ways alternate, and the
figures are medians. The page's are taken in a headless Chromium, if `chromedriver`, selenium and
`@litertjs/core` are installed: of blocks of calls, for its clock is coarse.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import threading
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import tfvae  # noqa: E402
from tfvae import networks  # noqa: E402
from tfvae.export.web_server import Server  # noqa: E402

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
        medians = latencies(ways, options.rounds)
        try:
            page = model.export(os.path.join(folder, "page"), format="web")
            medians["WASM in Chromium"] = page_latencies(page, options.rounds)
        except ImportError as error:
            print(f"No WASM in Chromium: {error}")
        print_latencies(medians)


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


def latencies(ways, rounds):
    """Returns the medians by way, for each batch, in milliseconds."""
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
    return medians


def page_latencies(path, rounds):
    """Returns the same of an exported page."""
    from selenium import webdriver

    if shutil.which("chromedriver") is None:
        raise ImportError("chromedriver is not on the path")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("chromium-browser") or ""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        switches = ["--headless=new", "--disable-gpu", f"--user-data-dir={profile}"]
        switches += ["--disable-background-networking", "--disable-component-update"]
        for switch in switches + ["--no-sandbox"] * (os.geteuid() == 0):
            options.add_argument(switch)
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        server = Server(path, port=0)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with webdriver.Chrome(options=options, service=service) as driver:
            driver.set_script_timeout(300)
            driver.get(server.url)
            times = driver.execute_async_script(MEASURE, LATENT_SIZE, rounds)
        server.shutdown()
        server.server_close()
    return [statistics.median(block) for block in times]


MEASURE = """
const [latentSize, rounds, done] = arguments;
tfvae.ready.then(async () => {
  const all = [];
  for (const [name, size, calls] of [["decode", 1, 20], ["decode_64", 64, 5]]) {
    const z = Float32Array.from({length: size * latentSize}, (_, i) => Math.sin(i));
    const blocks = [];
    for (let block = 0; block < rounds + 3; block++) {
      const start = performance.now();
      for (let call = 0; call < calls; call++) await tfvae.run(name, {z});
      if (block >= 3) blocks.push((performance.now() - start) / calls);
    }
    all.push(blocks);
  }
  done(all);
});
"""


def print_latencies(medians):
    """Prints them."""
    print(f"\n{'decode, ms':24s}" + "".join(f"{f'batch {size}':>12s}" for size in BATCHES))
    for name, values in medians.items():
        print(f"{name:24s}" + "".join(f"{value:12.3f}" for value in values))


if __name__ == "__main__":
    main()
