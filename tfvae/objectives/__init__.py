"""Objectives: from draws to a loss per example. They know nothing of models."""

from tfvae.objectives.capacity import Capacity
from tfvae.objectives.constrained import Constrained
from tfvae.objectives.critic_total_correlation import CriticTotalCorrelation
from tfvae.objectives.dip import DIP
from tfvae.objectives.dreg import DReG
from tfvae.objectives.elbo import ELBO
from tfvae.objectives.importance_weighted import ImportanceWeighted
from tfvae.objectives.mmd import MMD
from tfvae.objectives.objective import Objective
from tfvae.objectives.renyi import Renyi
from tfvae.objectives.sticking_the_landing import StickingTheLanding
from tfvae.objectives.total_correlation import TotalCorrelation
from tfvae.objectives.vimco import VIMCO

__all__ = [
    "DIP",
    "ELBO",
    "MMD",
    "VIMCO",
    "Capacity",
    "Constrained",
    "CriticTotalCorrelation",
    "DReG",
    "ImportanceWeighted",
    "Objective",
    "Renyi",
    "StickingTheLanding",
    "TotalCorrelation",
]
