"""Recipes: a paper as a function that composes layers into an uncompiled model."""

from tfvae.recipes.beta_tcvae import beta_tcvae
from tfvae.recipes.beta_vae import beta_vae
from tfvae.recipes.capacity_vae import capacity_vae
from tfvae.recipes.conditional_vae import conditional_vae
from tfvae.recipes.dip_vae import dip_vae
from tfvae.recipes.dreg_vae import dreg_vae
from tfvae.recipes.factor_vae import factor_vae
from tfvae.recipes.geco_vae import geco_vae
from tfvae.recipes.info_vae import info_vae
from tfvae.recipes.iwae import iwae
from tfvae.recipes.renyi_vae import renyi_vae
from tfvae.recipes.sigma_vae import sigma_vae
from tfvae.recipes.table_vae import table_vae
from tfvae.recipes.vae import vae
from tfvae.recipes.wae_mmd import wae_mmd

__all__ = [
    "beta_tcvae",
    "beta_vae",
    "capacity_vae",
    "conditional_vae",
    "dip_vae",
    "dreg_vae",
    "factor_vae",
    "geco_vae",
    "info_vae",
    "iwae",
    "renyi_vae",
    "sigma_vae",
    "table_vae",
    "vae",
    "wae_mmd",
]
