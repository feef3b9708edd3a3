"""Variational auto-encoders and variational inference for TensorFlow and Keras.

Every class is registered with Keras on import, so that `keras.saving.load_model` finds it.
"""

from tfvae import (
    data,
    draws,
    evaluation,
    export,
    networks,
    objectives,
    plots,
    recipes,
    schedules,
    testing,
)
from tfvae.errors import ArtifactError, DataError, NumericalError, ResumeMismatch
from tfvae.models import VAE, LatentVariableModel
from tfvae.stochastic import Conditional, Head, StandardNormal, StochasticLayer, Trainable

__version__ = "0.1.0"

__all__ = [
    "VAE",
    "ArtifactError",
    "Conditional",
    "DataError",
    "Head",
    "LatentVariableModel",
    "NumericalError",
    "ResumeMismatch",
    "StandardNormal",
    "StochasticLayer",
    "Trainable",
    "data",
    "draws",
    "evaluation",
    "export",
    "networks",
    "objectives",
    "plots",
    "recipes",
    "schedules",
    "testing",
]
