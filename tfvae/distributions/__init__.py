"""Distributions and divergences that TensorFlow Probability lacks."""

from tfvae.distributions.center import center
from tfvae.distributions.divergence import exact_kl, exact_kl_parts
from tfvae.distributions.uniform_codes import UniformCodes

__all__ = ["UniformCodes", "center", "exact_kl", "exact_kl_parts"]
