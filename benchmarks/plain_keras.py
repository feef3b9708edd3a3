"""The same VAE as most people write it: a `keras.Model` with its own `train_step`."""

import keras
from keras import ops


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
    """784-units-latent-units-784 with Bernoulli pixels."""

    def __init__(self, units=400, latent_size=50):
        super().__init__()
        x = keras.Input((784,))
        hidden = keras.layers.Dense(units, "relu")(x)
        mean = keras.layers.Dense(latent_size)(hidden)
        log_var = keras.layers.Dense(latent_size)(hidden)
        self.encoder = keras.Model(x, [mean, log_var, Sampling()([mean, log_var])])
        z = keras.Input((latent_size,))
        hidden = keras.layers.Dense(units, "relu")(z)
        self.decoder = keras.Model(z, keras.layers.Dense(784)(hidden))
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
                ops.sum(tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits), axis=1)
            )
            kl = -0.5 * (1 + log_var - ops.square(mean) - ops.exp(log_var))
            kl = ops.mean(ops.sum(kl, axis=1))
            loss = reconstruction + kl
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        for tracker, value in zip(self.trackers, (loss, reconstruction, kl), strict=True):
            tracker.update_state(value)
        return {t.name: t.result() for t in self.trackers}
