"""The versions of all that a model's numbers depend on."""

import platform

import keras
import numpy
import tensorflow
import tensorflow_probability


def installed_versions() -> dict[str, str]:
    """Returns version by package, Python's among them."""
    import tfvae

    modules = (tensorflow, keras, tensorflow_probability, numpy, tfvae)
    return {"python": platform.python_version()} | {m.__name__: m.__version__ for m in modules}
