"""Recipes: a paper as a function that composes layers into an uncompiled model."""

from tfvae.recipes.conditional_vae import conditional_vae
from tfvae.recipes.sigma_vae import sigma_vae
from tfvae.recipes.table_vae import table_vae
from tfvae.recipes.vae import vae

__all__ = ["conditional_vae", "sigma_vae", "table_vae", "vae"]
