"""The ladder VAE against a hierarchy of linear Gaussians, whose marginal is known."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from linear_gaussian import log_normal

import tfvae
from tfvae import networks, objectives
from tfvae.models import ladder_vae

# p(z2) = N(0, I), p(z1 | z2) = N(A z2 + a, s1^2 I), p(x | z1) = N(W z1 + b, s^2 I). The columns of
# W, and those of A, are orthogonal: then q(z2 | x) and q(z1 | x, z2) factorise, as the model's do.
RNG = np.random.default_rng(0)
A = np.linalg.qr(RNG.normal(size=(3, 2)))[0] * [1.5, 0.7]
W = np.linalg.qr(RNG.normal(size=(6, 3)))[0] * 1.3
SHIFT, BIAS, S1, S = RNG.normal(size=3), RNG.normal(size=6), 0.6, 0.5
NOISE = S**2 / 1.3**2  # variance of W'x / 1.3^2 about z1
X = RNG.normal(size=(40, 6)) @ np.diag([2.0, 1.0, 1.0, 0.5, 1.0, 1.0]) + BIAS


def log_evidence(x):
    """Returns the log-density of the Gaussian marginal, [N]."""
    covariance = W @ (A @ A.T + S1**2 * np.eye(3)) @ W.T + S**2 * np.eye(6)
    return log_normal(x, W @ SHIFT + BIAS, covariance)


def linear(size, shared):
    return tfvae.Conditional(
        keras.layers.Identity(), tfvae.Head("Normal", (size,), shared={"scale": shared})
    )


def assign(layer, matrix, bias, scale):
    head = layer.head
    head.projection.set_weights([np.float32(matrix.T), np.float32(bias)])
    to_real = head._family.free["scale"].constrain.inverse
    head.weights_by_name["scale"].assign(to_real(np.asarray(scale, "float32")))


@pytest.fixture(scope="module")
def exact():
    """A ladder whose posterior is the exact one."""
    model = tfvae.LadderVAE(
        encoders=[linear(2, (2,)), linear(3, (3,))],
        priors=[tfvae.StandardNormal((2,)), linear(3, ())],
        decoder=linear(6, ()),
        seed=0,
    )
    model.build((None, 6))
    to_z1 = W.T / 1.3**2
    assign(model.encoders[1], to_z1, -to_z1 @ BIAS, np.full(3, np.sqrt(NOISE)))
    precision = 1.0 + np.array([1.5, 0.7]) ** 2 / (S1**2 + NOISE)
    to_z2 = (A / (S1**2 + NOISE) / precision).T
    assign(
        model.encoders[0], to_z2 @ to_z1, -to_z2 @ (to_z1 @ BIAS + SHIFT), 1 / np.sqrt(precision)
    )
    assign(model.priors[1], A, SHIFT, S1)
    assign(model.decoder, W, BIAS, S)
    return model


def bound_is_tight(model):
    """With the exact posterior every draw has weight p(x)."""
    log_weight = model(X.astype("float32"), num_samples=5).log_weight
    np.testing.assert_allclose(log_weight, np.tile(log_evidence(X), (5, 1)), atol=1e-3)


def test_the_bound_is_tight_at_the_exact_posterior(exact):
    bound_is_tight(exact)


@pytest.mark.parametrize(
    "mutant",
    [
        lambda estimate, prior: estimate,
        lambda estimate, prior: prior,
        lambda estimate, prior: tfvae.models.ladder_vae.tfd.Independent(
            tfvae.models.ladder_vae.tfd.Normal(
                0.5 * (estimate.distribution.loc + prior.distribution.loc),
                tf.minimum(estimate.distribution.scale, prior.distribution.scale),
            ),
            1,
        ),
    ],
    ids=["no prior", "no data", "unweighted"],
)
def test_that_law_rejects_posteriors_that_are_no_product(exact, mutant, monkeypatch):
    monkeypatch.setattr(ladder_vae, "product", mutant)
    with pytest.raises(AssertionError):
        bound_is_tight(exact)


def test_the_kl_by_level_is_that_of_the_closed_form(exact):
    """At the top E KL[q(z2 | x) || N(0, I)]; both together E log q - log p over many draws."""
    draws = exact(X.astype("float32"), num_samples=4000)
    assert draws.kl_parts.shape == (40, 2)
    q = exact.encode(X.astype("float32"))[0]
    m, s = np.float64(q.mean()), np.float64(q.stddev())
    top = 0.5 * (m**2 + s**2 - 1 - 2 * np.log(s)).sum(-1)
    np.testing.assert_allclose(draws.kl_parts[:, 0], top, rtol=1e-4)
    np.testing.assert_allclose(draws.kl, tf.reduce_sum(draws.kl_parts, -1), rtol=1e-6)
    by_draws = (draws.log_posterior - draws.log_prior).numpy()
    error = by_draws.std(axis=0) / np.sqrt(4000)
    assert np.all(np.abs(by_draws.mean(0) - draws.kl) < 5 * error + 1e-3)
    np.testing.assert_allclose(draws.elbo, log_evidence(X), atol=0.15)


def test_free_bits_are_charged_by_level(exact):
    draws = exact(X.astype("float32"), num_samples=3)
    mean = tf.reduce_mean(draws.kl_parts, axis=0).numpy()
    free_bits = float(mean.mean())  # between the two
    loss = tf.reduce_mean(objectives.ELBO(free_bits=free_bits).loss(draws, 0))
    charged = loss + tf.reduce_mean(draws.log_likelihood)
    np.testing.assert_allclose(charged, np.maximum(mean, free_bits).sum(), rtol=1e-4)


def test_the_mean_of_the_exact_posterior_is_its_encoding(exact):
    """E[z2, z1 | x] by conditioning the joint Gaussian."""
    z1_z1 = A @ A.T + S1**2 * np.eye(3)
    x_x = np.linalg.inv(W @ z1_z1 @ W.T + S**2 * np.eye(6))
    residual = X - W @ SHIFT - BIAS
    z2 = residual @ x_x @ W @ A
    z1 = SHIFT + residual @ x_x @ W @ z1_z1
    expected = np.concatenate([z2, z1], axis=1)
    np.testing.assert_allclose(exact.embed(X.astype("float32"), 16), expected, atol=1e-4)


def test_generated_examples_have_the_models_marginal(exact):
    x = exact.generate(20_000, seed=0, draw=True).numpy()
    covariance = W @ (A @ A.T + S1**2 * np.eye(3)) @ W.T + S**2 * np.eye(6)
    error = 5 * np.sqrt(np.diag(covariance) / 20_000)
    assert np.all(np.abs(x.mean(0) - W @ SHIFT - BIAS) < error)
    np.testing.assert_allclose(np.cov(x.T), covariance, atol=0.15)


def test_evidence_of_a_wrong_posterior_lies_between_its_bound_and_the_truth(exact):
    kept = exact.get_weights()
    try:
        exact.encoders[1].head.projection.bias.assign_add([0.3, -0.3, 0.2])
        x = X.astype("float32")
        elbo = tfvae.evaluation.elbo(exact, x, num_samples=500).mean()
        estimate = tfvae.evaluation.log_evidence(exact, x, num_samples=500).log_evidence.mean()
    finally:
        exact.set_weights(kept)
    assert elbo + 0.05 < estimate < log_evidence(X).mean() + 0.02
    assert estimate > log_evidence(X).mean() - 0.05


def parts(sizes=(2, 3), prior_sizes=(2, 3)):
    return {
        "encoders": [
            tfvae.Conditional(networks.mlp([4]), tfvae.Head("Normal", (n,))) for n in sizes
        ],
        "priors": [tfvae.StandardNormal((n,)) for n in prior_sizes],
        "decoder": tfvae.Conditional(networks.mlp([4]), tfvae.Head("Bernoulli", (6,))),
    }


HALVES = np.where(np.arange(12).reshape(2, 6) == 8, 0.5, 1.0).astype("float32")


def of_counts():
    """A ladder of counts."""
    decoder = tfvae.Conditional(networks.mlp([4]), tfvae.Head("Poisson", (6,)))
    model = tfvae.LadderVAE(**parts() | {"decoder": decoder})
    model.compile("sgd", jit_compile=False)
    return model


def with_binary_top():
    """A ladder whose top level is not reparameterised."""
    made = parts()
    made["encoders"][0] = tfvae.Conditional(networks.mlp([4]), tfvae.Head("Bernoulli", (2,)))
    return tfvae.LadderVAE(**made)


class PathOnly(objectives.ELBO):
    """Weights the path gradient."""

    def path_weight(self, draws):
        return tf.ones_like(draws.log_weight)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: tfvae.LadderVAE(**parts((2,), (2,))), ValueError, "of two levels or more"),
        (
            lambda: tfvae.recipes.ladder_vae((6,), latent_sizes=()),
            ValueError,
            "of two levels or more",
        ),
        (lambda: tfvae.LadderVAE(**parts((2, 3), (3, 2))), ValueError, "same event shapes"),
        (lambda: tfvae.LadderVAE(**parts(), objective=PathOnly()), ValueError, "path gradient"),
        (
            lambda: tfvae.LadderVAE(**parts() | {"encoders": networks.mlp([3])}),
            TypeError,
            "`encoders` must be a list",
        ),
        (
            lambda: tfvae.LadderVAE(**parts() | {"priors": [networks.mlp([3])]}),
            TypeError,
            "`priors` must be `StochasticLayer`",
        ),
        (
            lambda: tfvae.LadderVAE(**parts())({"x": np.ones((2, 6)), "condition": np.eye(2)}),
            tfvae.DataError,
            "`condition` must be left out",
        ),
        (lambda: tfvae.LadderVAE(**parts()).generate(3), ValueError, "`generate` must come after"),
        (
            lambda: tfvae.LadderVAE(**parts()).export("x"),
            TypeError,
            "`model` must be a `tfvae.VAE`",
        ),
        *(
            (
                lambda export=export: export(tfvae.LadderVAE(**parts()), "x.tflite"),
                TypeError,
                "one level of latents. Received: LadderVAE. Fix: use `save`",
            )
            for export in (tfvae.export.saved_model, tfvae.export.tflite, tfvae.export.web)
        ),
        *(
            (
                lambda more=more: tfvae.LadderVAE(**parts()).evaluate(
                    {"x": np.ones((2, 6)), **more}, verbose=0
                ),
                tfvae.DataError,
                f"`{next(iter(more))}` must be left out, for a LadderVAE takes none",
            )
            for more in ({"mask": np.ones((2, 6))}, {"exposure": np.ones(2)})
        ),
        *(
            (
                lambda o=o: tfvae.LadderVAE(**parts(), objective=[objectives.ELBO(), o]),
                ValueError,
                f"posterior of several levels. Received: {type(o).__name__}, which",
            )
            for o in (
                objectives.TotalCorrelation(5.0, num_examples=96),
                objectives.CriticTotalCorrelation(5.0, keras.layers.Dense(1)),
                objectives.MMD(1.0),
                objectives.DIP(1.0),
            )
        ),
        (
            lambda: tfvae.LadderVAE(**parts(), objective=objectives.VIMCO()),
            ValueError,
            "posterior of several levels. Received: VIMCO",
        ),
        (
            lambda: with_binary_top().build((None, 6)),
            ValueError,
            "`objective` must need no gradient through z",
        ),
        (
            lambda: of_counts().evaluate(HALVES, verbose=0),
            tfvae.DataError,
            r"integers .*\[1, 2\]=0.5",
        ),
        (lambda: of_counts().embed(HALVES), tfvae.DataError, r"integers .*\[1, 2\]=0.5"),
        (lambda: of_counts().encode(np.nan * HALVES), tfvae.DataError, "`x` must be finite"),
        (
            lambda: tfvae.recipes.ladder_vae((6,), latent_sizes=(3,)),
            ValueError,
            "of two levels or more",
        ),
        (
            lambda: tfvae.recipes.ladder_vae((6,), latent_size=3),
            ValueError,
            "`latent_size` must be left out of a ladder",
        ),
        (
            lambda: tfvae.LadderVAE(
                **parts()
                | {"priors": [tfvae.StandardNormal((2,)), tfvae.Mixture("Normal", (3,), 2)]}
            )(np.ones((2, 6))),
            TypeError,
            "must give factorised Gaussians",
        ),
    ],
)
def test_nonsense_is_refused(make, error, sentence):
    with pytest.raises(error, match=sentence):
        make()
