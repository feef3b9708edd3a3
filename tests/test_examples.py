"""The examples run as a user runs them, with little training; what they write and say is true."""

import pathlib
import random
import re
import runpy
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from matplotlib import image

import tfvae

pytestmark = pytest.mark.slow
EXAMPLES = pathlib.Path(__file__).parent.parent / "examples"


@pytest.fixture
def run(monkeypatch, capfd):
    """A function that runs an example as a program and returns what it printed."""
    states = random.getstate(), np.random.get_state()

    def run(name, **flags):
        arguments = [f"--{flag.replace('_', '-')}={value}" for flag, value in flags.items()]
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        capfd.readouterr()
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return capfd.readouterr().out

    yield run
    random.setstate(states[0])
    np.random.set_state(states[1])


@pytest.fixture(scope="module")
def x_test():
    return tfvae.data.digits().x_test


def numbers_after(label, text):
    """The numbers that follow `label` in the lines that contain it."""
    lines = [line.split(label, 1)[1] for line in text.splitlines() if label in line]
    return [[float(n) for n in re.findall(r"-?\d+\.\d+(?:e[-+]\d+)?", line)] for line in lines]


def assert_pictures(folder, *names):
    """Each picture exists, and shows something."""
    assert sorted(path.stem for path in folder.glob("*.png")) == sorted(names)
    for name in names:
        assert np.ptp(image.imread(folder / f"{name}.png")[..., :3]) > 0.5, name


def test_the_demo_writes_what_it_says_and_its_numbers_are_those_of_its_files(run, tmp_path, x_test):
    out = tmp_path / "demo"
    text = run("demo", epochs=2, num_samples=20, out=out)
    assert_pictures(out, "reconstructions", "samples", "traversal", "latents", "training")

    vae = keras.saving.load_model(out / "digits.keras")
    ((elbo,),) = numbers_after("ELBO = log-likelihood - KL", text)
    ((log_likelihood,),) = numbers_after("  log-likelihood ", text)
    ((kl,),) = numbers_after("    KL ", text)
    ((log_evidence, error),) = numbers_after("log-evidence, 20 importance samples", text)
    assert elbo == pytest.approx(log_likelihood - kl, abs=0.02)
    again = tfvae.evaluation.elbo(vae, x_test, num_samples=100).mean()
    assert elbo == pytest.approx(again, abs=0.006)
    again = tfvae.evaluation.log_evidence(vae, x_test, num_samples=20).log_evidence.mean()
    assert log_evidence == pytest.approx(again, abs=0.006)
    assert elbo < log_evidence
    assert 0 < error < 0.5

    served = tf.saved_model.load(out / "saved_model" / "1").signatures
    assert {"serving_default", "encode", "decode", "reconstruct"} <= set(served)
    np.testing.assert_allclose(
        served["reconstruct"](x=tf.constant(x_test))["mean"],
        vae.predict(x_test, verbose=0),
        atol=1e-5,
    )
    parity = numbers_after("digits.keras  ", text)[0] + numbers_after("SavedModel  ", text)[0]
    assert len(parity) == 6
    assert max(parity) < 1e-5

    assert "saved_model/2/" in run("demo", epochs=1, num_samples=1, out=out)  # and once more
    assert sorted(path.name for path in (out / "saved_model").iterdir()) == ["1", "2"]
    assert int(keras.saving.load_model(out / "digits.keras").batches_seen.numpy()) == 41


def test_the_demo_fails_where_a_reloaded_model_differs(run, tmp_path, monkeypatch):
    save = tfvae.VAE.save

    def save_another(vae, path):
        weight = vae.trainable_variables[0]
        kept = weight.numpy()
        weight.assign(kept + 0.01)
        save(vae, path)
        weight.assign(kept)

    monkeypatch.setattr(tfvae.VAE, "save", save_another)
    with pytest.raises(SystemExit, match="The reloaded models differ"):
        run("demo", epochs=1, num_samples=1, out=tmp_path)


def test_the_demo_refuses_flags_that_leave_nothing_to_do(run, tmp_path):
    with pytest.raises(SystemExit) as exit:
        run("demo", epochs=0, out=tmp_path / "demo")
    assert exit.value.code == 2
    assert not (tmp_path / "demo").exists()


