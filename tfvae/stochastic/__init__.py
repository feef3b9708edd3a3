"""Stochastic layers: Keras layers whose call returns a `tfd.Distribution`."""

from tfvae.stochastic.calibrated_normal import CalibratedNormal
from tfvae.stochastic.columns import Columns
from tfvae.stochastic.conditional import Conditional
from tfvae.stochastic.dirichlet_laplace import dirichlet_laplace
from tfvae.stochastic.finite_scalar import FiniteScalar
from tfvae.stochastic.fixed import Fixed
from tfvae.stochastic.head import Head
from tfvae.stochastic.low_rank_normal import LowRankNormal
from tfvae.stochastic.mixture import Mixture
from tfvae.stochastic.spherical import PowerSpherical, SphericalUniform
from tfvae.stochastic.standard_normal import StandardNormal
from tfvae.stochastic.stochastic_layer import StochasticLayer
from tfvae.stochastic.trainable import Trainable
from tfvae.stochastic.transformed import Transformed
from tfvae.stochastic.uniform_codes import UniformCodes
from tfvae.stochastic.vamp_prior import VampPrior
from tfvae.stochastic.vector_quantized import VectorQuantized

__all__ = [
    "CalibratedNormal",
    "Columns",
    "Conditional",
    "FiniteScalar",
    "Fixed",
    "Head",
    "LowRankNormal",
    "Mixture",
    "PowerSpherical",
    "SphericalUniform",
    "StandardNormal",
    "StochasticLayer",
    "Trainable",
    "Transformed",
    "UniformCodes",
    "VampPrior",
    "VectorQuantized",
    "dirichlet_laplace",
]
