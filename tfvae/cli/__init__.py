"""What the commands of `tfvae` do; their grammar is in `tfvae_cli`, which imports no TensorFlow."""

from tfvae.cli.commands import evaluate, inspect, recipes, resume, sample, train
from tfvae.cli.exits import describe
from tfvae.cli.exporting import export

__all__ = ["describe", "evaluate", "export", "inspect", "recipes", "resume", "sample", "train"]
