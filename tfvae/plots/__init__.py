"""Pictures of what a model does; arrays in, matplotlib figures out.

The figures belong to nobody's global state: show them in a notebook or call `savefig`.
"""

from tfvae.plots.curves import training_curves
from tfvae.plots.images import manifold, reconstructions, samples, traversal
from tfvae.plots.latents import latent_map

__all__ = [
    "latent_map",
    "manifold",
    "reconstructions",
    "samples",
    "training_curves",
    "traversal",
]
