"""Stochastic layers: Keras layers whose call returns a `tfd.Distribution`."""

from tfvae.stochastic.conditional import Conditional
from tfvae.stochastic.dirichlet_laplace import dirichlet_laplace
from tfvae.stochastic.fixed import Fixed
from tfvae.stochastic.head import Head
from tfvae.stochastic.mixture import Mixture
from tfvae.stochastic.spherical import PowerSpherical, SphericalUniform
from tfvae.stochastic.standard_normal import StandardNormal
from tfvae.stochastic.stochastic_layer import StochasticLayer
from tfvae.stochastic.trainable import Trainable
from tfvae.stochastic.transformed import Transformed
from tfvae.stochastic.vamp_prior import VampPrior

__all__ = [
    "Conditional",
    "Fixed",
    "Head",
    "Mixture",
    "PowerSpherical",
    "SphericalUniform",
    "StandardNormal",
    "StochasticLayer",
    "Trainable",
    "Transformed",
    "VampPrior",
    "dirichlet_laplace",
]
