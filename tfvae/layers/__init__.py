"""Keras layers from tensors to tensors, and how composites build theirs."""

from tfvae.layers.building import build_network, build_once
from tfvae.layers.residual import ResidualBlock

__all__ = ["ResidualBlock", "build_network", "build_once"]
