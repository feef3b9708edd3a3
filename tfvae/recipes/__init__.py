"""Recipes: a paper as a function that composes layers into an uncompiled model."""

from tfvae.recipes.conditional_vae import conditional_vae
from tfvae.recipes.flow_prior_vae import flow_prior_vae
from tfvae.recipes.fsq_vae import fsq_vae
from tfvae.recipes.gumbel_vae import gumbel_vae
from tfvae.recipes.hyperspherical_vae import hyperspherical_vae
from tfvae.recipes.iaf_vae import iaf_vae
from tfvae.recipes.ladder_vae import ladder_vae
from tfvae.recipes.mixture_vae import mixture_vae
from tfvae.recipes.vae import vae
from tfvae.recipes.vamp_vae import vamp_vae
from tfvae.recipes.vq_vae import vq_vae

__all__ = [
    "conditional_vae",
    "flow_prior_vae",
    "fsq_vae",
    "gumbel_vae",
    "hyperspherical_vae",
    "iaf_vae",
    "ladder_vae",
    "mixture_vae",
    "vae",
    "vamp_vae",
    "vq_vae",
]
