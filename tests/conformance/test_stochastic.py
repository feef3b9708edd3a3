"""Stochastic layers: rows x laws, and mutants that the laws must reject."""

import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from conformance import laws, rows

import tfvae
from tfvae.random import seeded_initializers
from tfvae.serialization import serializable

tfd = tfp.distributions


@pytest.mark.parametrize("law", laws.STOCHASTIC_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("row", rows.STOCHASTIC)
def test_law_holds(row, law):
    with seeded_initializers(0):
        layer = rows.STOCHASTIC[row]()
    law(layer)


class Mutant(tfvae.StochasticLayer):
    """A normal over 4 numbers from features [B, 5]; each mutant spoils one thing."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.event_shape = (4,)

    def build(self, shape):
        self.loc = self.add_weight(name="loc", shape=(5, 4), initializer="glorot_uniform")
        self.log_scale = self.add_weight(name="log_scale", shape=(5, 4), initializer="zeros")
        self.built = True

    def call(self, features):
        loc = features @ self.loc.value
        return tfd.Independent(tfd.Normal(loc, tf.exp(features @ self.log_scale.value)), 1)


@serializable
class UnboundedScale(Mutant):
    """The scale is `exp` of whatever the projection gives."""

    def build(self, shape):
        super().build(shape)
        self.log_scale.assign(tf.ones([5, 4]))


@serializable
class MissingIndependent(Mutant):
    """The event's axis is left in the batch: densities are not summed."""

    def call(self, features):
        return super().call(features).distribution


@serializable
class UnusedWeight(Mutant):
    """No gradient reaches the scale."""

    def call(self, features):
        return tfd.Independent(tfd.Normal(features @ self.loc.value, 1.0), 1)


@serializable
class ForgottenArgument(Mutant):
    """A constructor argument that the config brings back as another value."""

    def __init__(self, shift=0.0, **kwargs):
        super().__init__(**kwargs)
        self.shift, self.used_shift = 0.0, shift

    def call(self, features):
        loc = features @ self.loc.value + self.used_shift
        return tfd.Independent(tfd.Normal(loc, tf.exp(features @ self.log_scale.value)), 1)


@serializable
class IgnoredSeed(Mutant):
    """Draws come from a generator of their own."""

    def call(self, features):
        d = super().call(features)
        noise = tf.random.normal(tf.shape(features)[:1])[:, None]
        return tfd.Independent(tfd.Normal(d.distribution.loc + noise, d.distribution.scale), 1)


class WiderDraws(tfd.Normal):
    """Its draws are a tenth wider than its density."""

    def _sample_n(self, n, seed=None):
        return self.loc + 1.1 * (super()._sample_n(n, seed) - self.loc)


@serializable
class DrawsOfAnother(Mutant):
    """The density is not that of the draws."""

    def call(self, features):
        d = super().call(features).distribution
        return tfd.Independent(WiderDraws(d.loc, d.scale), 1)


MUTANTS = [
    (UnboundedScale, laws.extreme_features_keep_density_and_gradient_finite),
    (MissingIndependent, laws.draws_have_the_event_shape_and_a_density),
    (UnusedWeight, laws.gradients_reach_every_weight),
    (lambda: ForgottenArgument(shift=1.0), laws.config_and_weights_restore_it),
    (IgnoredSeed, laws.draws_are_a_function_of_the_seed),
    (DrawsOfAnother, laws.draws_follow_the_density),
]


@pytest.mark.parametrize(("mutant", "law"), MUTANTS, ids=[law.__name__ for _, law in MUTANTS])
def test_law_rejects_a_mutant(mutant, law):
    with pytest.raises(AssertionError):
        law(mutant())


def test_sample_axes_are_folded_and_unfolded():
    """A `Conditional` on [S, B, ...] gives what it gives for each of the S draws."""
    layer = rows.STOCHASTIC["Conditional"]()
    layer(laws.FEATURES)
    z = tf.random.stateless_normal([3, 6, 5], [1, 2])
    together = layer(z).mean()
    assert together.shape == (3, 6, 4)
    for s in range(3):
        assert tf.reduce_max(tf.abs(together[s] - layer(z[s]).mean())) < 1e-6


def test_a_condition_meets_its_own_example():
    """Row b of a condition [B, C] reaches every draw and every pixel of example b, and no other."""
    layer = tfvae.Conditional(tfvae.networks.mlp([6]), tfvae.Head("Normal", (2,)))
    images = tf.random.stateless_normal([3, 4, 4, 1], [1, 2])
    condition = tf.random.stateless_normal([3, 2], [3, 4])
    before = layer(images, condition).mean()
    draws = tf.stack([images, images])
    assert tf.reduce_max(tf.abs(layer(draws, condition).mean() - before)) < 1e-6
    changed = layer(images, condition + [[0.0], [1.0], [0.0]]).mean()
    differs = tf.reduce_any(tf.abs(changed - before) > 1e-6, axis=1).numpy().tolist()
    assert differs == [False, True, False]


def test_pointwise_projection_is_a_one_by_one_convolution():
    head = tfvae.Head("Normal", (4, 4, 2))
    features = tf.random.stateless_normal([3, 4, 4, 5], [1, 2])
    mean = head(features).mean()
    assert sum(w.shape.num_elements() for w in head.trainable_variables) == (5 + 1) * 2 * 2
    moved = head(tf.roll(features, 1, axis=1)).mean()
    assert tf.reduce_max(tf.abs(tf.roll(mean, 1, axis=1) - moved)) < 1e-6