def test_the_walk_through_goes_to_its_end(run, tmp_path, x_test):
    text = run("digits", epochs=2, out=tmp_path)
    assert_pictures(
        *(tmp_path, "training", "reconstructions", "samples", "latents", "interpolation", "grey")
    )
    assert "`y` must be left out" in text
    assert "as before: True" in text
    assert f"trained on, to step {41 * 3}" in text
    ((elbo,),) = numbers_after("7. reloaded: ELBO", text)
    vae = keras.saving.load_model(tmp_path / "digits.keras")
    assert vae.evaluate(x_test, verbose=0, return_dict=True)["elbo"] == pytest.approx(
        elbo, abs=0.006
    )
    served = tf.saved_model.load(tmp_path / "saved_model" / "1").signatures["encode"]
    assert served(x=tf.constant(x_test))["mean"].shape == (len(x_test), 8)


def test_own_networks_train_reload_and_are_refused_with_the_remedy(run, tmp_path):
    kinds = "sequential", "functional", "subclassed", "convolutional"
    text = run("own_networks", epochs=2, out=tmp_path)
    assert_pictures(tmp_path, *kinds)
    for kind in kinds:
        ((elbo, kl, difference),) = numbers_after(f"{kind} ", text)
        assert -45 < elbo < -15  # 64 ln 2 = 44.4 is the price of pixels without a model
        assert kl > 0
        assert difference == 0
        vae = keras.saving.load_model(tmp_path / f"{kind}.keras")
        assert vae.generate(2, seed=0).shape == (2, 8, 8, 1)
    for refusal in (
        "not flattened: `features`",
        "with a lambda: `network`",
        "not registered: `sav",
    ):
        assert f"- {refusal}" in text
    assert not (tmp_path / "unregistered.keras").exists()


def test_a_conditional_model_knows_more_and_classifies(run, tmp_path):
    text = run("conditional", epochs=4, out=tmp_path)
    assert_pictures(tmp_path, "digits", "hands")
    (without, _), (given, _) = numbers_after("test ELBO", text)
    assert given > without
    ((percent,),) = numbers_after("names", text)
    assert percent > 50  # a tenth would be chance
    vae = keras.saving.load_model(tmp_path / "conditional.keras")
    zero, one = (np.float64(vae.generate(50, k, seed=0)).mean(axis=0) for k in np.eye(10)[:2])
    assert zero[3:5, 3:5].mean() < one[3:5, 3:5].mean()  # a nought has a hole


def test_a_hand_written_vae_converts_within_monte_carlo_error(run, tmp_path, x_test):
    text = run("migrate", epochs=2, out=tmp_path)
    reported, same = (
        np.array(numbers_after(label, text))
        for label in ("reported, converted", "the same weights in tfvae")
    )
    assert reported.shape == same.shape == (2, 4)  # log-likelihood, KL, ELBO, loss
    for rows in (reported, same):
        log_likelihood, kl, elbo, loss = rows.T
        np.testing.assert_allclose(elbo, log_likelihood - kl, atol=0.002)
        np.testing.assert_allclose(loss, [1, 64] * kl - log_likelihood, atol=0.04)
    np.testing.assert_allclose(reported[:, 1], same[:, 1], atol=0.002)  # the KL has no noise
    errors = numbers_after("The first two rows differ by", text)
    assert len(errors) == 2
    assert all(standard_errors < 4 for _, standard_errors in errors)
    for name in ("sum_over_pixels", "mean_over_pixels"):
        vae = keras.saving.load_model(tmp_path / f"{name}.keras")
        assert np.isfinite(vae.predict(x_test, verbose=0)).all()
    assert_pictures(tmp_path, "sum_over_pixels", "mean_over_pixels")


def test_eight_schools_agree_with_reference_draws_and_chains(run):
    text = run("eight_schools", num_draws=200)
    assert ", converged" in text
    ((q, corrected, chains, r_hat),) = [row for row in numbers_after("mu ", text) if len(row) == 4]
    # 4.41 with sd 3.31 in posteriordb; 800 draws of the chains have an error of 0.12.
    np.testing.assert_allclose([q, corrected, chains], 4.41, atol=0.7)
    assert r_hat < 1.1
