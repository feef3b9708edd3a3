"""Real data in the shape a model takes them: arrays, fixed splits, binarization."""

from tfvae.data.arrays import load_arrays
from tfvae.data.binarize import binarize, dynamic_binarization
from tfvae.data.digits import digits
from tfvae.data.idx import mnist, read_idx
from tfvae.data.load import load
from tfvae.data.splits import Splits, fingerprint, split

__all__ = [
    "Splits",
    "binarize",
    "digits",
    "dynamic_binarization",
    "fingerprint",
    "load",
    "load_arrays",
    "mnist",
    "read_idx",
    "split",
]
