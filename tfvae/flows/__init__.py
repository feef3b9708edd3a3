"""Flows: Keras layers whose call returns a `tfb.Bijector` from base to data."""

from tfvae.flows.autoregressive import InverseAutoregressive, MaskedAutoregressive
from tfvae.flows.flow import Flow
from tfvae.flows.neural_spline import NeuralSpline
from tfvae.flows.planar import Planar
from tfvae.flows.real_nvp import RealNVP

__all__ = [
    "Flow",
    "InverseAutoregressive",
    "MaskedAutoregressive",
    "NeuralSpline",
    "Planar",
    "RealNVP",
]
