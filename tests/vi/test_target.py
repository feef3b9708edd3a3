"""The density over the unconstrained vector, for every kind of joint; and what is refused."""

import joints
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import special, stats

from tfvae import DataError, objectives, vi
from tfvae.stochastic import Trainable
from tfvae.vi.target import Target

tfd = tfp.distributions
Y = joints.Y


def scale_model(kind):
    """Model s ~ Gamma(2, 3), mu ~ N(1, 2), y ~ N(mu, s), in each of TFP's forms."""
    independent = lambda mu, s: tfd.Independent(  # noqa: E731
        tfd.Normal(mu[..., None] + tf.zeros(5), s[..., None]), 1
    )
    if kind == "named":
        return tfd.JointDistributionNamed(
            {"s": tfd.Gamma(2.0, 3.0), "mu": tfd.Normal(1.0, 2.0), "y": independent}
        )
    if kind == "sequential":
        return tfd.JointDistributionSequential(
            [
                tfd.Gamma(2.0, 3.0, name="s"),
                tfd.Normal(1.0, 2.0, name="mu"),
                lambda mu, s: tfd.Independent(
                    tfd.Normal(mu[..., None] + tf.zeros(5), s[..., None]), 1, name="y"
                ),
            ]
        )

    def model():
        s = yield tfd.JointDistributionCoroutine.Root(tfd.Gamma(2.0, 3.0, name="s"))
        mu = yield tfd.JointDistributionCoroutine.Root(tfd.Normal(1.0, 2.0, name="mu"))
        yield tfd.Sample(tfd.Normal(mu, s), 5, name="y")

    if kind == "coroutine":
        return tfd.JointDistributionCoroutine(model)
    return tfd.JointDistributionCoroutineAutoBatched(model)


def exact(s, mu):
    """Log-likelihood and log-prior at s, mu, the latter without the Jacobian."""
    prior = stats.gamma(2.0, scale=1.0 / 3.0).logpdf(s) + stats.norm(1.0, 2.0).logpdf(mu)
    return stats.norm(mu, s).logpdf(Y).sum(), prior


def assert_density(density, u, target):
    """The densities at u are those of the latents there, with |dz/du| in the prior's."""
    z = {k: np.float64(v) for k, v in target.constrain(u).items()}
    assert {k: v.shape for k, v in z.items()} == {"s": (4,), "mu": (4,)}
    column = target.names.index("s")
    step = np.zeros(u.shape, "float32")
    step[:, column] = 1e-2
    slope = (target.constrain(u + step)["s"] - target.constrain(u - step)["s"]) / 2e-2
    for i in range(4):
        likelihood, prior = exact(z["s"][i], z["mu"][i])
        np.testing.assert_allclose(density.log_likelihood[i], likelihood, rtol=1e-4)
        np.testing.assert_allclose(density.log_prior[i], prior + np.log(slope[i]), atol=2e-3)


@pytest.mark.parametrize("kind", ["named", "sequential", "coroutine", "autobatched"])
def test_density_is_that_of_the_latents_with_the_jacobian_in_the_prior(kind):
    target = Target(scale_model(kind), {"y": tf.constant(Y)})
    u = tf.random.stateless_normal([4, 2], [0, 1])
    density = tf.function(lambda u: target(u))(u)
    assert_density(density, u, target)


def test_a_density_without_jacobian_is_rejected():
    target = Target(scale_model("named"), {"y": tf.constant(Y)})
    u = tf.random.stateless_normal([4, 2], [0, 1])
    z = {k: np.float64(v) for k, v in target.constrain(u).items()}
    likelihood, prior = np.transpose([exact(s, m) for s, m in zip(z["s"], z["mu"], strict=True)])
    mutant = type(target(u))(likelihood, prior)
    with pytest.raises(AssertionError):
        assert_density(mutant, u, target)


def test_a_support_that_depends_on_another_latent_is_kept():
    joint = tfd.JointDistributionNamedAutoBatched(
        {
            "a": tfd.Uniform(0.0, 1.0),
            "b": lambda a: tfd.Uniform(0.0, 1.0 - a),
            "y": lambda a, b: tfd.Normal(a - b, 1.0),
        }
    )
    target = Target(joint, {"y": tf.constant(0.1)})
    u = 3.0 * tf.random.stateless_normal([200, 2], [0, 1])
    z = target.constrain(u)
    assert np.all(np.add(z["a"], z["b"]) < 1.0)
    # In the logits of a and of b / (1 - a), the Jacobian has a closed form.
    a, share = (np.float64(z["a"]), np.float64(z["b"]) / (1.0 - np.float64(z["a"])))
    log_det = np.log(a * (1 - a)) + np.log(share * (1 - share))  # b's 1 - a cancels its density
    np.testing.assert_allclose(target(u).log_prior, log_det, rtol=1e-3, atol=1e-3)
    order = [target.names.index(n) for n in ("a", "b")]
    np.testing.assert_allclose(special.expit(u.numpy()[:, order[0]]), a, rtol=1e-4)


