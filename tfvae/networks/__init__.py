"""Networks: functions that return plain Keras models from tensors to features.

None of them is needed: a `Conditional` takes any Keras model or layer.
"""

from tfvae.networks.convolutional import convolutional, deconvolutional
from tfvae.networks.mlp import mlp
from tfvae.networks.residual import residual

__all__ = ["convolutional", "deconvolutional", "mlp", "residual"]
