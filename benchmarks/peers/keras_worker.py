"""`fit` of a VAE written as a plain Keras subclass, or of tfvae: `[plain] [xla | no-xla] [K]`."""

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from plain_keras import PlainVAE
from worker import BATCH_SIZE, FILTERS, LATENT_SIZE, LEARNING_RATE, UNITS, arguments, report, wait


class Reports(keras.callbacks.Callback):
    """Holds `fit` at the start of each epoch and reports at its end."""

    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def on_epoch_begin(self, epoch, logs=None):
        wait()
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        report(self.rows, time.perf_counter() - self.start)


def ours(network):
    """Returns the network as a `tfvae.VAE`."""
    import tfvae
    from tfvae import networks

    if network != "conv":
        return tfvae.recipes.vae(
            (784,), latent_size=LATENT_SIZE[network], units=UNITS[network], seed=0
        )
    return tfvae.VAE(
        tfvae.Conditional(
            networks.convolutional(FILTERS), tfvae.Head("Normal", (LATENT_SIZE["conv"],))
        ),
        tfvae.Conditional(
            networks.deconvolutional(FILTERS[::-1], start=(7, 7, FILTERS[-1])),
            tfvae.Head("Bernoulli", (28, 28, 1)),
        ),
        seed=0,
    )


def main():
    """Trains until told to stop."""
    network, x, options = arguments()
    how = {}
    if "xla" in options or "no-xla" in options:
        how["jit_compile"] = "xla" in options
    steps = [int(o) for o in options if o.isdigit()]
    if steps:
        how["steps_per_execution"] = steps[0]
    model = PlainVAE(network) if "plain" in options else ours(network)
    model.compile(keras.optimizers.Adam(LEARNING_RATE), **how)
    model.fit(x, batch_size=BATCH_SIZE, epochs=10**4, verbose=0, callbacks=[Reports(len(x))])


if __name__ == "__main__":
    main()
