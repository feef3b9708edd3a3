"""The monotone spline, beside TFP's own."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.flows import NeuralSpline
from tfvae.flows.spline import BOUND, Piece, Spline, spline

POINTS = np.concatenate([np.linspace(-6, 6, 241), [-BOUND, BOUND, -1e30, 1e30]])


def random_spline(cls=Spline, bins=8):
    """A spline for each of the points, with parameters in float64."""
    outputs = tf.random.stateless_normal([POINTS.size, 3 * bins - 1], [0, 1], 0.0, 2.0, tf.float64)
    return cls(*spline(outputs))


def it_is_that_of_tfp(made):
    """Values, inverses and log-derivatives, inside of the bound and outside."""
    peer = tfp.bijectors.RationalQuadraticSpline(*made, range_min=-BOUND)
    y, log_slope = made.forward(POINTS)
    np.testing.assert_allclose(y, peer.forward(POINTS), rtol=1e-12, atol=1e-12)
    expected = peer.forward_log_det_jacobian(POINTS, 0)
    np.testing.assert_allclose(log_slope, expected, rtol=1e-10, atol=1e-10)
    x, inverse_log_slope = made.inverse(y)
    np.testing.assert_allclose(x, POINTS, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(inverse_log_slope, -log_slope, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("bins", [2, 8])
def test_it_is_that_of_tfp(bins):
    it_is_that_of_tfp(random_spline(bins=bins))


class NeighbouringBin(Spline):
    """Mutant: numbers are looked up in the next bin of the other axis."""

    def _piece(self, number, sizes):
        return super()._piece(number, self.heights if sizes is self.widths else self.widths)


class ValueForSlope(Spline):
    """Mutant: the derivative of the other end."""

    def _piece(self, number, sizes):
        piece = super()._piece(number, sizes)
        return Piece(*piece[:4], piece.slope_after, piece.slope_before)


@pytest.mark.parametrize("mutant", [NeighbouringBin, ValueForSlope])
def test_the_comparison_rejects(mutant):
    with pytest.raises(AssertionError):
        it_is_that_of_tfp(random_spline(mutant))


def test_zeros_give_the_identity():
    y, log_slope = spline(tf.zeros([POINTS.size, 23], tf.float64)).forward(POINTS)
    np.testing.assert_allclose(y, POINTS, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(log_slope, 0.0, atol=1e-12)


def test_gradients_are_finite_everywhere():
    points = tf.constant(POINTS)
    with tf.GradientTape() as tape:
        tape.watch(points)
        made = random_spline()
        tape.watch(list(made))
        total = tf.add_n([tf.reduce_sum(v) for v in (*made.forward(points), *made.inverse(points))])
    for gradient in tape.gradient(total, [points, *made]):
        assert np.isfinite(gradient).all()


def test_a_graph_runs_each_network_once():
    """TFP asks for a value and for its log-determinant one after the other."""
    flow = NeuralSpline((4,), num_layers=3, units=(8,))
    flow(None)

    @tf.function
    def both(x):
        bijector = flow(None)
        return bijector.forward(x), bijector.forward_log_det_jacobian(x, 1)

    graph = both.get_concrete_function(tf.zeros([5, 4])).graph
    assert sum(op.type == "Tanh" for op in graph.get_operations()) == 3


def test_a_tape_that_begins_late_sees_all():
    flow, x = NeuralSpline((4,)), tf.random.stateless_normal([5, 4], [0, 1])
    flow(None)
    for w in flow.trainable_variables:
        w.assign(w.value + tf.random.stateless_normal(w.shape, [0, 1], stddev=0.5))
    coupling = flow(None).bijectors[-1]
    coupling.forward(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        log_det = coupling.forward_log_det_jacobian(x, 1)
    assert np.any(tape.gradient(log_det, x) != 0)
