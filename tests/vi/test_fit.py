"""Fits against exact posteriors, and what a fit gives."""

import joints
import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfvae
from tfvae import objectives, schedules, vi
from tfvae.vi.feed import Feed
from tfvae.vi.inference import Inference
from tfvae.vi.summary import Row, summarise
from tfvae.vi.surrogates import FullRank, MeanField
from tfvae.vi.target import Target

tfd = tfp.distributions


def run(truth, **arguments):
    return vi.fit(truth.joint, truth.data, **{"seed": 0, "verbose": 0} | arguments)


def assert_exact(fit, truth, mean=0.02, sd=0.02, evidence=1e-3):
    """Means within `mean` sds, sds within a share `sd`; the bound is the evidence."""
    draws = fit.sample(10_000)  # 0.01 sd of Monte Carlo error, of which five are allowed
    for name, exact in truth.mean.items():
        error = np.abs(draws[name].mean(0) - exact) / truth.sd[name]
        assert np.max(error) < mean + 0.05, (name, error)
        np.testing.assert_allclose(draws[name].std(0), truth.sd[name], rtol=sd + 0.04)
    np.testing.assert_allclose(fit.elbo.value, truth.log_evidence, atol=evidence)


@pytest.fixture(scope="module")
def normal():
    truth = joints.normal()
    return truth, run(truth)


@pytest.fixture(scope="module")
def regression():
    truth = joints.regression()
    return truth, run(truth, surrogate="full_rank")


def test_a_normal_posterior_is_found_exactly(normal):
    truth, fit = normal
    assert_exact(fit, truth)
    assert fit.converged
    assert fit.elbo.standard_error < 1e-4  # at the posterior every weight is the evidence
    np.testing.assert_allclose(fit.surrogate(None).mean(), [truth.mean["mu"]], atol=1e-3)
    np.testing.assert_allclose(fit.surrogate(None).stddev(), [truth.sd["mu"]], rtol=1e-3)


def test_a_badly_scaled_regression_is_found_exactly(regression):
    truth, fit = regression
    assert_exact(fit, truth, evidence=5e-3)
    assert fit.converged
    assert fit.pareto_k < 0.7


def test_a_coin_is_found_within_its_family_and_corrected_beyond():
    truth = joints.coin()
    fit = run(truth)
    assert_exact(fit, truth, evidence=0.05)
    assert fit.elbo.value < truth.log_evidence + 5 * fit.elbo.standard_error
    assert fit.pareto_k < 0.7
    np.testing.assert_allclose(fit.expectation()["p"], truth.mean["p"], atol=0.05 * truth.sd["p"])
    weights = fit.sampler.draws(10_000, 3)
    evidence = np.log(np.mean(np.exp(fit.sampler.log_joint(weights[1]) - weights[2])))
    np.testing.assert_allclose(evidence, truth.log_evidence, atol=0.01)


def correlated(correlation=0.95):
    """A Gaussian posterior of unit scales: a prior alone, under an observation without content."""

    def model():
        scale = np.linalg.cholesky([[1.0, correlation], [correlation, 1.0]]).astype("float32")
        z = yield tfd.MultivariateNormalTriL(tf.zeros(2), scale, name="z")
        yield tfd.Normal(0.0 * tf.reduce_sum(z), 1.0, name="y")

    return tfd.JointDistributionCoroutineAutoBatched(model), {"y": 0.0}


def assert_variances(surrogate, expected):
    np.testing.assert_allclose(surrogate(None).variance(), expected, rtol=0.03)


def test_mean_field_is_too_narrow_by_its_closed_form_and_says_so():
    """Its best variances are the inverse diagonal of the precision: 1 - rho**2, not 1."""
    joint, data = correlated()
    fit = vi.fit(joint, data, seed=0, verbose=0)
    assert_variances(fit.surrogate, 1.0 - 0.95**2)
    assert not fit.converged
    assert any("k-hat" in reason for reason in fit.reasons)
    mutant = MeanField((2,))  # of the diagonal of the covariance
    mutant.build()
    with pytest.raises(AssertionError):
        assert_variances(mutant, 1.0 - 0.95**2)


