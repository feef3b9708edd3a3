"""What a family's parameters are, and the sentences for what they are not."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.families import SCALE_FLOOR, Family, family_name, positive

tfd = tfp.distributions


def test_positive_is_smooth_bounded_and_one_at_zero():
    bijector = positive(1e-3, 1e6)
    raw = tf.constant([-1e6, -50.0, 0.0, 50.0, 1e6])
    with tf.GradientTape() as tape:
        tape.watch(raw)
        value = bijector.forward(raw)
    assert np.all((value >= 1e-3 * 0.999) & (value <= 1e6 * 1.001))
    assert float(value[2]) == pytest.approx(1.0, abs=0.01)
    assert np.isfinite(tape.gradient(value, raw)).all()


def test_positive_inverts():
    values = np.geomspace(2e-3, 5e5, 20).astype("float32")
    bijector = positive(1e-3, 1e6)
    np.testing.assert_allclose(bijector.forward(bijector.inverse(values) + 0.0), values, rtol=1e-3)


def test_a_scale_never_falls_below_the_floor():
    family = Family("Normal", (2,))
    d = family.distribution({"loc": tf.zeros([1, 2]), "scale": tf.fill([1, 2], -1e6)})
    np.testing.assert_allclose(d.stddev(), SCALE_FLOOR, rtol=1e-3)


def test_constants_are_constants():
    family = Family("Normal", (3,), fixed={"scale": [0.1, 0.2, 0.3]})
    assert set(family.free) == {"loc"}
    d = family.distribution({"loc": tf.zeros([5, 3])})
    np.testing.assert_allclose(d.stddev(), np.tile([0.1, 0.2, 0.3], (5, 1)), rtol=1e-6)


def test_unconstrained_shape_of_a_triangular_scale():
    family = Family("MultivariateNormalTriL", (4,))
    assert family.free["scale_tril"].unconstrained_shape == (10,)
    assert family.shape("scale_tril") == (4, 4)


def test_a_class_is_known_by_its_name():
    assert family_name(tfd.Normal) == family_name("Normal") == "Normal"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("Bernouli", (2,)), "Did you mean 'Bernoulli'"),
        (("Normal", (0,)), r"`event_shape\[0\]` must be an integer >= 1"),
        (("Normal", (2.0,)), r"`event_shape\[0\]` must be an integer"),
        (("Normal", 2), r"Fix: pass \(2,\)"),
        (("Normal", (2,), {"sigma": 1.0}), "must name parameters of Normal: loc, scale"),
        (("Normal", (2,), {"scale": -1.0}), "must be valid for Normal"),
        (("Normal", (2,), {"scale": "wide"}), "must be a number"),
        (("Normal", (2,), {"scale": [1.0, 2.0, 3.0]}), "must be valid|must fit"),
        (("Binomial", (2,)), r"fixed=\{'total_count': ...\}"),
        (("MultivariateNormalDiag", ()), "must"),
        (("DiscretizedLogistik", (2,)), "Did you mean 'DiscretizedLogistic'"),
        (("Categorical", (2,)), r"fixed=\{'num_classes': ...\}"),
        (("Categorical", (2,), {"num_classes": 1}), r"`fixed\['num_classes'\]` must be .* >= 2"),
        (("Categorical", (2,), {"num_classes": 2.0}), "must be an integer >= 2"),
        (("Normal", (2,), {"num_classes": 3}), "must name parameters of Normal: loc, scale"),
        (("DiscretizedLogisticMixture", (2,)), r"fixed=\{'num_components': ...\}"),
        (("DiscretizedLogisticMixture", (2,), {"num_classes": 3}), "Fix: give it|must name"),
        (("DiscretizedLogistic", (2,), {"scale": 0.0}), "`scale` must be positive"),
        (("DiscretizedLogistic", (2,), {"low": 255.0}), "`low` must be below `high`"),
        (("NegativeBinomialByMean", (2,), {"dispersion": -1.0}), "`dispersion` must be positive"),
        (("BagOfWords", (2,), {"total_count": 0.0}), "`total_count` must be positive"),
        (("BagOfWords", ()), "must"),
        ((3, (2,)), "must be the name of a TFP distribution"),
        (("Mixture", (2,)), "must"),
    ],
)
def test_nonsense_is_refused_in_a_sentence(arguments, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        Family(*arguments)


def test_an_unregistered_class_is_refused_with_the_decorator():
    class Mine(tfd.Normal):
        pass

    with pytest.raises(ValueError, match="register_keras_serializable"):
        family_name(Mine)
