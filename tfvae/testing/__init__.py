"""Laws that every model must keep, to be run on one's own."""

from tfvae.testing.check import check_vae
from tfvae.testing.laws import CheckFailed
from tfvae.testing.report import Check, Report

__all__ = ["Check", "CheckFailed", "Report", "check_vae"]