@pytest.mark.slow
@pytest.mark.parametrize("surrogate", ["low_rank", "flow", "user's"])
def test_richer_families_find_a_correlated_regression(surrogate):
    truth = joints.regression()
    if surrogate == "user's":
        surrogate = tfvae.Trainable("MultivariateNormalTriL", (3,))
    assert_exact(run(truth, surrogate=surrogate), truth, mean=0.05, sd=0.1, evidence=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    "objective",
    [
        objectives.ELBO(beta=schedules.Linear(0.1, 1.0, steps=200), num_samples=16),
        objectives.DReG(num_samples=16),
        objectives.ImportanceWeighted(num_samples=8),
        objectives.Renyi(alpha=0.5, num_samples=16),
        objectives.VIMCO(num_samples=16),
    ],
    ids=lambda o: type(o).__name__,
)
def test_every_bound_finds_an_exact_posterior(objective):
    truth = joints.normal()
    assert_exact(run(truth, objective=objective), truth, mean=0.1, sd=0.15, evidence=0.05)


def test_draws_have_names_shapes_and_seeds(regression):
    truth, fit = regression
    first, again, other = fit.sample(70, seed=1), fit.sample(1_500, seed=1), fit.sample(70, seed=2)
    assert first["beta"].shape == (70, 3)
    np.testing.assert_array_equal(first["beta"], again["beta"][:70])
    assert not np.array_equal(first["beta"], other["beta"])
    assert fit.mean()["beta"].shape == (3,)


def assert_table(summarise_draws):
    draws = {"a": np.arange(1_001.0), "b": np.stack([np.arange(1_001.0) ** 2] * 2, axis=1)}
    table = summarise_draws(draws, "head", ["a note"])
    assert list(table) == ["a", "b[0]", "b[1]"]
    assert table["a"][2:5] == (50.0, 500.0, 950.0)
    assert table["b[1]"].median == 250_000.0
    np.testing.assert_allclose(table["a"].sd, np.sqrt((1_001**2 - 1) / 12))
    np.testing.assert_allclose(table["a"].mc_error, table["a"].sd / np.sqrt(1_001))
    assert str(table).splitlines()[0] == "head"
    assert str(table).splitlines()[-1] == "! a note"


def test_the_table_has_each_number_in_its_place():
    assert_table(summarise)


def test_a_table_with_swapped_quantiles_is_rejected():
    def mutant(*arguments):
        table = summarise(*arguments)
        for label, row in table.items():
            table[label] = Row(row.mean, row.sd, row.q95, row.median, row.q5, row.mc_error)
        return table

    with pytest.raises(AssertionError):
        assert_table(mutant)


def test_the_summary_says_what_is_wrong(normal):
    truth, fit = normal
    text = str(fit.summary())
    assert "ELBO" in text
    assert "converged" in text
    short = run(truth, num_steps=3)
    assert not short.converged
    assert "the 3 steps ran out" in short.reasons[0]
    assert "NOT converged" in str(short.summary())


def two_modes():
    """z**2 ~ N(16, 1) with z ~ N(0, 10): modes at -4 and 4."""
    return tfd.JointDistributionNamedAutoBatched(
        {"z": tfd.Normal(0.0, 10.0), "y": lambda z: tfd.Normal(z**2, 1.0)}
    ), {"y": 16.0}


def test_a_second_mode_is_reported():
    joint, data = two_modes()
    fit = vi.fit(joint, data, seed=0, verbose=0, num_steps=3_000)
    assert fit.pareto_k < 0.7  # which cannot see it
    assert any("1 other mode" in reason for reason in fit.reasons)


@pytest.mark.slow
def test_restarts_that_disagree_are_reported():
    joint, data = two_modes()
    fits = [vi.fit(joint, data, restarts=4, seed=s, verbose=0, num_steps=3_000) for s in (0, 1)]
    assert any("disagrees" in reason for fit in fits for reason in fit.reasons)


def test_files_hold_the_fit(regression, tmp_path):
    truth, fit = regression
    path = tmp_path / "fit.npz"
    fit.save(path)
    loaded = vi.load(path, truth.joint)
    np.testing.assert_array_equal(loaded.sample(50)["beta"], fit.sample(50)["beta"])
    assert (loaded.elbo, loaded.pareto_k) == (fit.elbo, fit.pareto_k)
    assert (loaded.reasons, loaded.steps, loaded.seed) == (fit.reasons, fit.steps, fit.seed)
    assert [p.name for p in tmp_path.iterdir()] == ["fit.npz"]
    with pytest.raises(tfvae.ArtifactError, match="`joint` must have the latents"):
        vi.load(path, tfd.JointDistributionNamed({"mu": tfd.Normal(0.0, 1.0), "y": _like_y}))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(tfvae.ArtifactError, match="must be a file that"):
        vi.load(path, truth.joint)
    with pytest.raises(ValueError, match="must end with"):
        fit.save(tmp_path / "fit.pkl")


