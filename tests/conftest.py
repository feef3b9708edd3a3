"""Small seeded data and models that all tests share."""

import gc

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvae

EVENT_SHAPE, LATENT_SIZE = (6,), 2

# Two replicas for the tests of strategies; it must come before TensorFlow's first operation.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture(autouse=True, scope="module")
def _short_pauses():
    """What outlives a module, such as graphs that TFP's caches keep, is collected no more.

    Python's collector visits all that lives; after some hundred graphs it stops a test for 30 s.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _seeded_module():
    """Initial weights that a test does not seed are the same in every run of its module."""
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def _seeded_test(_seeded_module):
    """And in every run of one test."""
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def replicas():
    """Two replicas; a process has one strategy, for TensorFlow mixes up the collectives of two."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture(scope="session")
def x():
    """Binary rows; 61 of them, so that no batch size of the tests divides their number."""
    rows = (np.random.default_rng(0).random((61, *EVENT_SHAPE)) < 0.4).astype("float32")
    rows.flags.writeable = False
    return rows


@pytest.fixture(scope="session")
def condition(x):
    """One of three classes for each row of `x`, one-hot."""
    return np.eye(3, dtype="float32")[np.arange(len(x)) % 3]


@pytest.fixture(scope="session")
def make_vae():
    """A function that returns a small VAE, not compiled; equal arguments give equal ones."""

    def make(**arguments):
        arguments = {"latent_size": LATENT_SIZE, "units": (8,), "seed": 0} | arguments
        return tfvae.recipes.vae(EVENT_SHAPE, **arguments)

    return make


@pytest.fixture(scope="session")
def make_exact_vae():
    """A function that returns a VAE whose decoder does not look at z.

    Nothing about it is random, training included, so that its numbers are known by hand.
    """

    def make(network=None, **arguments):
        with tfvae.random.seeded_initializers(0):
            blind = keras.layers.Dense(
                3, "tanh", kernel_initializer="zeros", bias_initializer="normal", trainable=False
            )
            return tfvae.VAE(
                tfvae.Conditional(
                    network or keras.layers.Dense(8, "tanh"), tfvae.Head("Normal", (LATENT_SIZE,))
                ),
                tfvae.Conditional(blind, tfvae.Head("Bernoulli", EVENT_SHAPE)),
                **{"seed": 0} | arguments,
            )

    return make


@pytest.fixture(scope="session")
def by_hand():
    """A function from an exact VAE and rows to their log-likelihood, KL and ELBO, [N] each."""

    def compute(vae, x, condition=None):
        inputs = x if condition is None else {"x": x, "condition": condition}
        q = vae.encode(inputs)
        mean, scale = np.float64(q.mean()), np.float64(q.stddev())
        p = np.float64(vae.decode(np.zeros((len(x), LATENT_SIZE)), condition).mean())
        kl = 0.5 * (mean**2 + scale**2 - 1.0 - 2.0 * np.log(scale)).sum(-1)
        log_likelihood = np.log(np.where(x == 1.0, p, 1.0 - p)).sum(-1)
        return {"log_likelihood": log_likelihood, "kl": kl, "elbo": log_likelihood - kl}

    return compute


@pytest.fixture(scope="session")
def state_of():
    """A function that returns all that training changes: weights, counters, optimizer state."""

    def read(model):
        optimizer = getattr(model, "optimizer", None)
        variables = [*model.weights, *(optimizer.variables if optimizer else ())]
        return [v.numpy() for v in variables]

    return read


@pytest.fixture(scope="session")
def assert_same_bits():
    """A function that asserts that two lists of arrays are equal, bit for bit."""

    def check(actual, expected):
        assert len(actual) == len(expected)
        for a, e in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(a, e, strict=True)

    return check
