"""Variational inference in any joint distribution."""

from tfvae.vi.calibration import Calibration, calibrate
from tfvae.vi.fitting import fit
from tfvae.vi.nuts import Chains, nuts
from tfvae.vi.psis import threshold
from tfvae.vi.result import Fit
from tfvae.vi.saving import load
from tfvae.vi.surrogates import FullRank, LowRank, MeanField, SplineFlow

__all__ = [
    "Calibration",
    "Chains",
    "Fit",
    "FullRank",
    "LowRank",
    "MeanField",
    "SplineFlow",
    "calibrate",
    "fit",
    "load",
    "nuts",
    "threshold",
]
