"""The rows: one a public class or recipe, held by every law of its kind."""

import keras
import numpy as np

import tfvae
from tfvae import flows, networks, objectives, recipes, schedules

# Families of a `Head`: name -> (event shape, fixed parameters).
FAMILIES = {
    "Bernoulli": ((4,), None),
    "Beta": ((4,), None),
    "BetaBinomial": ((4,), {"total_count": 10.0}),
    "Binomial": ((4,), {"total_count": 16.0}),
    "Cauchy": ((4,), None),
    "ContinuousBernoulli": ((4,), None),
    "Dirichlet": ((4,), None),
    "DirichletMultinomial": ((4,), {"total_count": 10.0}),
    "ExpRelaxedOneHotCategorical": ((2, 3), {"temperature": 0.67}),
    "Exponential": ((4,), None),
    "Gamma": ((4,), None),
    "Laplace": ((4,), None),
    "Logistic": ((4,), None),
    "LogNormal": ((4,), None),
    "LogitNormal": ((4,), None),
    "Multinomial": ((4,), {"total_count": 10.0}),
    "MultivariateNormalDiag": ((4,), None),
    "MultivariateNormalTriL": ((4,), None),
    "NegativeBinomial": ((4,), None),
    "Normal": ((2, 3), None),
    "OneHotCategorical": ((4,), None),
    "Poisson": ((4,), None),
    "RelaxedBernoulli": ((4,), {"temperature": 0.5}),
    "StudentT": ((4,), {"df": 4.0}),
    "VonMises": ((4,), None),
    "ZeroInflatedNegativeBinomial": ((4,), None),
}

# Stochastic layers that take a tensor [B, 5], or nothing.
STOCHASTIC = {
    **{
        f"Head({family})": lambda f=family, e=event, c=fixed: tfvae.Head(f, e, fixed=c)
        for family, (event, fixed) in FAMILIES.items()
    },
    "Head(shared)": lambda: tfvae.Head("Normal", (4,), shared={"scale": ()}),
    "Conditional": lambda: tfvae.Conditional(networks.mlp([6]), tfvae.Head("Normal", (4,))),
    "Fixed(Normal)": lambda: tfvae.Fixed("Normal", (2, 3), {"loc": [0.0, 1.0, 2.0], "scale": 0.5}),
    "Fixed(codes)": lambda: tfvae.Fixed("OneHotCategorical", (5, 3), {"logits": 0.0}),
    "LowRankNormal": lambda: tfvae.LowRankNormal((4,), rank=2),
    "Mixture(Normal)": lambda: tfvae.Mixture("Normal", (4,), num_components=3),
    "Mixture(MultivariateNormalTriL)": lambda: tfvae.Mixture(
        "MultivariateNormalTriL", (4,), num_components=2
    ),
    "PowerSpherical": lambda: tfvae.PowerSpherical((4,)),
    "SphericalUniform": lambda: tfvae.SphericalUniform((4,)),
    "StandardNormal": lambda: tfvae.StandardNormal((2, 3)),
    "Trainable(Normal)": lambda: tfvae.Trainable(
        "Normal", (4,), initial={"loc": 0.3, "scale": [0.1, 0.2, 0.3, 2.0]}
    ),
    "Trainable(MultivariateNormalTriL)": lambda: tfvae.Trainable("MultivariateNormalTriL", (4,)),
    "Transformed(prior)": lambda: tfvae.Transformed(
        tfvae.StandardNormal((4,)), flows.RealNVP((4,), num_layers=2, units=(6,))
    ),
    "Transformed(posterior)": lambda: tfvae.Transformed(
        tfvae.Head("Normal", (4,)), flows.InverseAutoregressive((4,), units=(6,))
    ),
    "VampPrior": lambda: tfvae.VampPrior(
        tfvae.Conditional(networks.mlp([6]), tfvae.Head("Normal", (4,))), (5,), num_components=3
    ),
}

# Codes that their features [B, 5] determine.
CODES = {
    "FiniteScalar": lambda: tfvae.FiniteScalar((3,), levels=(5, 3)),
    "VectorQuantized": lambda: tfvae.VectorQuantized((3, 2), num_codes=7),
}

# Flows over 4 numbers.
FLOWS = {
    "InverseAutoregressive": lambda: flows.InverseAutoregressive((4,), units=(7,)),
    "MaskedAutoregressive": lambda: flows.MaskedAutoregressive((4,), 3, units=(7, 6)),
    "NeuralSpline": lambda: flows.NeuralSpline((4,), 2, units=(6,), num_bins=4),
    "Planar": lambda: flows.Planar((4,), num_layers=3),
    "RealNVP": lambda: flows.RealNVP((4,), units=(6,)),
}

OBJECTIVES = {
    "ELBO": objectives.ELBO,
    "ELBO(beta, draws)": lambda: objectives.ELBO(beta=2.0, num_samples=3),
    "ELBO(schedule)": lambda: objectives.ELBO(beta=schedules.Linear(0.0, 1.0, steps=50)),
    "ELBO(free bits)": lambda: objectives.ELBO(free_bits=0.25),
}

SCHEDULES = {
    "Linear": lambda: schedules.Linear(0.5, 2.0, steps=10),
    "Cyclical": lambda: schedules.Cyclical(0.0, 1.0, period=8, ramp=0.25),
}

