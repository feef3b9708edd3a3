"""Numbers about every kind of model, or a sentence where there is none."""

import keras
import numpy as np
import pytest

import tfvae
from tfvae import evaluation, recipes
from tfvae.callbacks import PosteriorCollapse
from tfvae.evaluation.bound import chunks

KINDS = {
    "codes": lambda: recipes.vq_vae((6,), latent_size=4, code_size=2, num_codes=5, seed=0),
    "levels": lambda: recipes.fsq_vae((6,), levels=(3, 3), latent_size=4, units=(8,), seed=0),
    "hierarchy": lambda: recipes.ladder_vae((6,), latent_sizes=(2, 3), units=(8,), seed=0),
    "flow posterior": lambda: recipes.iaf_vae(
        (6,), num_layers=1, latent_size=2, units=(8,), seed=0
    ),
}
ONE_LEVEL = "`model` must have one level of latents. Received: LadderVAE"
PARTS = "factorise by dimension"
MASS = "`model` must have a posterior with a density"

# kind -> function -> the sentence, or the shape of the answer
ANSWERS = {
    "codes": {"log_evidence": MASS, "kl_by_dimension": PARTS},
    "levels": {"log_evidence": MASS, "kl_by_dimension": PARTS},
    "hierarchy": {"aggregate_posterior": ONE_LEVEL, "kl_by_dimension": (2,)},
    "flow posterior": {"kl_by_dimension": PARTS},
}
FUNCTIONS = {
    "log_evidence": lambda m, x: evaluation.log_evidence(m, x, num_samples=20).log_evidence,
    "elbo": evaluation.elbo,
    "active_units": evaluation.active_units,
    "kl_by_dimension": evaluation.kl_by_dimension,
    "aggregate_posterior": lambda m, x: evaluation.aggregate_posterior(m, x)[:2],
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_numbers_or_a_sentence(kind, x):
    model = KINDS[kind]()
    for name, function in FUNCTIONS.items():
        expected = ANSWERS[kind].get(name)
        if isinstance(expected, str):
            with pytest.raises((TypeError, ValueError), match=expected) as error:
                function(model, x)
            assert "Fix: " in str(error.value)
        else:
            answer = function(model, x)
            assert np.isfinite(answer).all()
            assert expected is None or np.shape(answer) == expected


def test_the_information_of_codes_is_the_entropy_of_their_use(x):
    """I(x; z) = H(q(z)), for x determines z."""
    model = KINDS["codes"]()
    model.encode(x)
    codes = np.reshape(model.embed(x), (len(x), -1))
    _, counts = np.unique(codes, axis=0, return_counts=True)
    assert len(counts) > 1
    share = counts / len(x)
    information = evaluation.aggregate_posterior(model, x).mutual_information
    assert information == pytest.approx(-np.sum(share * np.log(share)), abs=1e-4)


def test_the_watch_sees_a_level_collapse(x, caplog):
    """Of a hierarchy it has the KL of each level; at beta = 100 one of them is zero."""
    model = recipes.ladder_vae(
        (6,), latent_sizes=(2, 3), units=(8,), objective=tfvae.objectives.ELBO(beta=100.0), seed=0
    )
    model.compile(keras.optimizers.Adam(0.02), jit_compile=False)
    watch = PosteriorCollapse(x[:30])
    history = model.fit(x, batch_size=61, epochs=60, verbose=0, callbacks=[watch]).history
    assert len(watch.records[-1]["kl_by_dimension"]) == 2
    assert min(watch.records[-1]["kl_by_dimension"]) < 1e-3
    assert history["active_units"][-1] <= 5
    assert caplog.text.count("The posterior has collapsed") == 1
    assert "of 5 latent dimensions are active" in caplog.text
    assert "the latents have" not in caplog.text  # 2 + 3 of them, for 6 numbers


def mixture(family, num_components):
    base = recipes.vae((6,), latent_size=4, units=(8,), seed=0)
    prior = tfvae.Mixture(family, (4,), num_components=num_components)
    return tfvae.VAE(base.encoder, base.decoder, prior=prior, seed=0)


# model, and the numbers that the largest part of its density holds for a draw
SIZES = {
    "x": (lambda: recipes.vae((600,), latent_size=4, units=(8,), seed=0), 600),
    "components": (
        lambda: recipes.vamp_vae((6,), num_components=500, latent_size=4, units=(8,), seed=0),
        2 * 500,
    ),
    "components' events": (lambda: mixture("MultivariateNormalTriL", 300), 300 * 4),
    "a level's x": (lambda: recipes.ladder_vae((700,), units=(8,), seed=0), 700),
}


@pytest.mark.parametrize("kind", SIZES)
def test_an_evaluation_holds_four_million_numbers_at_most(kind):
    make, numbers = SIZES[kind]
    for num_samples in (1, 50, 5_000):
        draws, rows = chunks(make(), num_samples)
        assert draws <= num_samples
        assert draws * rows * numbers <= 2**22
        assert rows == 1024 or draws * (rows + 1) * numbers > 2**22
