"""Your own Keras networks in a VAE: Sequential, functional, subclassed, convolutional.

    python examples/own_networks.py [--epochs 15] [--out runs/own_networks]

A network maps tensors to features and knows nothing of distributions, KL or sampling: `Head`
projects its features to the parameters of q(z | x) or p(x | z). It need not be built or told its
input's shape: the data give it.
"""

import argparse
import pathlib

import keras
import numpy as np

import tfvae
from tfvae import plots

LATENT_SIZE, BATCH_SIZE, LEARNING_RATE, SEED = 8, 32, 2e-3, 0
UNITS, EVENT_SHAPE = 128, (8, 8, 1)


def sequential():
    """Any stack of layers; dropout and batch normalisation know when they train."""
    encoder = keras.Sequential(
        [
            keras.layers.Flatten(),
            keras.layers.Dense(UNITS),
            keras.layers.BatchNormalization(),
            keras.layers.Activation("relu"),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(UNITS, "relu"),
        ]
    )
    decoder = keras.Sequential([keras.layers.Dense(UNITS, "relu") for _ in range(2)])
    return encoder, decoder


def functional():
    """Any graph, here with a skip connection around each hidden layer."""

    def network(inputs):
        features = keras.layers.Dense(UNITS, "gelu")(keras.layers.Flatten()(inputs))
        for _ in range(2):
            features = features + keras.layers.Dense(UNITS, "gelu")(features)
        return keras.Model(inputs, features)

    return network(keras.Input(EVENT_SHAPE)), network(keras.Input((LATENT_SIZE,)))


@keras.saving.register_keras_serializable("own_networks")
class Gated(keras.Model):
    """A class of your own; registered under a name, it is saved and loaded like Keras' own.

    Its constructor's arguments are all that `get_config` must return.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.flatten = keras.layers.Flatten()
        self.hidden = keras.layers.Dense(units)
        self.gate = keras.layers.Dense(units, "sigmoid")
        self.output_layer = keras.layers.Dense(units, "relu")

    def call(self, inputs):
        inputs = self.flatten(inputs)
        return self.output_layer(self.hidden(inputs) * self.gate(inputs))

    def get_config(self):
        return super().get_config() | {"units": self.units}


def subclassed():
    """Two of a registered class."""
    return Gated(UNITS), Gated(UNITS)


def convolutional():
    """Images in, images out: features [8, 8, C] are projected pixel by pixel to p(x | z)."""
    encoder = keras.Sequential(
        [
            keras.layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            keras.layers.Conv2D(64, 3, strides=2, padding="same", activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(UNITS, "relu"),
        ]
    )
    decoder = keras.Sequential(
        [
            keras.layers.Dense(2 * 2 * 64, "relu"),
            keras.layers.Reshape((2, 2, 64)),
            keras.layers.Conv2DTranspose(64, 3, strides=2, padding="same", activation="relu"),
            keras.layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation="relu"),
        ]
    )
    return encoder, decoder


def main(epochs, out):
    """Trains one VAE with each, saves and reloads it, and prints how they compare."""
    out.mkdir(parents=True, exist_ok=True)
    digits = tfvae.data.digits()
    print(
        f"{'networks':14s} {'weights':>8s} {'test ELBO':>10s} {'KL':>6s}  difference once reloaded"
    )
    for make in (sequential, functional, subclassed, convolutional):
        keras.utils.set_random_seed(SEED)  # of the networks' initial weights
        encoder, decoder = make()
        vae = tfvae.VAE(
            encoder=tfvae.Conditional(encoder, tfvae.Head("Normal", (LATENT_SIZE,))),
            decoder=tfvae.Conditional(decoder, tfvae.Head("Bernoulli", EVENT_SHAPE)),
            seed=SEED,
        )
        vae.compile(keras.optimizers.Adam(LEARNING_RATE))
        vae.fit(digits.x_train, batch_size=BATCH_SIZE, epochs=epochs, verbose=0)
        metrics = vae.evaluate(digits.x_test, verbose=0, return_dict=True)

        path = out / f"{make.__name__}.keras"
        vae.save(path)
        reconstructions = vae.predict(digits.x_test, verbose=0)
        reloaded = keras.saving.load_model(path).predict(digits.x_test, verbose=0)
        print(
            f"{make.__name__:14s} {vae.count_params():8,d} {metrics['elbo']:10.2f} "
            f"{metrics['kl']:6.2f}  {np.abs(reloaded - reconstructions).max():.1e}"
        )
        plots.samples(vae.generate(30, seed=SEED)).savefig(out / f"{make.__name__}.png")
    show_refusals(out)
    print(f"\nSamples and models are in {out}.")


class Unregistered(keras.layers.Dense):
    """A class that no other process would find."""


def show_refusals(out):
    """Prints what is said of networks that would fail later: in training, or when loaded."""

    def vae_with(network):
        return tfvae.VAE(
            encoder=tfvae.Conditional(network, tfvae.Head("Normal", (LATENT_SIZE,))),
            decoder=tfvae.Conditional(Gated(UNITS), tfvae.Head("Bernoulli", EVENT_SHAPE)),
        )

    def not_flattened():
        vae_with(keras.layers.Conv2D(4, 3)).build((None, *EVENT_SHAPE))

    def with_a_lambda():
        vae_with(keras.Sequential([keras.layers.Lambda(lambda x: x)]))

    def not_registered():
        vae = vae_with(keras.Sequential([keras.layers.Flatten(), Unregistered(UNITS)]))
        vae.build((None, *EVENT_SHAPE))
        vae.save(out / "unregistered.keras")

    print("\nRefused at once, with the remedy:")
    for refused in (not_flattened, with_a_lambda, not_registered):
        try:
            refused()
        except ValueError as error:
            print(f"- {refused.__name__.replace('_', ' ')}: {error}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/own_networks"))
    main(**vars(parser.parse_args()))
