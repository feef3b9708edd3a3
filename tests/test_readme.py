"""The README's first program does what it says."""

import re
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfvae import vi

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


PROGRAMS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_the_first_program_runs(tmp_path, monkeypatch):
    program = PROGRAMS[0]
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(program.replace("epochs=60", "epochs=1, verbose=0"), names)  # our own text
    x, vae = names["digits"].x_test, names["vae"]
    loaded = keras.saving.load_model("digits.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), vae.predict(x, verbose=0))
    served = tf.saved_model.load("saved_models/digits/1").signatures["encode"](x=tf.constant(x))
    np.testing.assert_allclose(served["mean"], vae.embed(x), rtol=1e-5, atol=1e-5)


def test_the_program_of_inference_runs(tmp_path, monkeypatch, capsys):
    _, program = PROGRAMS
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(program, names)  # our own text
    fit = names["fit"]
    assert fit.converged, fit.reasons
    assert "slope" in capsys.readouterr().out
    loaded = vi.load("line.npz", names["line"])
    np.testing.assert_array_equal(loaded.sample(9)["slope"], fit.sample(9)["slope"])


def test_every_script_and_file_it_names_exists():
    root = Path(__file__).parent.parent
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (root / target).exists(), target
