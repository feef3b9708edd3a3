"""The rows: one a public class or recipe, held by every law of its kind."""

import keras
import numpy as np

import tfvae
from tfvae import flows, networks, objectives, recipes, schedules

# Families of a `Head`: name -> (event shape, fixed parameters).
FAMILIES = {
    "BagOfWords": ((4,), {"total_count": 10.0}),
    "Bernoulli": ((4,), None),
    "Beta": ((4,), None),
    "BetaBinomial": ((4,), {"total_count": 10.0}),
    "Binomial": ((4,), {"total_count": 16.0}),
    "Categorical": ((4,), {"num_classes": 3}),
    "Cauchy": ((4,), None),
    "ContinuousBernoulli": ((4,), None),
    "Dirichlet": ((4,), None),
    "DirichletMultinomial": ((4,), {"total_count": 10.0}),
    "DiscretizedLogistic": ((4,), None),
    "DiscretizedLogisticMixture": ((2, 2), {"num_components": 3}),
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
    "NegativeBinomialByMean": ((4,), None),
    "Normal": ((2, 3), None),
    "OneHotCategorical": ((4,), None),
    "Poisson": ((4,), None),
    "RelaxedBernoulli": ((4,), {"temperature": 0.5}),
    "StudentT": ((4,), None),
    "VonMises": ((4,), None),
    "ZeroInflatedNegativeBinomial": ((4,), None),
    "ZeroInflatedNegativeBinomialByMean": ((4,), None),
}

# Stochastic layers that take a tensor [B, 5], or nothing.
STOCHASTIC = {
    **{
        f"Head({family})": lambda f=family, e=event, c=fixed: tfvae.Head(f, e, fixed=c)
        for family, (event, fixed) in FAMILIES.items()
    },
    "Head(shared)": lambda: tfvae.Head("Normal", (4,), shared={"scale": ()}),
    "CalibratedNormal": lambda: tfvae.CalibratedNormal((2, 3)),
    "Columns": lambda: tfvae.Columns(
        [tfvae.Head("Normal", (2,)), tfvae.Head("Poisson", (2,))], [[3, 0], [1, 2]]
    ),
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


def critic():
    """A small critic of codes."""
    return keras.Sequential([networks.mlp([6]), keras.layers.Dense(1)])


OBJECTIVES = {
    "ELBO": objectives.ELBO,
    "ELBO(beta, draws)": lambda: objectives.ELBO(beta=2.0, num_samples=3),
    "ELBO(schedule)": lambda: objectives.ELBO(beta=schedules.Linear(0.0, 1.0, steps=50)),
    "ELBO(free bits)": lambda: objectives.ELBO(free_bits=0.25),
    "Capacity": lambda: objectives.Capacity(schedules.Linear(0.0, 5.0, steps=50), weight=10.0),
    "Constrained": lambda: objectives.Constrained(tolerance=30.0, rate=0.1),
    "CriticTotalCorrelation": lambda: objectives.CriticTotalCorrelation(10.0, critic(), seed=1),
    "DIP": lambda: objectives.DIP(10.0),
    "DIP(means)": lambda: objectives.DIP(10.0, diagonal_weight=100.0, of_means=True),
    "DReG": lambda: objectives.DReG(num_samples=5),
    "ImportanceWeighted": lambda: objectives.ImportanceWeighted(num_samples=5),
    "MMD": lambda: objectives.MMD(10.0, seed=1),
    "Renyi": lambda: objectives.Renyi(alpha=0.5, num_samples=5),
    "StickingTheLanding": lambda: objectives.StickingTheLanding(num_samples=2),
    "TotalCorrelation": lambda: objectives.TotalCorrelation(5.0, num_examples=96),
    "VIMCO": lambda: objectives.VIMCO(num_samples=5),
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


def _table(seed=0):
    """Rows of two real numbers, a count, one of three classes, and a mask, for two groups."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 2, 96)
    real = rng.normal(3.0 * group[:, None] - 1.0, 0.5, (96, 2))
    x = np.stack([real[:, 0], rng.poisson(2 + 8 * group), 2 * group, real[:, 1]], axis=1)
    return {"x": x.astype("float32"), "mask": (rng.random((96, 4)) < 0.8).astype("float32")}


def _documents(seed=0):
    """Counts of eight words in 96 documents of two kinds."""
    rng = np.random.default_rng(seed)
    words = np.where(rng.integers(0, 2, 96)[:, None] == (np.arange(8) < 4), 5.0, 0.3)
    return rng.poisson(words).astype("float32")


def _model(encoder=None, decoder=None, posterior=None, **arguments):
    """A small VAE over 8 x 8 images."""
    return tfvae.VAE(
        encoder=tfvae.Conditional(
            encoder or networks.mlp([12]), posterior or tfvae.Head("Normal", (3,))
        ),
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
    "recipes.sigma_vae": (lambda: recipes.sigma_vae((8, 8, 1), **SMALL), IMAGES),
    "recipes.table_vae": (
        lambda: recipes.table_vae(
            (4,), families={"Normal": [0, 3], "Poisson": [1]}, classes={2: 3}, **SMALL
        ),
        _table(),
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
    "recipes.prod_lda": (lambda: recipes.prod_lda((8,), **SMALL), _documents()),
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

# Models of `IMAGES` that are new in their objective alone; they are held by the laws it can break.
TRAINED = {
    "recipes.beta_tcvae": lambda: recipes.beta_tcvae((8, 8, 1), num_examples=96, **SMALL),
    "recipes.beta_vae": lambda: recipes.beta_vae((8, 8, 1), beta=2.0, **SMALL),
    "recipes.capacity_vae": lambda: recipes.capacity_vae(
        (8, 8, 1), capacity=4.0, steps=20, weight=10.0, **SMALL
    ),
    "recipes.dip_vae": lambda: recipes.dip_vae((8, 8, 1), weight=1.0, **SMALL),
    "recipes.dreg_vae": lambda: recipes.dreg_vae((8, 8, 1), num_samples=5, **SMALL),
    "recipes.factor_vae": lambda: recipes.factor_vae(
        (8, 8, 1), weight=2.0, critic_units=(6,), **SMALL
    ),
    "recipes.geco_vae": lambda: recipes.geco_vae((8, 8, 1), tolerance=20.0, **SMALL),
    "recipes.info_vae": lambda: recipes.info_vae((8, 8, 1), alpha=0.5, weight=10.0, **SMALL),
    "recipes.iwae": lambda: recipes.iwae((8, 8, 1), **SMALL),
    "recipes.renyi_vae": lambda: recipes.renyi_vae((8, 8, 1), **SMALL),
    "recipes.wae_mmd": lambda: recipes.wae_mmd((8, 8, 1), weight=10.0, **SMALL),
    "VAE(binary latents)": lambda: _model(
        posterior=tfvae.Head("Bernoulli", (3,)),
        prior=tfvae.Trainable("Bernoulli", (3,)),
        objective=objectives.VIMCO(num_samples=8),
    ),
}

# Models that are held by every law; the others by those that their kind can break.
HELD_BY_ALL = {
    "LadderVAE(recipes.ladder_vae)",
    "VAE(dropout and batch normalisation)",
    "recipes.conditional_vae",
    "recipes.table_vae",
    "recipes.vae",
    "recipes.vq_vae",
}

# Models of which other rows have the parts: they are held by the laws that need no other program.
COMPOSED = {
    "VAE(conditional prior)",
    "recipes.flow_prior_vae",
    "recipes.fsq_vae",
    "recipes.gumbel_vae",
    "recipes.hyperspherical_vae",
    "recipes.mixture_vae",
    "recipes.prod_lda",
}