# Networks: builder and shape of an example.
NETWORKS = {
    "mlp": (lambda: networks.mlp([6, 5]), (4, 4, 1)),
    "residual": (lambda: networks.residual(6, num_blocks=2), (7,)),
    "convolutional": (lambda: networks.convolutional([4, 6], units=5), (8, 8, 1)),
    "deconvolutional": (lambda: networks.deconvolutional([6, 4], start=(2, 2, 3)), (5,)),
}


def _data(event_shape, seed=0):
    """Noisy copies of three binary prototypes, [96, ...] float32, and their classes, one-hot."""
    rng = np.random.default_rng(seed)
    prototypes = rng.random((3, *event_shape)) < 0.5
    labels = rng.integers(0, 3, 96)
    flips = rng.random((96, *event_shape)) < 0.05
    return (prototypes[labels] ^ flips).astype("float32"), np.eye(3, dtype="float32")[labels]


def _model(encoder=None, decoder=None, **arguments):
    """A small VAE over 8 x 8 images."""
    return tfvae.VAE(
        encoder=tfvae.Conditional(encoder or networks.mlp([12]), tfvae.Head("Normal", (3,))),
        decoder=tfvae.Conditional(
            decoder or networks.mlp([12]), tfvae.Head("Bernoulli", (8, 8, 1))
        ),
        seed=0,
        **arguments,
    )


SMALL = {"latent_size": 3, "units": (12,), "seed": 0}
IMAGES, LABELS = _data((8, 8, 1))

# Models: builder and data.
MODELS = {
    "recipes.vae": (lambda: recipes.vae((8, 8, 1), **SMALL), IMAGES),
    "recipes.vae(Normal)": (
        lambda: recipes.vae((8, 8, 1), likelihood="Normal", scale=0.5, **SMALL),
        IMAGES,
    ),
    "recipes.conditional_vae": (
        lambda: recipes.conditional_vae((8, 8, 1), **SMALL),
        {"x": IMAGES, "condition": LABELS},
    ),
    "recipes.flow_prior_vae": (
        lambda: recipes.flow_prior_vae((8, 8, 1), num_layers=2, **SMALL),
        IMAGES,
    ),
    "recipes.fsq_vae": (lambda: recipes.fsq_vae((8, 8, 1), levels=(3, 3), **SMALL), IMAGES),
    "recipes.gumbel_vae": (
        # At beta = 1 so small a model does better without latents, and all its units die.
        lambda: recipes.gumbel_vae(
            (8, 8, 1), num_classes=4, objective=objectives.ELBO(beta=0.2), **SMALL
        ),
        IMAGES,
    ),
    "recipes.hyperspherical_vae": (lambda: recipes.hyperspherical_vae((8, 8, 1), **SMALL), IMAGES),
    "recipes.iaf_vae": (lambda: recipes.iaf_vae((8, 8, 1), num_layers=1, **SMALL), IMAGES),
    "LadderVAE(recipes.ladder_vae)": (
        lambda: recipes.ladder_vae((8, 8, 1), latent_sizes=(2, 2, 3), units=(12,), seed=0),
        IMAGES,
    ),
    "recipes.mixture_vae": (
        lambda: recipes.mixture_vae((8, 8, 1), num_components=3, **SMALL),
        IMAGES,
    ),
    "recipes.vamp_vae": (
        lambda: recipes.vamp_vae((8, 8, 1), num_components=4, pseudo_inputs=IMAGES, **SMALL),
        IMAGES,
    ),
    "recipes.vq_vae": (
        lambda: recipes.vq_vae((8, 8, 1), code_size=2, num_codes=5, **SMALL),
        IMAGES,
    ),
    "VAE(conditional prior)": (
        lambda: _model(prior=tfvae.Conditional(networks.mlp([6]), tfvae.Head("Normal", (3,)))),
        {"x": IMAGES, "condition": LABELS},
    ),
    "VAE(convolutional)": (
        lambda: _model(
            networks.convolutional([4, 6]), networks.deconvolutional([6, 4], start=(2, 2, 3))
        ),
        IMAGES,
    ),
    "VAE(learned prior)": (
        lambda: _model(prior=tfvae.Trainable("MultivariateNormalTriL", (3,))),
        IMAGES,
    ),
    "VAE(dropout and batch normalisation)": (
        lambda: _model(
            keras.Sequential(
                [
                    keras.layers.Flatten(),
                    keras.layers.Dense(12),
                    keras.layers.BatchNormalization(),
                    keras.layers.Dropout(0.2, seed=0),
                ]
            ),
            objective=objectives.ELBO(beta=schedules.Linear(0.0, 1.0, steps=5), num_samples=2),
        ),
        IMAGES,
    ),
    "VAE(free bits)": (lambda: _model(objective=objectives.ELBO(free_bits=0.1)), IMAGES),
}

# Models of which other rows have the parts: they are held by the laws that need no other program.
COMPOSED = {
    "VAE(conditional prior)",
    "recipes.flow_prior_vae",
    "recipes.fsq_vae",
    "recipes.gumbel_vae",
    "recipes.hyperspherical_vae",
    "recipes.mixture_vae",
}
