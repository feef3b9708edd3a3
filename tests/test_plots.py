"""Figures: each value lies where the axes say, and what is no picture is refused."""

import io
import re
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tfvae import plots
from tfvae.errors import DataError
from tfvae.plots.drawing import TRAIN, VALID

DIGITS = load_digits().images / 16


def picture(figure):
    """The pixels of a mosaic, without the white around the images."""
    return np.asarray(figure.axes[0].images[0].get_array())


def tile(figure, row, column, rows, columns):
    """One value for each tile of a gapless or narrow-gapped mosaic: its centre's."""
    pixels = picture(figure)
    height, width = pixels.shape[:2]
    return pixels[int((row + 0.5) * height / rows), int((column + 0.5) * width / columns), 0]


def tick_labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def curve(axes, color):
    (line,) = [line for line in axes.lines if line.get_color() == color]
    return line.get_xydata()


def flat(values):
    """Grey images of one value each."""
    return np.broadcast_to(np.asarray(values)[..., None, None], (*np.shape(values), 8, 8))


def test_samples_lie_in_reading_order():
    values = np.linspace(0, 1, 6)
    figure = plots.samples(flat(values), columns=3)
    seen = [tile(figure, row, column, 2, 3) for row in range(2) for column in range(3)]
    np.testing.assert_allclose(seen, values, atol=1e-6)


def test_a_last_row_that_is_not_full_ends_white():
    figure = plots.samples(np.zeros((3, 8, 8)), columns=2)
    assert tile(figure, 1, 1, 2, 2) == 1
    assert tile(figure, 1, 0, 2, 2) == 0


def test_reconstructions_lie_below_their_images():
    x, reconstructed = np.array([0.1, 0.2]), np.array([0.7, 0.8])
    figure = plots.reconstructions(flat(x), flat(reconstructed))
    assert tick_labels(figure.axes[0].yaxis) == ["data", "model"]
    for column in range(2):
        assert tile(figure, 0, column, 2, 2) == pytest.approx(x[column])
        assert tile(figure, 1, column, 2, 2) == pytest.approx(reconstructed[column])


def test_reconstructions_wrap_into_pairs_of_rows():
    figure = plots.reconstructions(DIGITS, DIGITS, num=6, columns=3)
    assert tick_labels(figure.axes[0].yaxis) == ["data", "model"] * 2


def test_reconstructions_have_the_grey_scale_of_the_data():
    figure = plots.reconstructions(flat([0.0, 200.0]), flat([100.0, 400.0]))
    assert tile(figure, 1, 0, 2, 2) == pytest.approx(0.5)
    assert tile(figure, 1, 1, 2, 2) == 1


