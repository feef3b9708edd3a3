"""Distributions and divergences that TensorFlow Probability lacks."""

from tfvae.distributions.bag_of_words import BagOfWords
from tfvae.distributions.bernoulli import Bernoulli
from tfvae.distributions.center import center
from tfvae.distributions.discretized_logistic import DiscretizedLogistic
from tfvae.distributions.discretized_logistic_mixture import DiscretizedLogisticMixture
from tfvae.distributions.divergence import exact_kl, exact_kl_parts
from tfvae.distributions.negative_binomial_by_mean import NegativeBinomialByMean
from tfvae.distributions.normal import Normal
from tfvae.distributions.normal_mixture import NormalMixture, mixture
from tfvae.distributions.observed import observed_log_prob, with_exposure
from tfvae.distributions.uniform_codes import UniformCodes
from tfvae.distributions.zero_inflated_negative_binomial_by_mean import (
    ZeroInflatedNegativeBinomialByMean,
)

__all__ = [
    "BagOfWords",
    "Bernoulli",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "NegativeBinomialByMean",
    "Normal",
    "NormalMixture",
    "UniformCodes",
    "ZeroInflatedNegativeBinomialByMean",
    "center",
    "exact_kl",
    "exact_kl_parts",
    "mixture",
    "observed_log_prob",
    "with_exposure",
]
