"""Flows: rows x laws, and mutants that the laws must reject."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from conformance import laws, rows

from tfvae import flows
from tfvae.flows.autoregressive import MaskedAffine
from tfvae.flows.conditioner import autoregressive_masks
from tfvae.flows.planar import PlanarBijector
from tfvae.random import seeded_initializers

tfb = tfp.bijectors
SIZE = 4
CONTEXT = tf.random.stateless_normal([3, 5], [0, 1])


def shaken(flow, context=None):
    """Returns a flow far from the identity."""
    flow(context)
    for i, w in enumerate(flow.trainable_variables):
        w.assign(w.value + tf.random.stateless_normal(w.shape, [7, i], stddev=0.4))
    return flow


@pytest.fixture(scope="module", params=rows.FLOWS)
def flow(request):
    """A flow far from the identity, with a context."""
    with seeded_initializers(0):
        return shaken(rows.FLOWS[request.param](), CONTEXT)


def in_float64(bijector):
    """Returns the same bijector with its tensors in float64."""

    def cast(t):
        return tf.cast(t, tf.float64) if t.dtype.is_floating else t

    return tf.nest.map_structure(cast, bijector, expand_composites=True)


def jacobian(function, x):
    """Returns dy_i / dx_j by automatic differentiation, [B, D, D]."""
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = tf.unstack(function(x), axis=-1)
    zero = tf.UnconnectedGradients.ZERO
    rows_of_j = [tape.gradient(y_i, x, unconnected_gradients=zero) for y_i in y]
    return tf.stack(rows_of_j, axis=1).numpy()


POINTS = tf.random.stateless_normal([3, SIZE], [2, 3], dtype=tf.float64)


def inverse_undoes_forward(bijector):
    y = bijector.forward(POINTS)
    np.testing.assert_allclose(bijector.inverse(tf.identity(y)), POINTS, atol=1e-8)


def log_det_is_that_of_the_jacobian(bijector):
    expected = np.linalg.slogdet(jacobian(bijector.forward, POINTS))[1]
    actual = bijector.forward_log_det_jacobian(POINTS, event_ndims=1)
    np.testing.assert_allclose(actual, expected, atol=1e-8)
    y = tf.identity(bijector.forward(POINTS))
    actual = bijector.inverse_log_det_jacobian(y, event_ndims=1)
    np.testing.assert_allclose(actual, -expected, atol=1e-7)


def a_dimension_depends_on_those_before_it(bijector):
    j = jacobian(bijector.forward, POINTS)
    assert np.all(np.triu(j, 1) == 0)
    assert np.all(np.abs(np.tril(j)[:, *np.tril_indices(SIZE)]) > 0)


def the_inverse_has_a_gradient(bijector):
    """Its Jacobian is the inverse matrix of forward's, through loops and implicit steps alike."""
    y = bijector.forward(POINTS) + 0.0
    product = jacobian(bijector.inverse, y) @ jacobian(bijector.forward, POINTS)
    np.testing.assert_allclose(product, np.tile(np.eye(SIZE), (3, 1, 1)), atol=1e-6)


@pytest.mark.parametrize(
    "law",
    [inverse_undoes_forward, log_det_is_that_of_the_jacobian, the_inverse_has_a_gradient],
    ids=lambda law: law.__name__,
)
def test_law_holds(flow, law):
    law(in_float64(flow(CONTEXT)))


def test_float32_agrees_with_float64(flow):
    x = tf.random.stateless_normal([200, 3, SIZE], [4, 5])
    y = flow(CONTEXT).forward(x)
    np.testing.assert_allclose(
        y, in_float64(flow(CONTEXT)).forward(tf.cast(x, "float64")), atol=1e-3
    )
    assert np.median(np.abs(flow(CONTEXT).inverse(tf.identity(y)) - x)) < 1e-5