def test_limits_are_black_and_white():
    values = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    for limits, expected in (((-1, 1), [0, 0, 0.5, 1, 1]), (None, [0, 0.25, 0.5, 0.75, 1])):
        figure = plots.samples(flat(values), columns=5, limits=limits)
        np.testing.assert_allclose([tile(figure, 0, c, 1, 5) for c in range(5)], expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_may_have_channels(channels):
    image = np.random.default_rng(0).random((1, 48, 48, channels))
    expected = np.broadcast_to(image[0], (48, 48, 3))
    np.testing.assert_allclose(picture(plots.samples(image)), expected)


def test_pixels_stay_square():
    for height, width in ((8, 8), (28, 20), (7, 30)):
        figure = plots.samples(np.zeros((10, height, width)), columns=5)
        box = figure.axes[0].get_window_extent()
        pixels = picture(figure)
        assert box.width / box.height == pytest.approx(pixels.shape[1] / pixels.shape[0])


def test_traversal_names_latents_and_values():
    images = flat(np.linspace(0, 1, 15).reshape(3, 5))
    figure = plots.traversal(images, latents=["slant", 4, 7], values=[-2, -1, 0, 0.5, 2])
    axes = figure.axes[0]
    assert tick_labels(axes.yaxis) == ["slant", "$z_{4}$", "$z_{7}$"]
    assert tick_labels(axes.xaxis) == ["−2", "−1", "0", "0.5", "2"]
    assert tile(figure, 2, 1, 3, 5) == pytest.approx(11 / 14)


def test_manifold_has_the_first_latent_along_the_row():
    first, second = np.linspace(0, 0.4, 5), np.linspace(0.5, 0, 3)
    figure = plots.manifold(flat(second[:, None] + first), values=(first, second))
    axes = figure.axes[0]
    assert axes.get_xlabel() == "$z_0$"
    assert axes.get_ylabel() == "$z_1$"
    assert tick_labels(axes.xaxis) == ["0", "0.1", "0.2", "0.3", "0.4"]
    assert tile(figure, 1, 4, 3, 5) == pytest.approx(0.25 + 0.4)


IMAGES = {
    "reconstructions": lambda images: plots.reconstructions(images, images),
    "samples": plots.samples,
}
GRIDS = {"traversal": plots.traversal, "manifold": plots.manifold}


@pytest.mark.parametrize("draw", IMAGES.values(), ids=IMAGES)
@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((5, 64)), ".reshape(-1, 8, 8)"),
        (np.zeros((5, 60)), ".reshape(-1, height, width)"),
        (np.zeros((5, 8, 8, 2)), "must be images, [N, H, W] or [N, H, W, 1 or 3]"),
        (np.zeros((2, 5, 8, 8, 1)), "must be images"),
        (np.zeros(()), "must be images"),
        (np.zeros((0, 8, 8)), "must be a non-empty array of real numbers"),
        (np.full((1, 8, 8), "a"), "must be a non-empty array of real numbers"),
        (np.full((1, 8, 8), np.nan), "[0, 0, 0]=nan"),
    ],
)
def test_what_is_no_image_is_refused(draw, images, sentence):
    with pytest.raises(DataError, match=re.escape(sentence)):
        draw(images)


@pytest.mark.parametrize("draw", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("shape", [(5, 64), (5, 8, 8), (5, 8, 8, 1), (5, 8, 8, 3), (2, 5, 8, 8, 2)])
def test_what_is_no_grid_of_images_is_refused(draw, shape):
    with pytest.raises(DataError, match=re.escape("[rows, columns, H, W, 1 or 3]")):
        draw(np.zeros(shape))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: plots.reconstructions(DIGITS, DIGITS[:3]), "`x_reconstructed` must have the"),
        (lambda: plots.reconstructions(DIGITS, DIGITS, num=0), "`num` must be a positive"),
        (lambda: plots.reconstructions(DIGITS, DIGITS, columns=-1), "`columns` must be a positive"),
        (lambda: plots.samples(DIGITS, columns=0), "`columns` must be a positive"),
        (lambda: plots.samples(DIGITS, limits=(1, 1)), "`limits` must be two numbers"),
        (lambda: plots.traversal(DIGITS[None, :4], latents=[1, 2]), "`latents` must have 1"),
        (lambda: plots.traversal(DIGITS[None, :4], values=[1, 2]), "`values` must have 4"),
        (lambda: plots.manifold(DIGITS[None, :4], values=([0] * 4, [])), "`values[1]` must have 1"),
        (lambda: plots.latent_map(np.zeros((4, 1))), "`z` must have the shape [N, D]"),
        (lambda: plots.latent_map(np.zeros((4, 2, 2))), "`z` must have the shape [N, D]"),
        (lambda: plots.latent_map(np.full((4, 2), np.inf)), "`z` must be finite"),
        (lambda: plots.latent_map(np.zeros((4, 2)), [1, 2]), "`labels` must have the shape [4]"),
        (
            lambda: plots.latent_map(np.zeros((11, 2)), [*"abcdefghijk"]),
            "`labels` must have at most 10 classes",
        ),
        (lambda: plots.training_curves({"accuracy": [1.0]}), "`history` must have at least one"),
        (lambda: plots.training_curves({"loss": []}), "`history` must have at least one"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        call()


def test_curves_are_the_history():
    history = {"elbo": [-3.0, -2.0, -1.5], "val_elbo": [-2.5, -2.0, -1.9], "learning_rate": [1.0]}
    (axes,) = plots.training_curves(history).axes
    np.testing.assert_array_equal(curve(axes, TRAIN), [[1, -3], [2, -2], [3, -1.5]])
    np.testing.assert_array_equal(curve(axes, VALID), [[1, -2.5], [2, -2], [3, -1.9]])
    assert axes.get_ylabel() == "nats per example"
    assert axes.get_title("left") == "ELBO"


def test_each_metric_has_a_panel_in_the_order_of_fit():
    history = {name: [1.0, 2.0] for name in ("kl", "log_likelihood", "elbo", "loss", "beta")}
    titles = [axes.get_title("left") for axes in plots.training_curves(history).axes]
    assert titles == ["Loss", "ELBO", "Log-likelihood", "KL divergence"]


def test_rare_validation_lies_at_its_epochs():
    (axes,) = plots.training_curves({"kl": range(10), "val_kl": [2, 5, 8]}).axes
    np.testing.assert_array_equal(curve(axes, VALID)[:, 0], [3, 6, 9])


def test_a_steep_start_does_not_squeeze_the_rest():
    late = np.linspace(-100, -99, 18)
    (axes,) = plots.training_curves({"elbo": [-1e6, *late], "val_elbo": [np.nan, *late]}).axes
    low, high = axes.get_ylim()
    assert -101 < low < late[4]
    assert -99 < high < -98


def test_a_history_that_fits_is_shown_whole():
    (axes,) = plots.training_curves({"elbo": np.linspace(-10, -1, 20)}).axes
    low, high = axes.get_ylim()
    assert low <= -10
    assert high >= -1


@pytest.mark.parametrize("values", [[1.0], [np.nan], [1.0, np.inf, 2.0], [5.0, 5.0]])
def test_short_flat_and_broken_histories_are_drawn(values):
    plots.training_curves({"loss": values}).savefig(io.BytesIO())


def test_two_latents_are_the_axes():
    z = np.random.default_rng(0).normal(size=(50, 2))
    (axes,) = plots.latent_map(z).axes
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), z)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("$z_0$", "$z_1$")


