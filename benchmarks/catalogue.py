"""Objectives, priors and posteriors on one network: what each is worth in nats, and what it costs.

    TFVAE_DATA=<folder with mnist/> python benchmarks/catalogue.py [--epochs 30] [--models VAE ...]

784-200-200-50 with Bernoulli pixels on MNIST, Adam 1e-3, batch 128; the first 50,000 training
images are binarized anew every epoch, the test images once. Log-evidence of the first 1,000 test
images by importance sampling; active units (Burda et al., 2015) of 50, the ladder's of 70, on the
same images; seconds of an epoch in the median.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402

import tfvae  # noqa: E402
from tfvae import evaluation, recipes, schedules  # noqa: E402

BATCH_SIZE, SEED = 128, 0
COMMON = {"units": (200, 200), "seed": SEED}
FLAT = COMMON | {"latent_size": 50}


def warm_up(num_steps):
    """Returns an ELBO whose beta grows from 0 to 1."""
    return tfvae.objectives.ELBO(beta=schedules.Linear(0.0, 1.0, steps=num_steps))


MODELS = {
    "VAE": lambda shape, x: recipes.vae(shape, **FLAT),
    "IWAE-5": lambda shape, x: recipes.iwae(shape, num_samples=5, **FLAT),
    "DReG-50": lambda shape, x: recipes.dreg_vae(shape, num_samples=50, **FLAT),
    "VampPrior, 500": lambda shape, x: recipes.vamp_vae(
        shape, num_components=500, pseudo_inputs=x, **FLAT
    ),
    "RealNVP prior": lambda shape, x: recipes.flow_prior_vae(shape, **FLAT),
    "IAF posterior": lambda shape, x: recipes.iaf_vae(shape, **FLAT),
    "ladder, 50 and 20": lambda shape, x: recipes.ladder_vae(
        shape, latent_sizes=(20, 50), objective=warm_up(2_000), **COMMON
    ),
}


class Clock(keras.callbacks.Callback):
    """Seconds of each epoch."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.start)


def main():
    """Prints the table, a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--num-samples", type=int, default=5_000, help="importance samples")
    parser.add_argument("--num-images", type=int, default=1_000, help="images of the log-evidence")
    options = parser.parse_args()
    if not os.environ.get("TFVAE_DATA"):
        parser.error("set TFVAE_DATA to the folder that holds mnist/ with its four IDX files.")
    mnist = tfvae.data.load("mnist")
    x_test = tfvae.data.binarize(mnist.x_test, SEED)[: options.num_images]
    print(f"| {options.epochs} epochs | log-evidence | ELBO | active units | s an epoch |")
    print("|---|---|---|---|---|", flush=True)
    for name in options.models:
        model = MODELS[name](mnist.event_shape, mnist.x_train)
        model.compile(keras.optimizers.Adam(1e-3))
        clock = Clock()
        model.fit(
            tfvae.data.dynamic_binarization(mnist.x_train, BATCH_SIZE, seed=SEED),
            epochs=options.epochs,
            shuffle=False,
            verbose=0,
            callbacks=[clock],
        )
        evidence = evaluation.log_evidence(model, x_test, num_samples=options.num_samples)
        error = np.sqrt(np.sum(evidence.standard_error**2)) / len(x_test)
        elbo = evaluation.elbo(model, x_test, num_samples=10).mean()
        units = np.sum(evaluation.active_units(model, x_test))
        print(
            f"| {name} | {evidence.log_evidence.mean():.2f} ± {error:.2f} | {elbo:.2f} | {units:g} "
            f"| {statistics.median(clock.seconds):.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
