"""From a hand-written Keras VAE to tfvae: what changes, and why the numbers differ.

    python examples/migrate.py [--epochs 25] [--out runs/migrate]

Many hand-written VAEs average the binary cross-entropy over the pixels and sum the KL over the
latents. With R = -log p(x | z), the sum over all 64 pixels, that loss is

    mean over pixels + KL = R / 64 + KL = (R + 64 KL) / 64:

the loss of beta = 64, divided by 64, which Adam hardly notices. So the latents collapse, the loss
is no bound on -log p(x), and it means something else at every image size. With sums over the pixels
beta is 1, and the loss is the negative ELBO. In tfvae the reduction belongs to the distribution,
and is always the sum over an example and the mean over examples; beta is the objective's.

What changes:

- `Sampling`, `train_step`, `test_step`, losses and metrics go; two networks and two heads stay.
- The decoder ends in features, not in a sigmoid: `Head("Bernoulli", shape)` makes the logits.
- There are no log-variances: the head keeps scales between a floor and a ceiling.
- `elbo`, `log_likelihood` and `kl` are nats per example, whatever the objective.
- `evaluate` gives the same numbers twice; saving, serving and log p(x) come along.
"""

import argparse
import pathlib

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from keras import ops

import tfvae
from tfvae import evaluation, objectives, plots

LATENT_SIZE, UNITS, BATCH_SIZE, LEARNING_RATE, SEED = 8, 256, 32, 1e-3, 0
EVENT_SHAPE, PIXELS = (8, 8, 1), 64
COPIES = 100  # of each test image, to average the noise of z

tfd = tfp.distributions


# ---- before: the hand-written VAE


