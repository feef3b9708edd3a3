"""Distributions and divergences that TensorFlow Probability lacks."""

from tfvae.distributions.divergence import exact_kl, exact_kl_parts

__all__ = ["exact_kl", "exact_kl_parts"]
