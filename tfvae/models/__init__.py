"""Models: a forward pass that gives `Draws`, and how it is trained."""

from tfvae.models.ladder_vae import LadderVAE
from tfvae.models.latent_variable_model import LatentVariableModel
from tfvae.models.vae import VAE

__all__ = ["VAE", "LadderVAE", "LatentVariableModel"]