def test_more_latents_are_shown_by_their_principal_components():
    generator = np.random.default_rng(0)
    scales = np.array([1.0, 5.0, 0.1, 3.0])
    z = generator.normal(size=(5000, 4)) * scales + 7
    (axes,) = plots.latent_map(z).axes
    points = axes.collections[0].get_offsets()
    correlation = np.corrcoef(points.T, z[:, [1, 3]].T)
    np.testing.assert_allclose(correlation[:2, 2:], np.eye(2), atol=0.05)
    shares = scales**2 / (scales**2).sum()
    assert f"first principal component of 4 ({shares[1]:.0%}" in axes.get_xlabel()
    assert f"second principal component of 4 ({shares[3]:.0%}" in axes.get_ylabel()


@pytest.mark.parametrize("labels", [[0, 1, 0, 1, 1], [*"abaab"], [True, False, True, True, False]])
def test_each_class_has_one_colour_and_its_name_in_the_legend(labels):
    figure = plots.latent_map(np.random.default_rng(0).normal(size=(5, 2)), labels)
    colors = figure.axes[0].collections[0].get_facecolors()
    for i, one in enumerate(labels):
        for j, other in enumerate(labels):
            assert (one == other) == np.array_equal(colors[i], colors[j])
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == [str(name) for name in np.unique(labels)]


@pytest.mark.parametrize("labels", [np.linspace(0, 1, 20), np.arange(20)])
def test_numbers_are_coloured_on_a_scale(labels):
    figure = plots.latent_map(np.zeros((20, 3)), labels)
    assert len(figure.axes) == 2  # the second is the colour bar
    assert not figure.legends


def test_figures_leave_pyplot_alone():
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    plots.samples(DIGITS[:3])
    plots.training_curves({"loss": [1.0, 0.5]})
    assert pyplot.get_fignums() == before


def test_tensors_are_arrays():
    import tensorflow as tf

    np.testing.assert_array_equal(
        picture(plots.samples(tf.constant(DIGITS[:3]))), picture(plots.samples(DIGITS[:3]))
    )


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "tfvae\[plots\]"'):
        plots.samples(DIGITS[:3])
