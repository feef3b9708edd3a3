"""Variational auto-encoders and variational inference for TensorFlow and Keras.

Every class is registered with Keras on import, so that `keras.saving.load_model` finds it.
"""

from tfvae import (
    callbacks,
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
    testing,
    vi,
)
from tfvae.errors import ArtifactError, DataError, NumericalError, ResumeMismatch
from tfvae.ex_post import fit_prior
from tfvae.models import VAE, LadderVAE, LatentVariableModel
from tfvae.stochastic import (
    CalibratedNormal,
    Columns,
    Conditional,
    FiniteScalar,
    Fixed,
    Head,
    LowRankNormal,
    Mixture,
    PowerSpherical,
    SphericalUniform,
    StandardNormal,
    StochasticLayer,
    Trainable,
    Transformed,
    UniformCodes,
    VampPrior,
    VectorQuantized,
    dirichlet_laplace,
)

__version__ = "0.1.0"

__all__ = [
    "VAE",
    "ArtifactError",
    "CalibratedNormal",
    "Columns",
    "Conditional",
    "DataError",
    "FiniteScalar",
    "Fixed",
    "Head",
    "LadderVAE",
    "LatentVariableModel",
    "LowRankNormal",
    "Mixture",
    "NumericalError",
    "PowerSpherical",
    "ResumeMismatch",
    "SphericalUniform",
    "StandardNormal",
    "StochasticLayer",
    "Trainable",
    "Transformed",
    "UniformCodes",
    "VampPrior",
    "VectorQuantized",
    "callbacks",
    "data",
    "dirichlet_laplace",
    "draws",
    "evaluation",
    "export",
    "fit_prior",
    "flows",
    "networks",
    "objectives",
    "plots",
    "recipes",
    "schedules",
    "testing",
    "vi",
]
