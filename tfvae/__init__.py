"""Variational auto-encoders and variational inference for TensorFlow and Keras.

Every class is registered with Keras on import, so that `keras.saving.load_model` finds it.
"""

from tfvae import (
    data,
    draws,
    evaluation,
    export,
    flows,
    networks,
    objectives,
    plots,
    recipes,
    schedules,
)
from tfvae.errors import ArtifactError, DataError, NumericalError, ResumeMismatch
from tfvae.models import VAE, LadderVAE, LatentVariableModel
from tfvae.stochastic import (
    Conditional,
    Fixed,
    Head,
    Mixture,
    PowerSpherical,
    SphericalUniform,
    StandardNormal,
    StochasticLayer,
    Trainable,
    Transformed,
    VampPrior,
    dirichlet_laplace,
)

__version__ = "0.1.0"

__all__ = [
    "VAE",
    "ArtifactError",
    "Conditional",
    "DataError",
    "Fixed",
    "Head",
    "LadderVAE",
    "LatentVariableModel",
    "Mixture",
    "NumericalError",
    "PowerSpherical",
    "ResumeMismatch",
    "SphericalUniform",
    "StandardNormal",
    "StochasticLayer",
    "Trainable",
    "Transformed",
    "VampPrior",
    "data",
    "dirichlet_laplace",
    "draws",
    "evaluation",
    "export",
    "flows",
    "networks",
    "objectives",
    "plots",
    "recipes",
    "schedules",
]
