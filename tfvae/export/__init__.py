"""Export: models as files that other programs serve."""

from tfvae.export.saved_model import saved_model
from tfvae.export.serving_config import serving_config
from tfvae.export.tflite import tflite
from tfvae.export.web import web

FORMATS = {"saved_model": saved_model, "tflite": tflite, "web": web}

__all__ = ["FORMATS", "saved_model", "serving_config", "tflite", "web"]
