"""A small model, exported once for all that look at it."""

import linear_gaussian
import numpy as np
import pytest
import tensorflow as tf

NUM_SAMPLES = 100


@pytest.fixture(scope="session")
def truth():
    """The parameters of the model, for which everything is known in closed form."""
    return linear_gaussian.random_parameters()


@pytest.fixture(scope="session")
def model(truth):
    vae = linear_gaussian.model(6, 2)
    linear_gaussian.set_parameters(vae, truth)
    return vae


@pytest.fixture(scope="session")
def base(model, tmp_path_factory):
    """A base directory with one version."""
    path = tmp_path_factory.mktemp("exported") / "tiny"
    exported = model.export(path, allow_untrained=True, num_samples=NUM_SAMPLES)
    assert exported == str(path / "1")
    return path


@pytest.fixture(scope="session")
def loaded(base):
    return tf.saved_model.load(str(base / "1"))


@pytest.fixture(scope="session")
def requests():
    """Inputs of five rows for each signature."""
    rng = np.random.default_rng(1)
    x, z = np.float32(rng.normal(size=(5, 6))), np.float32(rng.normal(size=(5, 2)))
    seed = np.int32(rng.integers(-(2**31), 2**31, (5, 2)))
    return {
        "serving_default": {"x": x},
        "encode": {"x": x},
        "decode": {"z": z},
        "reconstruct": {"x": x},
        "sample": {"seed": seed},
        "encode_sample": {"x": x, "seed": seed},
        "elbo": {"x": x, "seed": seed},
        "log_evidence": {"x": x, "seed": seed},
    }


@pytest.fixture(scope="session")
def answers(loaded, requests):
    """What TensorFlow gives for `requests`."""
    return {
        name: {key: value.numpy() for key, value in ask(loaded, name, inputs).items()}
        for name, inputs in requests.items()
    }


def ask(loaded, name, inputs):
    return loaded.signatures[name](**{k: tf.constant(v) for k, v in inputs.items()})
