"""Lists of objectives, and the posteriors that they need."""

import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae import Conditional, Head, networks
from tfvae.objectives import (
    DIP,
    ELBO,
    MMD,
    VIMCO,
    Capacity,
    Constrained,
    CriticTotalCorrelation,
    DReG,
    ImportanceWeighted,
    Renyi,
    StickingTheLanding,
    TotalCorrelation,
)

X = np.random.default_rng(0).integers(0, 2, (12, 6)).astype("float32")


def model(*objective, head=None, prior=None):
    return tfvae.VAE(
        Conditional(networks.mlp([8]), head or Head("Normal", (2,))),
        Conditional(networks.mlp([8]), Head("Bernoulli", (6,))),
        prior=prior,
        objective=list(objective),
        seed=0,
    )


def test_each_objective_of_a_list_is_right_at_the_draws_of_the_most_demanding():
    """A mean over draws is the mean of what each draw alone gives; the losses add up."""
    objectives = [ELBO(num_samples=2), TotalCorrelation(3.0, 12), MMD(2.0), ImportanceWeighted(5)]
    vae = model(*objectives)
    draws = vae(X)
    losses = [o.loss(draws, tf.constant(3)) for o in objectives]
    loss = vae._results(draws, X)[0]
    assert draws.z.shape == (5, 12, 2)
    alone = []
    for s in range(5):
        one = draws._replace(
            **{
                k: getattr(draws, k)[s : s + 1]
                for k in ("z", "log_likelihood", "log_prior", "log_posterior")
            }
        )
        alone.append([o.loss(one, tf.constant(3)) for o in objectives[:2]])
    for i in (0, 1):
        np.testing.assert_allclose(losses[i], np.mean([a[i] for a in alone], axis=0), rtol=1e-4)
    steps = [o.loss(draws, vae._schedule_step()) for o in objectives]
    assert float(loss) == pytest.approx(float(tf.reduce_mean(sum(steps))), rel=1e-6)


def test_dip_beside_dreg_gets_its_own_gradient():
    """And DReG its own: a list's gradient is the sum of theirs."""

    def gradient(vae):
        with tf.GradientTape() as tape:
            loss = vae._results(vae(X), X)[0]
        return tape.gradient(loss, vae.encoder.trainable_variables)

    objectives = [DReG(4), DIP(5.0)]
    both = model(*objectives)
    both.build((None, 6))
    expected = []
    for o in objectives:
        alone = model(o)
        alone.build((None, 6))
        alone.num_samples = 4
        alone.encoder.set_weights(both.encoder.get_weights())
        alone.decoder.set_weights(both.decoder.get_weights())
        expected.append(gradient(alone))
    for total, *terms in zip(gradient(both), *expected, strict=True):
        np.testing.assert_allclose(total, sum(terms), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "objectives",
    [
        [ELBO(), DReG()],
        [DReG(), MMD(1.0)],
        [VIMCO(), TotalCorrelation(1.0, 9)],
        [ImportanceWeighted(), VIMCO()],
    ],
    ids=str,
)
def test_an_objective_whose_path_another_weights_is_refused(objectives):
    with pytest.raises(ValueError, match="`objective` must leave (DReG|VIMCO) alone .*Received: "):
        model(*objectives)


def test_two_that_weight_the_path_are_refused():
    with pytest.raises(ValueError, match="at most one .*Received: StickingTheLanding, DReG. Fix"):
        model(StickingTheLanding(), DReG())


@pytest.mark.parametrize("bound", [ImportanceWeighted(), VIMCO(), Renyi(0.5), DReG()], ids=str)
@pytest.mark.parametrize(
    "bent", [ELBO(beta=2.0), ELBO(free_bits=0.1), Capacity(5.0), Constrained(0.1)], ids=str
)
def test_a_weighted_kl_beside_importance_weights_is_refused(bound, bent):
    with pytest.raises(ValueError, match="`objective` must .*Received: .*Fix"):
        model(bound, bent)


@pytest.mark.parametrize("name", ["beta", "free_bits"])
def test_a_bound_with_a_weighted_kl_is_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` must be left out of DReG.*Fix: use `obj"):
        DReG(5, **{name: 2.0})


def test_lists_that_make_sense_are_taken():
    critic = tfvae.networks.mlp([1])
    for first in (ELBO(), ImportanceWeighted(3), StickingTheLanding()):
        vae = model(first, TotalCorrelation(1.0, 12), MMD(1.0), DIP(1.0))
        assert len(vae.objectives) == 4
    assert len(model(ELBO(), CriticTotalCorrelation(1.0, critic)).objectives) == 2
    assert len(model(VIMCO(), DIP(1.0)).objectives) == 2


def binary(objective):
    return model(objective, head=Head("Bernoulli", (3,)), prior=tfvae.Trainable("Bernoulli", (3,)))


@pytest.mark.parametrize("objective", [ELBO(), ImportanceWeighted(), DReG(), MMD(1.0)], ids=str)
def test_a_posterior_without_reparameterisation_is_refused_before_training(objective):
    vae = binary(objective)
    vae.compile("sgd")
    for attempt in (lambda: vae.build((None, 6)), lambda: vae.fit(X, verbose=0)):
        with pytest.raises(ValueError, match="`objective` must need no .*Bernoulli.*Fix.*VIMCO"):
            attempt()
    assert int(vae.batches_seen) == 0


def test_total_correlation_and_moments_name_the_posterior_that_they_cannot_take():
    full = model(ELBO(), TotalCorrelation(1.0, 12), head=Head("MultivariateNormalTriL", (2,)))
    with pytest.raises(ValueError, match="`objective` must do without .*MultivariateNormalTriL"):
        full._results(full(X), X)
    angles = model(ELBO(), DIP(1.0), head=Head("LogitNormal", (2,)))
    with pytest.raises(ValueError, match="`objective` must do without .*moments.*Fix: use `MMD`"):
        angles._results(angles(X), X)


def test_a_critic_of_the_wrong_width_is_refused():
    vae = model(ELBO(), CriticTotalCorrelation(1.0, networks.mlp([2])))
    with pytest.raises(ValueError, match=r"`critic` must return logits .*\(None, 2\). Fix: end it"):
        vae.build((None, 6))
