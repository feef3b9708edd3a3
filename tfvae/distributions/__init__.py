"""Distributions and divergences that TensorFlow Probability lacks."""

from tfvae.distributions.bernoulli import Bernoulli
from tfvae.distributions.divergence import exact_kl, exact_kl_parts

__all__ = ["Bernoulli", "exact_kl", "exact_kl_parts"]
