"""Distributions and divergences that TensorFlow Probability lacks."""

from tfvae.distributions.center import center
from tfvae.distributions.divergence import exact_kl, exact_kl_parts

__all__ = ["center", "exact_kl", "exact_kl_parts"]
