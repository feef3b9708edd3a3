"""Callbacks: exact resume, early stopping on the ELBO, and a watch on the posterior."""

from tfvae.callbacks.checkpoint import Checkpoint
from tfvae.callbacks.early_stopping import EarlyStopping
from tfvae.callbacks.posterior_collapse import PosteriorCollapse

__all__ = ["Checkpoint", "EarlyStopping", "PosteriorCollapse"]
