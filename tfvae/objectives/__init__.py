"""Objectives: from draws to a loss per example. They know nothing of models."""

from tfvae.objectives.elbo import ELBO
from tfvae.objectives.objective import Objective

__all__ = ["ELBO", "Objective"]
