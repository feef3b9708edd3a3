"""Stochastic layers: Keras layers whose call returns a `tfd.Distribution`."""

from tfvae.stochastic.calibrated_normal import CalibratedNormal
from tfvae.stochastic.columns import Columns
from tfvae.stochastic.conditional import Conditional
from tfvae.stochastic.head import Head
from tfvae.stochastic.standard_normal import StandardNormal
from tfvae.stochastic.stochastic_layer import StochasticLayer
from tfvae.stochastic.trainable import Trainable

__all__ = [
    "CalibratedNormal",
    "Columns",
    "Conditional",
    "Head",
    "StandardNormal",
    "StochasticLayer",
    "Trainable",
]