def test_a_context_makes_it_another_flow_for_each_example(flow):
    x = tf.zeros([2, 3, SIZE])
    before = flow(CONTEXT).forward(x).numpy()
    after = flow(CONTEXT + [[0.0], [1.0], [0.0]]).forward(x).numpy()
    assert (np.abs(after - before).max(axis=(0, 2)) > 1e-4).tolist() == [False, True, False]
    # Every dimension sees it, the first of an autoregressive flow too.
    assert np.all(np.abs(after - before)[:, 1] > 0)


def test_one_point_meets_all_contexts(flow):
    point = tf.random.stateless_normal([SIZE], [6, 7])
    whole = flow(CONTEXT).forward(tf.tile(point[None], [3, 1]))
    for x in (point, point[None]):
        np.testing.assert_allclose(flow(CONTEXT).forward(x), whole, atol=1e-5)
        y = flow(CONTEXT).inverse(x)
        np.testing.assert_allclose(flow(CONTEXT).forward(y + 0.0), [point] * 3, atol=1e-3)


def test_it_is_restored_from_its_config(flow):
    copy = laws.reloaded(flow)
    copy(CONTEXT)
    copy.set_weights(flow.get_weights())
    x = tf.random.stateless_normal([3, SIZE], [0, 1])
    np.testing.assert_array_equal(copy(CONTEXT).forward(x), flow(CONTEXT).forward(x))


def test_huge_contexts_and_values_keep_it_finite(flow):
    with tf.GradientTape() as tape:
        bijector = flow(1e3 * CONTEXT)
        y = bijector.forward(1e2 * tf.ones([3, SIZE]))
        total = tf.reduce_sum(bijector.forward_log_det_jacobian(1e2 * tf.ones([3, SIZE]), 1)) + (
            tf.reduce_sum(y)
        )
    assert np.isfinite(total)
    for gradient in tape.gradient(total, flow.trainable_variables):
        assert np.isfinite(gradient).all()


def test_gradients_reach_every_weight(flow):
    with tf.GradientTape() as tape:
        bijector = flow(CONTEXT)
        x = tf.random.stateless_normal([50, 3, SIZE], [0, 1])
        loss = tf.reduce_mean(
            bijector.forward(x) ** 2 - bijector.forward_log_det_jacobian(x, 1)[..., None]
        )
    for variable, gradient in zip(
        flow.trainable_variables, tape.gradient(loss, flow.trainable_variables), strict=True
    ):
        assert gradient is not None, variable.path
        assert np.any(np.asarray(gradient) != 0), variable.path


def test_own_draws_need_no_inverse():
    """The density of own draws comes with them: an inverse pass would be a loop in the graph."""
    flow = rows.FLOWS["InverseAutoregressive"]()

    @tf.function
    def draw():
        base = tfp.distributions.MultivariateNormalDiag(tf.zeros([SIZE]))
        q = tfp.distributions.TransformedDistribution(base, flow(None))
        return q.experimental_sample_and_log_prob(5, seed=[0, 1])

    flow(None)
    kinds = {op.type for op in draw.get_concrete_function().graph.get_operations()}
    assert not kinds & {"While", "StatelessWhile"}


def test_no_tensor_is_kept_of_an_eager_pass():
    """TFP remembers inverses by tensor: forward, then inverse, gives the very tensor back."""
    bijector = rows.FLOWS["InverseAutoregressive"]()(None)
    x = tf.ones([3, SIZE])
    y = bijector.forward(x)
    assert bijector.inverse(y) is x
    kept = [weakref.ref(x), weakref.ref(y)]
    del x, y
    gc.collect()
    assert [r() for r in kept] == [None, None]


def one_layer(flow_class, **arguments):
    with seeded_initializers(1):
        return in_float64(shaken(flow_class((SIZE,), num_layers=1, **arguments))(None))


def test_a_layer_of_an_autoregressive_flow_is_triangular():
    a_dimension_depends_on_those_before_it(one_layer(flows.InverseAutoregressive, units=(9, 7)))
    a_dimension_depends_on_those_before_it(one_layer(flows.MaskedAutoregressive, units=(9, 7)))