def _like_y(mu):
    return tfd.Independent(tfd.Normal(mu[..., None] + tf.zeros(40), 1.0), 1)


def minibatches(size=50):
    """A model of batches with a covariate, its data, and the exact posterior of all."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=200).astype("float32")
    y = (1.5 * x + rng.normal(size=200)).astype("float32")

    def joint(x):
        return tfd.JointDistributionNamedAutoBatched(
            {"slope": tfd.Normal(0.0, 2.0), "y": lambda slope: tfd.Normal(slope * x, 1.0)}
        )

    dataset = tf.data.Dataset.from_tensor_slices({"x": x, "y": y})
    dataset = dataset.shuffle(200, seed=0).batch(size, drop_remainder=True)
    precision = 0.25 + np.sum(np.float64(x) ** 2)
    return joint, dataset, np.sum(np.float64(x) * y) / precision, precision**-0.5, (x, y)


def assert_unbiased(scale_of):
    """The mean over batches of the scaled log-likelihood is that of all the data."""
    joint, dataset, *_, (x, y) = minibatches()
    feed = Feed(joint, dataset, 200)
    target = Target(joint, feed.values, feed.covariates, scale_of(feed))
    u, values = tf.constant([[0.3]]), []
    for batch in dataset:
        feed.put(batch)
        values.append(float(target(u).log_likelihood[0]))
    whole = tfd.Normal(0.3 * x, 1.0).log_prob(y)
    np.testing.assert_allclose(np.mean(values), np.sum(whole), rtol=1e-4)


def test_the_likelihood_of_a_batch_is_scaled_without_bias():
    assert_unbiased(lambda feed: feed.scale)


def test_a_likelihood_scaled_by_the_batch_size_is_rejected():
    with pytest.raises(AssertionError):
        assert_unbiased(lambda feed: 50.0)


def test_minibatches_find_the_posterior_of_all_the_data():
    joint, dataset, mean, sd, _ = minibatches()
    fit = vi.fit(joint, dataset, num_examples=200, num_steps=4_000, seed=0, verbose=0)
    np.testing.assert_allclose(fit.mean()["slope"], mean, atol=0.2 * sd)
    np.testing.assert_allclose(fit.sample(10_000)["slope"].std(), sd, rtol=0.1)
    assert fit.pareto_k < 0.7


def test_the_draws_at_the_waist_are_those_of_one_example(normal):
    truth, fit = normal
    draws = fit.inference(tf.constant([0, 1]), num_samples=7)
    assert [d.shape for d in draws[1:4]] == [(7, 1)] * 3
    assert draws.z.shape == (7, 1, 1)
    np.testing.assert_allclose(draws.log_weight, truth.log_evidence, atol=1e-3)
    np.testing.assert_allclose(draws.elbo, [truth.log_evidence], atol=1e-3)


def test_moving_the_coordinates_does_not_move_q():
    layer = FullRank((3,))
    layer.build()
    rng = np.random.default_rng(0)
    for w in layer.trainable_variables:
        w.assign(rng.normal(size=w.shape))
    layer.whitener.assign(np.tril(rng.normal(size=(3, 3))) + 3.0 * np.eye(3))
    mean, covariance = layer(None).mean(), layer(None).covariance()
    layer.recentre()
    np.testing.assert_allclose(layer(None).mean(), mean, rtol=1e-5)
    np.testing.assert_allclose(layer(None).covariance(), covariance, rtol=1e-4)
    assert not np.any(layer.loc.numpy())


def test_the_progress_bar_is_silent_when_asked(normal, capsys):
    truth, _ = normal
    run(truth, num_steps=5)
    assert capsys.readouterr().out == ""
    run(truth, num_steps=5, verbose=1)
    keras.utils.enable_interactive_logging()
    assert "elbo" in capsys.readouterr().out


def test_arviz_takes_the_draws(regression):
    arviz = pytest.importorskip("arviz")
    _, fit = regression
    data = fit.to_arviz(num_draws=200)
    assert data["posterior"]["beta"].shape == (1, 200, 3)
    assert "y" in data["observed_data"]
    assert len(arviz.summary(data)) == 3


def test_inference_takes_lists_of_objectives(normal):
    truth, fit = normal
    with pytest.raises(ValueError, match="must not be empty"):
        Inference(fit.inference.target, fit.surrogate, [])
