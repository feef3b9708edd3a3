"""The VAE by hand in JAX: an epoch is one `lax.scan` over batches gathered on the device."""

import jax
import jax.numpy as jnp
from worker import BATCH_SIZE, FILTERS, LATENT_SIZE, LEARNING_RATE, UNITS, arguments, serve

IMAGES = ("NHWC", "HWIO", "NHWC")


def dense(key, inputs, outputs):
    """Returns a layer's kernel (Glorot) and bias."""
    limit = jnp.sqrt(6.0 / (inputs + outputs))
    kernel = jax.random.uniform(key, (inputs, outputs), jnp.float32, -limit, limit)
    return kernel, jnp.zeros(outputs, jnp.float32)


def convolution(key, inputs, outputs):
    """Returns a 3x3 kernel and bias."""
    limit = jnp.sqrt(6.0 / (9 * (inputs + outputs)))
    kernel = jax.random.uniform(key, (3, 3, inputs, outputs), jnp.float32, -limit, limit)
    return kernel, jnp.zeros(outputs, jnp.float32)


def initial(network, key):
    """Returns the layers' parameters: encoder's, decoder's."""
    keys = iter(jax.random.split(key, 20))
    latent = LATENT_SIZE[network]
    if network == "conv":
        channels, start = (1, *FILTERS), 7 * 7 * FILTERS[-1]
        encoder = [
            convolution(next(keys), i, o) for i, o in zip(channels, FILTERS, strict=False)
        ] + [dense(next(keys), start, 2 * latent)]
        back = (FILTERS[-1], *FILTERS[::-1])
        decoder = (
            [dense(next(keys), latent, start)]
            + [convolution(next(keys), i, o) for i, o in zip(back, FILTERS[::-1], strict=False)]
            + [dense(next(keys), FILTERS[0], 1)]
        )
        return encoder, decoder
    sizes = (784, *UNITS[network], 2 * latent), (latent, *UNITS[network][::-1], 784)
    return tuple([dense(next(keys), i, o) for i, o in zip(s, s[1:], strict=False)] for s in sizes)


def mlp(layers, x):
    """Applies dense layers, all but the last with relu."""
    for kernel, bias in layers[:-1]:
        x = jax.nn.relu(x @ kernel + bias)
    return x @ layers[-1][0] + layers[-1][1]


def encode(network, layers, x):
    """Returns mean and log scale."""
    if network != "conv":
        return jnp.split(mlp(layers, x), 2, axis=-1)
    for kernel, bias in layers[:-1]:
        x = jax.lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=IMAGES)
        x = jax.nn.relu(x + bias)
    return jnp.split(mlp(layers[-1:], x.reshape(len(x), -1)), 2, axis=-1)


def decode(network, layers, z):
    """Returns logits."""
    if network != "conv":
        return mlp(layers, z)
    x = jax.nn.relu(z @ layers[0][0] + layers[0][1]).reshape(-1, 7, 7, FILTERS[-1])
    for kernel, bias in layers[1:-1]:
        x = jax.nn.relu(
            jax.lax.conv_transpose(x, kernel, (2, 2), "SAME", dimension_numbers=IMAGES) + bias
        )
    return mlp(layers[-1:], x)


def training(network, x, batch_size, dtype=jnp.float32):
    """Returns a function that trains an epoch and returns the number of rows trained on.

    Args:
        network: "small", "wide" or "conv".
        x: Rows.
        batch_size: Rows of a step.
        dtype: Of the networks' arithmetic; weights, densities and updates are float32.
    """
    source, steps = jnp.asarray(x), len(x) // batch_size

    def loss(layers, batch, key):
        encoder, decoder = jax.tree.map(lambda w: w.astype(dtype), layers)
        mean, log_scale = (
            a.astype(jnp.float32) for a in encode(network, encoder, batch.astype(dtype))
        )
        z = mean + jnp.exp(log_scale) * jax.random.normal(key, mean.shape, jnp.float32)
        logits = decode(network, decoder, z.astype(dtype)).astype(jnp.float32)
        pixels = batch * logits - jax.nn.softplus(logits)
        kl = 0.5 * (mean**2 + jnp.exp(2 * log_scale) - 1 - 2 * log_scale)
        return jnp.mean(jnp.sum(kl, -1) - jnp.sum(pixels, tuple(range(1, batch.ndim))))

    def step(state, rows):
        layers, first, second, count, key = state
        key, noise = jax.random.split(key)
        value, gradient = jax.value_and_grad(loss)(layers, source[rows], noise)
        count, tree = count + 1, jax.tree.map
        first = tree(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
        second = tree(lambda v, g: 0.999 * v + 0.001 * g**2, second, gradient)
        rate = LEARNING_RATE * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        layers = tree(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + 1e-7), layers, first, second)
        return (layers, first, second, count, key), value

    @jax.jit
    def train(state, key):
        order = jax.random.permutation(key, len(x))[: steps * batch_size]
        return jax.lax.scan(step, state, order.reshape(steps, batch_size))

    key, start = jax.random.split(jax.random.key(0))
    layers = initial(network, start)
    zeros = jax.tree.map(jnp.zeros_like, layers)
    current = [(layers, zeros, zeros, jnp.zeros((), jnp.float32), key)]

    def epoch():
        current[0], values = train(current[0], jax.random.fold_in(key, int(current[0][3])))
        values.block_until_ready()
        return steps * batch_size

    return epoch


def main():
    """Trains until told to stop."""
    network, x, _ = arguments()
    serve(training(network, x, BATCH_SIZE))


if __name__ == "__main__":
    main()
