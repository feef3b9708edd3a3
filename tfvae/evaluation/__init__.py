"""Evaluation: numbers about a trained model, in nats per example."""

from tfvae.evaluation.bits import bits_per_dimension
from tfvae.evaluation.bound import elbo
from tfvae.evaluation.evidence import Evidence, log_evidence
from tfvae.evaluation.latents import Aggregate, active_units, aggregate_posterior, kl_by_dimension

__all__ = [
    "Aggregate",
    "Evidence",
    "active_units",
    "aggregate_posterior",
    "bits_per_dimension",
    "elbo",
    "kl_by_dimension",
    "log_evidence",
]
