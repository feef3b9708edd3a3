"""What a loaded model says and how it goes on; as a script, in a process of its own.

Usage: new_process.py FOLDER OUT, with FOLDER/*.keras and their inputs in FOLDER/*.npz.
"""

import sys
from pathlib import Path

import keras
import numpy as np

import tfvae


def outputs(model, inputs):
    """All that a model says about data; the noise of `evaluate` and of `generate` included."""
    numbers = model.evaluate(inputs, batch_size=8, verbose=0)
    draws = model.generate(20, condition=inputs.get("condition"), seed=7, draw=True)
    mean = model.encode(inputs).mean()
    return [mean.numpy(), model.predict(inputs, verbose=0), np.array(numbers), draws.numpy()]


def state(model):
    """All that training changes: weights, counters, optimizer state."""
    return [v.numpy() for v in (*model.weights, *model.optimizer.variables)]


def trained(model, inputs, epochs=1):
    """Trains; returns the losses and the state at the end."""
    history = model.fit(inputs, batch_size=8, epochs=epochs, verbose=0, shuffle=False).history
    return [np.array(history["loss"]), *state(model)]


def fresh_vae():
    """A model that is the same in every process, weights and noise included."""
    model = tfvae.recipes.vae((6,), latent_size=2, units=(8,), seed=3)
    model.compile("adam")
    return model


if __name__ == "__main__":
    folder, out = map(Path, sys.argv[1:])
    for path in folder.glob("*.keras"):
        model, inputs = keras.saving.load_model(path), dict(np.load(path.with_suffix(".npz")))
        np.savez(out / path.stem, *outputs(model, inputs), *trained(model, inputs, epochs=2))
    np.savez(out / "fresh", *trained(fresh_vae(), dict(np.load(folder / "plain.npz"))))
