"""The same seed gives the same bits in every process, however training is watched."""

import os
import pathlib
import subprocess
import sys

import pytest

import tfvae

SCRIPT = """
import hashlib, sys
import keras, numpy as np
import tfvae

watched, seed = sys.argv[1] == "watched", int(sys.argv[3])
x = (np.random.default_rng(0).random((61, 6)) < 0.4).astype("float32")
with tfvae.random.seeded_initializers(seed):
    network = keras.Sequential(
        [keras.layers.Dense(8), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    )
    vae = tfvae.VAE(
        tfvae.Conditional(network, tfvae.Head("Normal", (2,))),
        tfvae.Conditional(keras.layers.Dense(8), tfvae.Head("Bernoulli", (6,))),
        objective=tfvae.objectives.ELBO(beta=tfvae.schedules.Linear(0.0, 1.0, steps=20)),
        seed=seed,
    )
vae.compile(keras.optimizers.Adam(1e-2))
arguments = {"verbose": 0}
if watched:
    folder = sys.argv[2]
    arguments = {
        "verbose": 2,
        "validation_data": x[:20],
        "callbacks": [
            keras.callbacks.CSVLogger(folder + "/log.csv"),
            keras.callbacks.ModelCheckpoint(folder + "/last.keras"),
            keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: vae.generate(3)),
            tfvae.callbacks.PosteriorCollapse(),
            tfvae.callbacks.Checkpoint(folder + "/checkpoints", every_n_steps=1),
        ],
    }
history = vae.fit(x, batch_size=8, epochs=3, **arguments).history
digest = hashlib.sha256()
for variable in [*vae.variables, *vae.optimizer.variables]:
    digest.update(variable.numpy().tobytes())
print(digest.hexdigest(), [value.hex() for value in history["elbo"]])
"""


@pytest.mark.slow
def test_fresh_processes_give_the_same_bits_however_they_are_watched(tmp_path):
    """Validation, logging, sampling, saving and measuring leave weights and metrics alone."""
    env = os.environ | {"PYTHONPATH": str(pathlib.Path(tfvae.__file__).parent.parent)}

    def bits(how, seed=0):
        result = subprocess.run(
            [sys.executable, "-c", SCRIPT, how, str(tmp_path), str(seed)],
            capture_output=True, text=True, check=True, timeout=200, env=env,
        )  # fmt: skip
        return result.stdout.strip().splitlines()[-1]

    first = bits("alone")
    assert bits("watched") == first
    assert bits("alone", seed=1) != first
