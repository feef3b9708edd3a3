"""Numbers about latents, where they are known: posteriors that are set by hand."""

import math

import linear_gaussian
import numpy as np
import pytest

import tfvae
from tfvae import evaluation

ROWS, DIMENSIONS = 400, 5


def with_posterior(a, c, s):
    """Returns a model with q(z | x) = N(A x + c, diag s**2) and prior N(0, I)."""
    parameters = linear_gaussian.random_parameters(0, DIMENSIONS, len(c))
    model = linear_gaussian.model(DIMENSIONS, len(c))
    linear_gaussian.set_parameters(model, parameters._replace(a=a, c=c, s=s))
    return model


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(ROWS, DIMENSIONS)).astype("float32")


def encoder(*gains):
    """Returns A, [K, D], with one input for each latent."""
    a = np.zeros((len(gains), DIMENSIONS))
    a[range(len(gains)), range(len(gains))] = gains
    return a


def kl_by_hand(a, c, s, x):
    m = x.astype("float64") @ a.T + c
    return 0.5 * (m**2 + s**2 - 1.0 - 2.0 * np.log(s)).mean(axis=0)


def test_units_are_active_above_the_threshold_of_the_variance_of_their_means(x):
    """Var(g x) = g**2 Var(x): gains on both sides of 0.1 for the usual threshold of 0.01."""
    c, s = np.array([3.0, -1.0, 0.0, 0.5]), np.array([0.1, 0.9, 2.0, 0.5])
    model = with_posterior(encoder(0.0, 0.08, 0.13, 2.0), c, s)
    assert evaluation.active_units(model, x) == 2
    assert evaluation.active_units(model, x, threshold=1.0) == 1
    assert evaluation.active_units(model, x, threshold=0.0) == 3
    variances = x.astype("float64").var(axis=0)
    assert evaluation.active_units(model, x, threshold=0.13**2 * variances[2] * 0.999) == 2
    assert evaluation.active_units(model, x, threshold=0.13**2 * variances[2] * 1.001) == 1


def test_kl_by_dimension_is_the_formula(x):
    a, c, s = encoder(0.0, 0.5, 2.0), np.array([0.0, 1.0, -1.0]), np.array([1.0, 0.3, 0.05])
    model = with_posterior(a, c, s)
    expected = kl_by_hand(a, c, s, x)
    np.testing.assert_allclose(evaluation.kl_by_dimension(model, x), expected, rtol=1e-4, atol=1e-6)
    aggregate = evaluation.aggregate_posterior(model, x)
    np.testing.assert_allclose(aggregate.kl_by_dimension, expected, rtol=1e-4, atol=1e-6)


def test_a_posterior_that_is_the_same_for_all_has_no_information(x):
    """Then q(z) = q(z | x), and the gap is the whole KL."""
    c, s = np.array([0.7, -0.2]), np.array([0.5, 1.5])
    model = with_posterior(encoder(0.0, 0.0), c, s)
    aggregate = evaluation.aggregate_posterior(model, x)
    draws = np.array(
        [evaluation.aggregate_posterior(model, x, seed).gap for seed in range(1, 9)]
    )  # of a mean over the rows
    kl = 0.5 * (c**2 + s**2 - 1.0 - 2.0 * np.log(s)).sum()
    assert aggregate.mutual_information == pytest.approx(0.0, abs=1e-4)
    assert abs(draws.mean() - kl) < 5.0 * draws.std(ddof=1) / math.sqrt(len(draws))


def test_posteriors_that_do_not_overlap_tell_the_row(x):
    """The information is the log of the number of rows, its bound."""
    model = with_posterior(encoder(1_000.0, 1_000.0), np.zeros(2), np.full(2, 1e-2))
    aggregate = evaluation.aggregate_posterior(model, x)
    assert aggregate.mutual_information == pytest.approx(math.log(ROWS), rel=1e-4)


def mixture_by_hand(a, c, s, x, samples=200_000):
    """I(x; z) of the mixture of the rows' posteriors, by its own draws in float64."""
    rng = np.random.default_rng(7)
    m = x.astype("float64") @ a.T + c
    rows = rng.integers(0, len(x), samples)
    z = m[rows] + s * rng.normal(size=(samples, len(c)))
    constant = -np.log(s).sum() - 0.5 * len(c) * np.log(2 * np.pi)
    own = constant - 0.5 * (((z - m[rows]) / s) ** 2).sum(1)
    log_q = np.empty(samples)
    for start in range(0, samples, 2_000):
        d = (z[start : start + 2_000, None] - m) / s
        log_q[start : start + 2_000] = np.log(np.mean(np.exp(-0.5 * (d**2).sum(-1)), axis=1))
    terms = own - constant - log_q
    return terms.mean(), terms.std() / math.sqrt(samples)


def test_the_parts_add_up_and_are_those_of_the_mixture(x):
    a, c, s = encoder(0.8, 0.3), np.array([0.2, -0.5]), np.array([0.4, 0.9])
    model, few = with_posterior(a, c, s), x[:100]
    expected, error = mixture_by_hand(a, c, s, few)
    parts = [evaluation.aggregate_posterior(model, few, seed) for seed in range(12)]
    information = np.array([p.mutual_information for p in parts])
    total = np.array([p.mutual_information + p.gap for p in parts])
    standard_error = information.std(ddof=1) / math.sqrt(len(parts))
    assert abs(information.mean() - expected) < 5.0 * math.hypot(standard_error, error)
    kl = kl_by_hand(a, c, s, few).sum()
    assert abs(total.mean() - kl) < 5.0 * total.std(ddof=1) / math.sqrt(len(parts))
    # Mutants: the aggregate of other rows, and a mixture that is not divided by their number.
    other, other_error = mixture_by_hand(2.0 * a, c, s, few, samples=20_000)
    assert abs(information.mean() - other) > 5.0 * math.hypot(standard_error, other_error)
    assert abs(information.mean() - math.log(100) - expected) > 5.0 * standard_error


def test_the_same_seed_gives_the_same_numbers_and_conditions_are_heeded(make_vae, x):
    rows = (x > 0).astype("float32")
    inputs = {"x": np.pad(rows, ((0, 0), (0, 1))), "condition": rows[:, :3]}
    model = make_vae()
    model.encode(inputs)
    first, second = (evaluation.aggregate_posterior(model, inputs) for _ in range(2))
    assert first.gap == second.gap
    turned = inputs | {"condition": rows[::-1, :3]}
    assert evaluation.aggregate_posterior(model, turned).gap != first.gap
    assert evaluation.aggregate_posterior(model, inputs, seed=1).gap != first.gap


def test_what_has_no_answer_is_refused(x):
    model = with_posterior(encoder(1.0, 1.0), np.zeros(2), np.ones(2))
    for function in (evaluation.active_units, evaluation.aggregate_posterior):
        with pytest.raises(tfvae.DataError, match="at least two rows"):
            function(model, x[:1])
    with pytest.raises(ValueError, match="`threshold` must be"):
        evaluation.active_units(model, x, threshold=-1.0)
    full = tfvae.VAE(
        model.encoder,
        model.decoder,
        prior=tfvae.Trainable("MultivariateNormalTriL", (2,)),
        seed=0,
    )
    with pytest.raises(ValueError, match="factorise by dimension"):
        evaluation.kl_by_dimension(full, x)
    assert evaluation.aggregate_posterior(full, x).kl_by_dimension is None
