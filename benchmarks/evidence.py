"""How long the log-evidence of MNIST's test images takes, and in how much memory.

    TFVAE_DATA=<folder with mnist/> python benchmarks/evidence.py [--num-images 10000]

784-200-200-50 after three epochs; 5,000 importance samples an image.
"""

import argparse
import os
import resource
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402

import tfvae  # noqa: E402


def peak():
    """Returns the most memory that the process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main():
    """Prints seconds, draws a second and memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-images", type=int, default=10_000)
    parser.add_argument("--num-samples", type=int, default=5_000)
    options = parser.parse_args()
    mnist = tfvae.data.load("mnist")
    vae = tfvae.recipes.vae(mnist.event_shape, latent_size=50, units=(200, 200), seed=0)
    vae.compile(keras.optimizers.Adam(1e-3))
    vae.fit(tfvae.data.binarize(mnist.x_train, 1), batch_size=128, epochs=3, verbose=0)
    x, before = tfvae.data.binarize(mnist.x_test, 0)[: options.num_images], peak()
    start = time.perf_counter()
    tfvae.evaluation.log_evidence(vae, x, num_samples=options.num_samples)
    seconds = time.perf_counter() - start
    print(f"{seconds:.1f} s, {len(x) * options.num_samples / seconds:,.0f} draws/s", end=", ")
    print(f"{before:,} MB before, {peak():,} MB after")


if __name__ == "__main__":
    main()
