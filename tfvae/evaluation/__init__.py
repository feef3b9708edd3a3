"""Evaluation: numbers about a trained model, in nats per example."""

from tfvae.evaluation.bits import bits_per_dimension
from tfvae.evaluation.bound import elbo
from tfvae.evaluation.evidence import Evidence, log_evidence

__all__ = ["Evidence", "bits_per_dimension", "elbo", "log_evidence"]
