"""Recipes: a paper as a function that composes layers into an uncompiled model."""

from tfvae.recipes.beta_tcvae import beta_tcvae
from tfvae.recipes.beta_vae import beta_vae
from tfvae.recipes.capacity_vae import capacity_vae
from tfvae.recipes.conditional_vae import conditional_vae
from tfvae.recipes.dip_vae import dip_vae
from tfvae.recipes.dreg_vae import dreg_vae
from tfvae.recipes.factor_vae import factor_vae
from tfvae.recipes.flow_prior_vae import flow_prior_vae
from tfvae.recipes.fsq_vae import fsq_vae
from tfvae.recipes.geco_vae import geco_vae
from tfvae.recipes.gumbel_vae import gumbel_vae
from tfvae.recipes.hyperspherical_vae import hyperspherical_vae
from tfvae.recipes.iaf_vae import iaf_vae
from tfvae.recipes.info_vae import info_vae
from tfvae.recipes.iwae import iwae
from tfvae.recipes.ladder_vae import ladder_vae
from tfvae.recipes.mixture_vae import mixture_vae
from tfvae.recipes.prod_lda import prod_lda
from tfvae.recipes.renyi_vae import renyi_vae
from tfvae.recipes.sigma_vae import sigma_vae
from tfvae.recipes.table_vae import table_vae
from tfvae.recipes.vae import vae
from tfvae.recipes.vamp_vae import vamp_vae
from tfvae.recipes.vq_vae import vq_vae
from tfvae.recipes.wae_mmd import wae_mmd

__all__ = [
    "beta_tcvae",
    "beta_vae",
    "capacity_vae",
    "conditional_vae",
    "dip_vae",
    "dreg_vae",
    "factor_vae",
    "flow_prior_vae",
    "fsq_vae",
    "geco_vae",
    "gumbel_vae",
    "hyperspherical_vae",
    "iaf_vae",
    "info_vae",
    "iwae",
    "ladder_vae",
    "mixture_vae",
    "prod_lda",
    "renyi_vae",
    "sigma_vae",
    "table_vae",
    "vae",
    "vamp_vae",
    "vq_vae",
    "wae_mmd",
]
