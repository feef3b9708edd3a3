"""Test ELBO and log-evidence on MNIST, with dynamic binarization, and the time they take.

    TFVAE_DATA=<folder with mnist/> python benchmarks/mnist.py [--epochs 15] [--num-samples 500]

784-400-50 with Bernoulli pixels, Adam 1e-3, batch 128, on the first 50,000 training images, which
are binarized anew every epoch. Test images are binarized once, with a fixed seed; the log-evidence
is that of the first 1,000 of them.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402

import tfvae  # noqa: E402
from tfvae import evaluation  # noqa: E402

LATENT_SIZE, UNITS, BATCH_SIZE, LEARNING_RATE, SEED = 50, (400,), 128, 1e-3, 0


def main():
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--num-samples", type=int, default=500, help="importance samples an image")
    parser.add_argument("--num-images", type=int, default=1000, help="images of the log-evidence")
    parser.add_argument("--jit", action="store_true", help="compile the training step with XLA")
    options = parser.parse_args()
    if not os.environ.get("TFVAE_DATA"):
        parser.error("set TFVAE_DATA to the folder that holds mnist/ with its four IDX files.")
    try:
        mnist = tfvae.data.load("mnist")
    except (FileNotFoundError, tfvae.DataError) as error:
        parser.error(str(error))
    x = tfvae.data.dynamic_binarization(mnist.x_train, BATCH_SIZE, seed=SEED)
    x_valid, x_test = (tfvae.data.binarize(part, SEED) for part in (mnist.x_valid, mnist.x_test))

    vae = tfvae.recipes.vae(mnist.event_shape, latent_size=LATENT_SIZE, units=UNITS, seed=SEED)
    vae.compile(keras.optimizers.Adam(LEARNING_RATE), jit_compile=True if options.jit else "auto")
    start = time.perf_counter()
    vae.fit(
        x,
        epochs=options.epochs,
        validation_data=x_valid,
        validation_batch_size=1000,
        shuffle=False,
        verbose=2,
    )
    seconds = time.perf_counter() - start
    print(f"training      {seconds:7.1f} s, with validation, {options.epochs} epochs")

    start = time.perf_counter()
    metrics = vae.evaluate(x_test, batch_size=1000, verbose=0, return_dict=True)
    seconds = time.perf_counter() - start
    for name in ("elbo", "log_likelihood", "kl"):
        print(f"{name:14s}{metrics[name]:7.2f} nats on {len(x_test)} test images")
    print(f"              {seconds:7.1f} s")

    start = time.perf_counter()
    images = x_test[: options.num_images]
    evidence = evaluation.log_evidence(vae, images, num_samples=options.num_samples)
    seconds = time.perf_counter() - start
    elbo = evaluation.elbo(vae, images, num_samples=10).mean()
    error = np.sqrt(np.sum(evidence.standard_error**2)) / len(images)
    sizes = evidence.effective_sample_size
    print(
        f"log_evidence  {evidence.log_evidence.mean():7.2f} +- {error:.2f} nats on {len(images)} "
        f"of them, with {options.num_samples} importance samples; their ELBO is {elbo:.2f}\n"
        f"              {seconds:7.1f} s; effective samples: {np.median(sizes):.1f} in the median, "
        f"{sizes.min():.1f} at least"
    )


if __name__ == "__main__":
    main()
