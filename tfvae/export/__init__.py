"""Export: models as files that other programs serve."""

from tfvae.export.saved_model import saved_model

FORMATS = {"saved_model": saved_model}

__all__ = ["FORMATS", "saved_model"]