def test_the_second_layer_has_the_opposite_order():
    with seeded_initializers(1):
        flow = shaken(flows.InverseAutoregressive((SIZE,), num_layers=2, units=(9,)))
    second = in_float64(flow(None)).bijectors[0]  # a chain applies its last first
    assert np.all(np.tril(jacobian(second.forward, POINTS), -1) == 0)


class MissingLogDet(MaskedAffine):
    """The density is the base's."""

    def _forward_log_det_jacobian(self, x):
        return tf.zeros(tf.shape(x)[:-1], x.dtype)


class WrongSign(MaskedAffine):
    """The log-determinant is that of the other direction."""

    def _forward_log_det_jacobian(self, x):
        return -super()._forward_log_det_jacobian(x)


class OnePassTooFew(MaskedAffine):
    """The last dimension is not solved for."""

    def _inverse(self, y):
        x = y
        for _ in range(SIZE - 1):
            shift, log_scale = self._shift_and_log_scale(x)
            x = (y - shift) * tf.exp(-log_scale)
        return x


class UnsafeStep(PlanarBijector):
    """The step is not moved: the map may fold."""

    def _safe_step(self):
        return self._step, tf.reduce_sum(self._direction * self._step, axis=-1)


class BlindInverse(PlanarBijector):
    """No gradient passes the bisection."""

    def _inverse(self, y):
        return tf.stop_gradient(super()._inverse(y)) + 0.0 * y


def masked_affine(cls, strict=True):
    """A `MaskedAffine` with random weights; masks that are not strict make it a mutant too."""
    rng = np.random.default_rng(0)
    first, last = autoregressive_masks(range(1, SIZE + 1), (8,), 2)
    if not strict:
        last = autoregressive_masks(range(2, SIZE + 2), (8,), 2)[1]
    weights = [
        rng.normal(size=(SIZE, 8)) * first,
        rng.normal(size=8),
        rng.normal(size=(8, 2 * SIZE)) * last,
        rng.normal(size=2 * SIZE),
    ]
    return cls([tf.constant(w) for w in weights])


def planar(cls):
    w = tf.constant([[1.0, 2.0, -1.0, 0.5]] * 3, tf.float64)
    return cls(w, -2.0 * w, tf.zeros([3], tf.float64))


@pytest.mark.parametrize(
    ("mutant", "law"),
    [
        (lambda: masked_affine(MissingLogDet), log_det_is_that_of_the_jacobian),
        (lambda: masked_affine(WrongSign), log_det_is_that_of_the_jacobian),
        (lambda: masked_affine(OnePassTooFew), inverse_undoes_forward),
        (
            lambda: masked_affine(MaskedAffine, strict=False),
            log_det_is_that_of_the_jacobian,
        ),
        (lambda: planar(UnsafeStep), inverse_undoes_forward),
        (lambda: planar(BlindInverse), the_inverse_has_a_gradient),
    ],
    ids=["no log-det", "wrong sign", "few passes", "order of masks", "fold", "blind inverse"],
)
def test_law_rejects_a_mutant(mutant, law):
    with pytest.raises(AssertionError):
        law(mutant())


def test_the_mutants_sound_relatives_pass():
    for sound in (masked_affine(MaskedAffine), planar(PlanarBijector)):
        inverse_undoes_forward(sound)
        log_det_is_that_of_the_jacobian(sound)
        the_inverse_has_a_gradient(sound)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: flows.RealNVP((1,)), r"`event_shape` must be \(D,\) with D >= 2"),
        (lambda: flows.Planar((2, 3)), r"`event_shape` must be \(D,\) with D >= 2"),
        (lambda: flows.RealNVP((4,), num_layers=0), "`num_layers` must be an integer >= 1"),
        (lambda: flows.RealNVP((4,), units=()), "`units` must name at least one hidden layer"),
        (lambda: flows.NeuralSpline((4,), num_bins=1), "`num_bins` must be an integer >= 2"),
        (
            lambda: flows.MaskedAutoregressive((4,))(tf.zeros([2, 3, 3, 1])),
            "`context` must be flat",
        ),
    ],
)
def test_nonsense_is_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
