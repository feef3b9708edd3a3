"""Quantised codes: choice, codebook, bound, gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conformance import laws, rows

import tfvae
from tfvae import networks
from tfvae.distributions import exact_kl
from tfvae.random import seeded_initializers
from tfvae.stochastic import quantized

FEATURES = tf.random.stateless_normal([6, 5], [0, 1])


@pytest.fixture(params=rows.CODES)
def codes(request):
    with seeded_initializers(0):
        layer = rows.CODES[request.param]()
    layer(FEATURES)
    return layer


def draws_are_codes_of_the_features(layer):
    """Each vector is, bit for bit, that code of the codebook which is nearest to its features."""
    d = layer(FEATURES)
    z = d.sample(2, seed=[0, 1]).numpy()
    assert z.shape == (2, 6, *layer.event_shape)
    codebook = layer.codes.numpy()
    found = (z[..., None, :] == codebook).all(-1)
    assert np.all(found.sum(-1) == 1)
    np.testing.assert_array_equal(d.log_prob(z), 0.0)
    assert np.all(np.isneginf(d.log_prob(z + 1.0)))


def test_draws_are_codes_of_the_features(codes):
    draws_are_codes_of_the_features(codes)


def test_that_law_rejects_a_rounded_straight_through_step(monkeypatch):
    def rounded(vectors, features, event_ndims):
        straight = 1e3 + features + tf.stop_gradient(vectors - features) - 1e3
        return quantized.tfd.Independent(quantized.tfd.Deterministic(straight), event_ndims)

    layer = rows.CODES["VectorQuantized"]()
    layer(FEATURES)
    monkeypatch.setattr("tfvae.stochastic.vector_quantized.point_mass", rounded)
    with pytest.raises(AssertionError):
        draws_are_codes_of_the_features(layer)


def test_the_nearest_vector_is_chosen():
    layer = rows.CODES["VectorQuantized"]()
    z = layer(FEATURES).mean().numpy()
    features, codebook = layer.projection(FEATURES).mean().numpy(), layer.codes.numpy()
    distance = np.square(features[..., None, :] - codebook).sum(-1)
    np.testing.assert_array_equal(z, codebook[distance.argmin(-1)])


def test_the_gradient_goes_straight_through(codes):
    """That of the draws reaches the projection as if there were no rounding to a code."""
    weight = tf.random.stateless_normal([6, *codes.event_shape], [4, 5])
    kernel = codes.projection.projection.kernel
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(weight * codes(FEATURES).sample(seed=[0, 1]))
    through = tape.gradient(loss, kernel.value)
    with tf.GradientTape() as tape:
        z = codes.projection(FEATURES).mean()
        if isinstance(codes, tfvae.FiniteScalar):  # what is rounded is a tanh of the features
            levels = np.asarray(codes.levels, "float64")
            half, even = (levels - 1) * 1.001 / 2, np.where(levels % 2 == 0, 0.5, 0.0)
            shift = np.arctanh(even / half).astype("float32")
            z = tf.tanh(z + shift) * (half / (levels // 2)).astype("float32")
        smooth = tf.reduce_sum(weight * z)
    np.testing.assert_allclose(through, tape.gradient(smooth, kernel.value), rtol=1e-4, atol=1e-5)


def test_uniform_codes_cost_log_k_a_position(codes):
    prior = tfvae.UniformCodes(codes)(None)
    positions, size = int(np.prod(codes.event_shape[:-1])), len(codes.codes)
    nats = positions * np.log(size)
    z = prior.sample(7, seed=[0, 1])
    assert z.shape == (7, *codes.event_shape)
    np.testing.assert_allclose(prior.log_prob(z), -nats, rtol=1e-6)
    np.testing.assert_allclose(exact_kl(codes(FEATURES), prior), np.full(6, nats), rtol=1e-6)


def test_every_code_is_drawn_as_often():
    layer = rows.CODES["FiniteScalar"]()
    n, size = 20_000, len(layer.codes)
    layer(FEATURES)
    z = tfvae.UniformCodes(layer)(None).sample(n, seed=[0, 1]).numpy()[:, 0]
    _, counts = np.unique(z, axis=0, return_counts=True)
    assert len(counts) == size == 15
    chi_square = np.square(counts - n / size).sum() / (n / size)
    assert chi_square < 55.0  # 1e-6 at 14 degrees of freedom is 53


def test_the_bound_counts_the_codes(x):
    """The ELBO is log p(x | z) - P log K: at most the evidence of the model with K**P codes."""
    with seeded_initializers(0):
        model = tfvae.recipes.fsq_vae((6,), latent_size=1, levels=(3, 2), units=(8,), seed=0)
    draws = model(x)
    all_codes = model.encoder.head.codes[:, None, None, :]  # [K, 1, 1, 2]
    likelihood = model.decode(tf.tile(all_codes, [1, len(x), 1, 1])).log_prob(x)
    evidence = tf.reduce_logsumexp(likelihood, axis=0) - np.log(6)
    np.testing.assert_allclose(
        draws.elbo, draws.log_likelihood[0] - np.log(6), rtol=1e-5, atol=1e-5
    )
    assert np.all(draws.elbo <= evidence + 1e-5)
    better = draws.log_likelihood[0]
    assert np.any(better > evidence)  # a mutant that charges nothing is no bound


def test_levels_are_those_of_the_paper():
    """(L - 1) / 2 each side for odd L, one more below zero for even L; extremes are reached."""
    layer = tfvae.FiniteScalar((1,), levels=(2, 3, 4, 5))
    layer(FEATURES)
    kernel, bias = layer.projection.projection.weights
    kernel.assign(0.0 * kernel.value)
    seen = set()
    for value in np.linspace(-8, 8, 200):
        bias.assign(tf.fill([4], np.float32(value)))
        seen.add(tuple(layer(FEATURES[:1]).mean().numpy()[0, 0].round(5).tolist()))
    levels = [sorted({s[i] for s in seen}) for i in range(4)]
    assert levels == [[-1.0, 0.0], [-1.0, 0.0, 1.0], [-1.0, -0.5, 0.0, 0.5], [-1, -0.5, 0, 0.5, 1]]


def quantizer(**arguments):
    """Quantises its input itself: the projection is the identity."""
    arguments = {"decay": 0.9, "restart_below": 0.0} | arguments
    layer = tfvae.VectorQuantized((1, 2), num_codes=3, **arguments)
    layer(tf.zeros([1, 2]))
    layer.projection.projection.set_weights([np.eye(2), np.zeros(2)])
    layer.codebook.assign([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    return layer


BATCHES = np.random.default_rng(0).normal(size=(4, 10, 2)).astype("float32")
BATCHES[:, :4] += [3.5, 0.0]


def follows_the_moving_average(layer):
    """The codebook after some batches is that of a plain numpy loop."""
    codebook = layer.codes.numpy().astype("float64")
    counts, sums = np.zeros(3), np.zeros((3, 2))
    for batch in BATCHES:
        layer(batch, training=True)
        chosen = np.square(batch[:, None] - codebook).sum(-1).argmin(-1)
        for k in range(3):
            mine = batch[chosen == k]
            counts[k] = 0.9 * counts[k] + 0.1 * len(mine)
            sums[k] = 0.9 * sums[k] + 0.1 * mine.sum(0)
            if counts[k] > 0:
                codebook[k] = sums[k] / counts[k]
    np.testing.assert_allclose(layer.codes, codebook, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.counts, counts, rtol=1e-5)


def test_the_codebook_is_a_moving_average_of_the_features_that_chose_it():
    follows_the_moving_average(quantizer())


def test_that_law_rejects_another_decay():
    with pytest.raises(AssertionError):
        follows_the_moving_average(quantizer(decay=0.8))


def test_inference_moves_nothing():
    layer = quantizer()
    before = [w.numpy() for w in layer.weights]
    layer(BATCHES[0], training=False)
    for a, b in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_dead_vector_is_put_on_a_feature_of_the_batch():
    layer = quantizer(restart_below=0.1)
    layer.counts.assign([5.0, 5.0, 0.0])
    layer.sums.assign([[0.0, 0.0], [20.0, 0.0], [0.0, 0.0]])
    layer.codebook.assign([[0.0, 0.0], [4.0, 0.0], [900.0, 900.0]])
    layer(BATCHES[0], training=True)
    distance = np.abs(layer.codes.numpy()[2] - BATCHES[0]).max(-1)
    assert distance.min() < 1e-6
    kept = quantizer(restart_below=0.0)
    kept.codebook.assign([[0.0, 0.0], [4.0, 0.0], [900.0, 900.0]])
    kept(BATCHES[0], training=True)
    np.testing.assert_array_equal(kept.codes[2], [900.0, 900.0])


def test_commitment_is_the_squared_distance_to_the_vectors():
    layer = quantizer(commitment=0.5)
    layer(BATCHES[0], training=True)
    codebook = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    expected = 0.5 * np.square(BATCHES[0][:, None] - codebook).sum(-1).min(-1).mean()
    assert float(sum(layer.losses)) == pytest.approx(expected, rel=1e-5)


def test_perplexity_is_the_effective_number_of_codes():
    layer = quantizer()
    for counts, expected in [([1, 1, 1], 3.0), ([7, 0, 0], 1.0), ([2, 2, 0], 2.0)]:
        layer.counts.assign(np.float32(counts))
        assert float(layer.perplexity) == pytest.approx(expected, rel=1e-5)
    layer.counts.assign([0.5, 0.25, 0.25])
    assert float(layer.perplexity) == pytest.approx(2.0**1.5, rel=1e-5)


def test_it_is_restored_from_its_config(codes):
    copy = laws.reloaded(codes)
    copy(FEATURES)
    copy.set_weights(codes.get_weights())
    np.testing.assert_array_equal(copy(FEATURES).mean(), codes(FEATURES).mean())


def test_a_loaded_prior_shares_the_codebook(x, tmp_path):
    model = tfvae.recipes.vq_vae((6,), latent_size=2, code_size=3, num_codes=4, units=(8,), seed=0)
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(x, epochs=3, batch_size=16, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.prior.quantizer is loaded.encoder.head
    np.testing.assert_array_equal(loaded.generate(4, seed=0), model.generate(4, seed=0))
    assert float(model.encoder.head.perplexity) > 1.5


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: tfvae.VectorQuantized((2, 3), 1), ValueError, "`num_codes` must be an integer"),
        (lambda: tfvae.VectorQuantized((), 4), ValueError, "`event_shape` must be"),
        (lambda: tfvae.VectorQuantized((2, 3), 4, decay=1.0), ValueError, "`decay` must be in"),
        (lambda: tfvae.VectorQuantized((2, 3), 4, -1.0), ValueError, "`commitment` must be"),
        (lambda: tfvae.FiniteScalar((2,), (1, 5)), ValueError, "`levels` must be integers >= 2"),
        (lambda: tfvae.FiniteScalar((2,), ()), ValueError, "`levels` must be integers >= 2"),
        (
            lambda: tfvae.UniformCodes(networks.mlp([3])),
            TypeError,
            "`quantizer` must be the encoder's VectorQuantized",
        ),
    ],
)
def test_nonsense_is_refused(make, error, sentence):
    with pytest.raises(error, match=sentence):
        make()