def refused(joint, data, **arguments):
    with pytest.raises((ValueError, TypeError)) as caught:
        vi.fit(joint, data, seed=0, verbose=0, **arguments)
    return str(caught.value)


def test_data_that_do_not_fit_are_refused_in_a_sentence():
    joint = scale_model("autobatched")
    assert "`joint` must be a `tfd.JointDistribution*`" in refused(tfd.Normal(0.0, 1.0), {"y": Y})
    assert "Did you mean 'y'" in refused(joint, {"Y": Y})
    assert "must hold at least one node" in refused(joint, {})
    assert "must leave a latent" in refused(joint, {"y": Y, "s": 1.0, "mu": 0.0})
    assert "must have the shape that the joint draws, (5,)" in refused(joint, {"y": Y[:4]})
    assert "1 values that are NaN" in refused(joint, {"y": np.append(Y[:4], np.nan)})
    for y in (np.array(list("abcde")), np.ones(5, "complex64"), np.array(["2020-01-01"] * 5, "M")):
        assert "must be an array of real numbers" in refused(joint, {"y": y})
    assert "must be a rectangular array" in refused(joint, {"y": [[1.0], [1.0, 2.0]]})
    assert "must have no masked cells" in refused(joint, {"y": np.ma.masked_less(np.ones(5), 2)})
    assert "must be a dictionary of values by name" in refused(joint, Y)
    assert "`num_examples` must be left out" in refused(joint, {"y": Y}, num_examples=5)
    dataset = tf.data.Dataset.from_tensor_slices({"y": Y})
    assert "batches of one size" in refused(joint, dataset.batch(2), num_examples=5)
    whole = dataset.batch(5, drop_remainder=True)
    assert "must be the number of examples" in refused(joint, whole)


def test_surrogates_and_objectives_that_do_not_fit_are_refused_in_a_sentence():
    joint = scale_model("autobatched")
    data = {"y": Y}
    assert "Did you mean 'full_rank'" in refused(joint, data, surrogate="fullrank")
    assert "must be one of mean_field" in refused(joint, data, surrogate=3)
    wide = Trainable("Normal", (5,))
    assert "must have event_shape (2,)" in refused(joint, data, surrogate=wide)
    discrete = Trainable("Bernoulli", (2,))
    assert "is not reparameterised" in refused(joint, data, surrogate=discrete)
    assert "must be an Objective" in refused(joint, data, objective="elbo")
    assert "compares the posteriors of many" in refused(joint, data, objective=objectives.MMD(1.0))
    stateful = objectives.Constrained(tolerance=1.0)
    assert "no state of its own" in refused(joint, data, objective=stateful)
    normal = joints.normal()
    assert "at least two coordinates" in refused(normal.joint, normal.data, surrogate="flow")


def test_a_joint_that_is_discrete_a_batch_or_nowhere_finite_is_refused_by_node():
    discrete = tfd.JointDistributionNamed(
        {"k": tfd.Bernoulli(probs=0.3), "y": lambda k: tfd.Normal(tf.cast(k, tf.float32), 1.0)}
    )
    message = refused(discrete, {"y": 0.5})
    assert "latent 'k', a discrete Bernoulli" in message
    assert "sum it out" in message
    batch = tfd.JointDistributionNamed(
        {"mu": tfd.Normal(tf.zeros(5), 1.0), "y": lambda mu: tfd.Normal(mu, 1.0)}
    )
    assert "no batch of them" in refused(batch, {"y": Y})
    outside = tfd.JointDistributionNamed(
        {"mu": tfd.Normal(0.0, 1.0), "gap": lambda mu: tfd.LogNormal(mu, 1.0)}
    )
    assert "not finite at gap" in refused(outside, {"gap": -1.0})
    with pytest.raises(DataError):
        vi.fit(outside, {"gap": -1.0}, verbose=0)
