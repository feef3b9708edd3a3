"""The same VAE as most people write it: a `keras.Model` with its own `train_step`."""

import keras
from keras import ops
from worker import FILTERS, LATENT_SIZE, UNITS


class Sampling(keras.layers.Layer):
    """z = mean + exp(log_var / 2) * eps."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(0)

    def call(self, inputs):
        mean, log_var = inputs
        noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_var) * noise


class PlainVAE(keras.Model):
    """One of the three networks, with Bernoulli pixels."""

    def __init__(self, network):
        super().__init__()
        latent_size = LATENT_SIZE[network]
        x = keras.Input((28, 28, 1) if network == "conv" else (784,))
        hidden = x
        if network == "conv":
            for filters in FILTERS:
                hidden = keras.layers.Conv2D(filters, 3, 2, "same", activation="relu")(hidden)
            hidden = keras.layers.Flatten()(hidden)
        else:
            for units in UNITS[network]:
                hidden = keras.layers.Dense(units, "relu")(hidden)
        mean = keras.layers.Dense(latent_size)(hidden)
        log_var = keras.layers.Dense(latent_size)(hidden)
        self.encoder = keras.Model(x, [mean, log_var, Sampling()([mean, log_var])])
        z = hidden = keras.Input((latent_size,))
        if network == "conv":
            hidden = keras.layers.Dense(7 * 7 * FILTERS[-1], "relu")(hidden)
            hidden = keras.layers.Reshape((7, 7, FILTERS[-1]))(hidden)
            for filters in FILTERS[::-1]:
                deconvolution = keras.layers.Conv2DTranspose(
                    filters, 3, 2, "same", activation="relu"
                )
                hidden = deconvolution(hidden)
            logits = keras.layers.Conv2D(1, 1)(hidden)
        else:
            for units in UNITS[network][::-1]:
                hidden = keras.layers.Dense(units, "relu")(hidden)
            logits = keras.layers.Dense(784)(hidden)
        self.decoder = keras.Model(z, logits)
        self.trackers = [keras.metrics.Mean(n) for n in ("loss", "reconstruction_loss", "kl_loss")]

    @property
    def metrics(self):
        return self.trackers

    def train_step(self, x):
        import tensorflow as tf

        with tf.GradientTape() as tape:
            mean, log_var, z = self.encoder(x)
            logits = self.decoder(z)
            reconstruction = ops.mean(
                ops.sum(
                    tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits),
                    axis=tuple(range(1, len(x.shape))),
                )
            )
            kl = -0.5 * (1 + log_var - ops.square(mean) - ops.exp(log_var))
            kl = ops.mean(ops.sum(kl, axis=1))
            loss = reconstruction + kl
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        for tracker, value in zip(self.trackers, (loss, reconstruction, kl), strict=True):
            tracker.update_state(value)
        return {t.name: t.result() for t in self.trackers}
