"""The watch speaks when the latents say nothing, once, and is silent when they say something."""

import keras
import numpy as np
import pytest

import tfvae
from tfvae import evaluation, objectives
from tfvae.callbacks import PosteriorCollapse


def watched(make_vae, x, epochs, watch=None, **arguments):
    model = make_vae(**arguments)
    model.compile(keras.optimizers.Adam(0.02))
    watch = watch or PosteriorCollapse()
    history = model.fit(
        x, batch_size=61, epochs=epochs, verbose=0, validation_data=x[:30], callbacks=[watch]
    ).history
    return model, history, watch


def test_a_posterior_under_a_heavy_price_collapses_and_is_reported_once(make_vae, x, caplog):
    """At beta = 100 the KL is driven to zero."""
    heavy = objectives.ELBO(beta=100.0)
    _, history, watch = watched(make_vae, x, 60, objective=heavy)
    assert history["active_units"][-1] == 0
    assert sum(watch.records[-1]["kl_by_dimension"]) < 0.01
    assert caplog.text.count("The posterior has collapsed") == 1
    assert "0 of 2 latent dimensions are active. Warm beta up" in caplog.text


def test_measurements_are_those_of_the_functions(make_vae, x, caplog):
    data = np.tile(np.eye(6, dtype="float32"), (10, 1))
    free = objectives.ELBO(beta=0.0)
    model, history, watch = watched(make_vae, data, 6, objective=free, units=(16,))
    assert "collapsed" not in caplog.text
    aggregate = evaluation.aggregate_posterior(model, data[:30])
    last = {name: history[name][-1] for name in ("mutual_information", "aggregate_gap")}
    assert last == {
        "mutual_information": aggregate.mutual_information,
        "aggregate_gap": aggregate.gap,
    }
    assert history["active_units"][-1] == evaluation.active_units(model, data[:30])
    assert watch.records[-1]["kl_by_dimension"] == list(aggregate.kl_by_dimension)


def test_it_does_not_change_training(make_vae, x, state_of, assert_same_bits):
    plain = make_vae()
    plain.compile(keras.optimizers.Adam(0.02))
    plain.fit(x, batch_size=61, epochs=4, verbose=0)
    watch = PosteriorCollapse(x[:20], every_n_epochs=2, num_examples=10)
    model, history, watch = watched(make_vae, x, 4, watch)
    assert_same_bits(state_of(model), state_of(plain))
    assert [record["epoch"] for record in watch.records] == [1, 3]
    assert len(history["active_units"]) == 2


def test_a_checkpoint_keeps_what_it_measured_and_not_what_it_measured_on(make_vae, x, tmp_path):
    checkpoint = tfvae.callbacks.Checkpoint(tmp_path)
    for epochs in (1, 3):
        model, watch = make_vae(), PosteriorCollapse(np.tile(x, (50, 1)))
        model.compile(keras.optimizers.Adam(0.02))
        fit = {"batch_size": 61, "epochs": epochs, "verbose": 0}
        history = model.fit(x, **fit, callbacks=[watch, checkpoint]).history
    assert [record["epoch"] for record in watch.records] == [0, 1, 2]
    assert history["aggregate_gap"] == [record["aggregate_gap"] for record in watch.records]
    assert max(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file()) < x.nbytes * 20


def test_without_arrays_to_measure_on_it_says_what_to_give(make_vae, x):
    model = make_vae()
    model.compile("adam")
    with pytest.raises(ValueError, match=r"`data` must be given.*PosteriorCollapse\(x_valid\)"):
        model.fit(x, verbose=0, callbacks=[PosteriorCollapse()])
    with pytest.raises(ValueError, match="`num_examples` must be"):
        tfvae.callbacks.PosteriorCollapse(x, num_examples=0)
