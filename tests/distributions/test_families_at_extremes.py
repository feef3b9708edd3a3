"""Families of TFP as a `Head` makes them: densities integrate to one; nothing overflows."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.families import Family

tfd = tfp.distributions

# Family -> constants, and data that lie well inside and at the edges of the support.
EXTREMES = {
    "Normal": ({}, [-3.0, 0.0, 100.0]),
    "Laplace": ({}, [-3.0, 0.0, 100.0]),
    "StudentT": ({}, [-3.0, 0.0, 100.0]),
    "Bernoulli": ({}, [0.0, 1.0]),
    "ContinuousBernoulli": ({}, [0.0, 0.3, 1.0]),
    "Beta": ({}, [1e-6, 0.3, 1.0 - 1e-6]),
    "LogitNormal": ({}, [1e-6, 0.3, 1.0 - 1e-6]),
    "Gamma": ({}, [1e-6, 1.0, 1e6]),
    "Categorical": ({"num_classes": 3}, [0.0, 2.0]),
    "Poisson": ({}, [0.0, 1.0, 1e6]),
    "NegativeBinomialByMean": ({}, [0.0, 1.0, 1e6]),
    "ZeroInflatedNegativeBinomialByMean": ({}, [0.0, 1.0, 1e6]),
    "DiscretizedLogistic": ({}, [0.0, 100.0, 255.0]),
    "DiscretizedLogisticMixture": ({"num_components": 2}, [0.0, 100.0, 255.0]),
}


def outputs_of_any_size_are_harmless(distribution, shapes, data):
    """Density and gradient are finite where a projection gives 0, small or large numbers."""
    grid = np.meshgrid(*[np.float32([-50.0, -1e-3, 0.0, 50.0])] * len(shapes), data)
    *sizes, x = (g.reshape(-1, 1) for g in grid)
    raw = {
        k: tf.constant(np.broadcast_to(v.reshape(-1, *[1] * len(s)), (len(v), *s)))
        for (k, s), v in zip(shapes.items(), sizes, strict=True)
    }
    with tf.GradientTape() as tape:
        tape.watch(raw)
        log_prob = distribution(raw).log_prob(tf.constant(x, tf.float32))
    assert np.isfinite(log_prob).all()
    for name, gradient in tape.gradient(log_prob, raw).items():
        assert np.isfinite(gradient).all(), name


@pytest.mark.parametrize("name", EXTREMES)
def test_outputs_of_any_size_are_harmless(name):
    constants, data = EXTREMES[name]
    family = Family(name, (1,), constants)
    shapes = {k: p.unconstrained_shape for k, p in family.free.items()}
    outputs_of_any_size_are_harmless(family.distribution, shapes, data)


def test_one_hot_categories_of_any_size_are_harmless():
    family = Family("OneHotCategorical", (3,))
    for logits in ([50.0, -50.0, 0.0], [0.0, 0.0, 0.0]):
        raw = {"logits": tf.constant([logits])}
        with tf.GradientTape() as tape:
            tape.watch(raw)
            log_prob = family.distribution(raw).log_prob([[0.0, 1.0, 0.0]])
        assert np.isfinite(log_prob).all()
        assert np.isfinite(tape.gradient(log_prob, raw)["logits"]).all()


def test_the_law_rejects_an_exponential_scale():
    def unbounded(raw):
        return tfd.Independent(tfd.Normal(raw["loc"], tf.exp(raw["scale"])), 1)

    with pytest.raises(AssertionError):
        outputs_of_any_size_are_harmless(unbounded, {"loc": (1,), "scale": (1,)}, [100.0])


def density_integrates_to_one(d):
    """The trapezoidal rule over the reals, from which the support is reached by its bijector."""
    u = np.linspace(-14.0, 14.0, 20_001).astype("float32")
    entry = d.distribution
    bijector = entry.experimental_default_event_space_bijector()
    reals = tf.sinh(u) if bijector.name == "identity" else u
    x = bijector.forward(reals[:, None])
    log_det = bijector.forward_log_det_jacobian(reals[:, None], event_ndims=0)
    stretch = np.cosh(u) if bijector.name == "identity" else 1.0
    density = np.exp(np.float64(entry.log_prob(x) + log_det))[:, 0] * stretch
    assert np.trapezoid(density, u) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    "name", ["Normal", "Laplace", "StudentT", "Beta", "LogitNormal", "ContinuousBernoulli", "Gamma"]
)
def test_densities_integrate_to_one(name):
    family = Family(name, (1,))
    for value in (0.2, 0.7):
        raw = {k: tf.fill(p.unconstrained_shape, value) for k, p in family.free.items()}
        density_integrates_to_one(family.distribution(raw))


def test_a_student_t_has_a_mean_whatever_its_features():
    d = Family("StudentT", (3,)).distribution(
        {k: tf.constant([[-1e6, 0.0, 1e6]]) for k in ("df", "loc", "scale")}
    )
    assert np.isfinite(d.mean()).all()
    assert np.isfinite(d.variance()).all()


def test_draws_of_classes_are_float32_like_all_examples():
    for name, constants in (("Categorical", {"num_classes": 3}), ("Bernoulli", {})):
        family = Family(name, (5,), constants)
        d = family.distribution(
            {"logits": tf.zeros((2, *family.free["logits"].unconstrained_shape))}
        )
        draws = d.sample(500, seed=[0, 1])
        assert draws.dtype == tf.float32
        assert set(np.unique(draws)) == set(range(constants.get("num_classes", 2)))