class Sampling(keras.layers.Layer):
    """z = mean + exp(log_variance / 2) * noise."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(SEED)

    def call(self, inputs):
        mean, log_variance = inputs
        noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_variance) * noise


class HandWrittenVAE(keras.Model):
    """As in many a tutorial; `reduce` makes the reconstruction loss of cross-entropies."""

    def __init__(self, reduce):
        super().__init__()
        x = keras.Input(EVENT_SHAPE)
        hidden = keras.layers.Dense(UNITS, "relu")(keras.layers.Flatten()(x))
        mean = keras.layers.Dense(LATENT_SIZE)(hidden)
        log_variance = keras.layers.Dense(LATENT_SIZE)(hidden)
        z = Sampling()([mean, log_variance])
        self.encoder = keras.Model(x, [mean, log_variance, z])
        z = keras.Input((LATENT_SIZE,))
        hidden = keras.layers.Dense(UNITS, "relu")(z)
        pixels = keras.layers.Dense(PIXELS, "sigmoid")(hidden)
        self.decoder = keras.Model(z, keras.layers.Reshape(EVENT_SHAPE)(pixels))
        self.reduce = reduce
        names = ("loss", "reconstruction_loss", "kl_loss")
        self.trackers = [keras.metrics.Mean(name) for name in names]

    @property
    def metrics(self):
        return self.trackers

    def losses_of(self, x):
        mean, log_variance, z = self.encoder(x)
        reconstruction = self.reduce(keras.losses.binary_crossentropy(x, self.decoder(z)))
        kl = -0.5 * (1 + log_variance - ops.square(mean) - ops.exp(log_variance))
        kl = ops.mean(ops.sum(kl, axis=1))
        return reconstruction + kl, reconstruction, kl

    def track(self, losses, x):
        for tracker, value in zip(self.trackers, losses, strict=True):
            tracker.update_state(value, sample_weight=ops.shape(x)[0])
        return {tracker.name: tracker.result() for tracker in self.trackers}

    def train_step(self, x):
        with tf.GradientTape() as tape:
            losses = self.losses_of(x)
        gradients = tape.gradient(losses[0], self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        return self.track(losses, x)

    def test_step(self, x):
        return self.track(self.losses_of(x), x)


def sum_over_pixels(cross_entropies):
    """The reduction of the ELBO."""
    return ops.mean(ops.sum(cross_entropies, axis=(1, 2)))


def mean_over_pixels(cross_entropies):
    """The reduction of `keras.losses`, and of a VAE whose beta is the number of pixels."""
    return ops.mean(cross_entropies)


# ---- after: the same model


def new_vae(beta):
    """Returns the same model; beta = 64 is the loss that averages over the pixels, times 64."""
    return tfvae.VAE(
        encoder=tfvae.Conditional(
            tfvae.networks.mlp([UNITS]), tfvae.Head("Normal", (LATENT_SIZE,))
        ),
        decoder=tfvae.Conditional(
            tfvae.networks.mlp([UNITS]), tfvae.Head("Bernoulli", EVENT_SHAPE)
        ),
        objective=objectives.ELBO(beta=beta),
        seed=SEED,
    )


# ---- or: the trained weights, kept


@keras.saving.register_keras_serializable("migrate")
class MeanAndLogVariance(tfvae.StochasticLayer):
    """Features [mean, log-variance] -> N(mean, exp(log-variance))."""

    event_shape = (LATENT_SIZE,)

    def call(self, features):
        mean, log_variance = ops.split(features, 2, axis=-1)
        return tfd.Independent(tfd.Normal(mean, ops.exp(0.5 * log_variance)), 1)


@keras.saving.register_keras_serializable("migrate")
class Probabilities(tfvae.StochasticLayer):
    """Features in [0, 1] -> Bernoulli pixels, clipped as `binary_crossentropy` clips them."""

    event_shape = EVENT_SHAPE

    def call(self, features):
        return tfd.Independent(tfd.Bernoulli(probs=ops.clip(features, 1e-7, 1 - 1e-7)), 3)


def adopt(trained, beta):
    """Returns a tfvae model around the layers of a hand-written one."""
    mean, log_variance, _ = trained.encoder.outputs
    features = keras.layers.Concatenate()([mean, log_variance])
    return tfvae.VAE(
        encoder=tfvae.Conditional(
            keras.Model(trained.encoder.inputs, features), MeanAndLogVariance()
        ),
        decoder=tfvae.Conditional(trained.decoder, Probabilities()),
        objective=objectives.ELBO(beta=beta),
        seed=SEED,
    )


# ---- the numbers


def main(epochs, out):
    """Trains before and after, with both reductions, and converts the numbers."""
    out.mkdir(parents=True, exist_ok=True)
    digits = tfvae.data.digits()
    x, x_test = digits.x_train, digits.x_test
    for reduce, beta in ((sum_over_pixels, 1), (mean_over_pixels, PIXELS)):
        keras.utils.set_random_seed(SEED)
        old, new = HandWrittenVAE(reduce), new_vae(beta)
        for model in (old, new):
            model.compile(keras.optimizers.Adam(LEARNING_RATE))
            model.fit(x, batch_size=BATCH_SIZE, epochs=epochs, verbose=0)
        adopted = adopt(old, beta)
        print(f"{reduce.__name__}: beta = {beta}")
        compare(beta, old, adopted, new, x_test)
        adopted.save(out / f"{reduce.__name__}.keras")
        plots.reconstructions(x_test, adopted.predict(x_test, verbose=0)).savefig(
            out / f"{reduce.__name__}.png"
        )
    print(f"Reconstructions, and the hand-written models as tfvae's, are in {out}.")


def compare(beta, old, adopted, new, x_test):
    """Prints the hand-written model's numbers, converted, beside those of tfvae."""
    copies = np.repeat(x_test, COPIES, axis=0)
    reported = old.evaluate(copies, batch_size=1000, verbose=0, return_dict=True)
    print(f"  as reported: {', '.join(f'{k} {v:.4f}' for k, v in reported.items())}")
    print(
        f"  {'nats per example':25s} {'log-likelihood':>14s} {'KL':>8s} {'ELBO':>8s} {'loss':>8s}"
    )

    def show(name, log_likelihood, kl, loss):
        elbo = log_likelihood - kl
        print(f"  {name:25s} {log_likelihood:14.3f} {kl:8.3f} {elbo:8.3f} {loss:8.3f}")

    log_likelihood = -beta * reported["reconstruction_loss"]
    show("reported, converted", log_likelihood, reported["kl_loss"], beta * reported["loss"])
    draws = adopted(x_test, num_samples=COPIES)
    again, kl = draws.log_likelihood.numpy(), draws.kl.numpy().mean()
    show("the same weights in tfvae", again.mean(), kl, beta * kl - again.mean())
    metrics = new.evaluate(copies, batch_size=1000, verbose=0, return_dict=True)
    show("trained by tfvae", *(metrics[name] for name in ("log_likelihood", "kl", "loss")))

    # Both means have the noise of as many draws of z.
    error = np.sqrt(2 * again.var(axis=0, ddof=1).sum() / COPIES) / len(x_test)
    print(
        f"  The first two rows differ by {abs(again.mean() - log_likelihood):.3f} nats, "
        f"{abs(again.mean() - log_likelihood) / error:.1f} standard errors of the draws."
    )
    evidence = evaluation.log_evidence(adopted, x_test, num_samples=500)
    print(f"  And log p(x) is {evidence.log_evidence.mean():.2f}.\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/migrate"))
    main(**vars(parser.parse_args()))
