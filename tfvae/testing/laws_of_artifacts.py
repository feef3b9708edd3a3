"""Laws of the files that a model is written to."""

import os
import subprocess
import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae.models import VAE
from tfvae.testing.law_tools import batch_of, condition_of, require, same_bits, x_of

_LOADER = """
import sys, keras, numpy as np, tfvae
model = keras.saving.load_model(sys.argv[1])
inputs = dict(np.load(sys.argv[2]))
np.save(sys.argv[3], model.predict(inputs, verbose=0))
"""


def saving_restores_it_and_training_goes_on(
    model: Any, data: Any, folder: str, train: bool = True
) -> None:
    """Outputs and, with `train`, the next epoch of a loaded model equal the original's bits."""
    path = os.path.join(folder, "model.keras")
    model.save(path)
    copy = keras.saving.load_model(path)
    same_bits(
        [copy.predict(data, verbose=0)], [model.predict(data, verbose=0)], "loaded predictions"
    )
    results = [m.evaluate(data, verbose=0) for m in (model, copy)]
    require(results[0] == results[1], f"evaluated {results[0]}, loaded {results[1]}")
    if not train:
        return
    losses = [m.fit(data, batch_size=20, shuffle=False, verbose=0).history for m in (model, copy)]
    require(losses[0] == losses[1], f"the next epoch gives {losses[0]}, loaded {losses[1]}")


def a_new_process_loads_it(model: Any, data: Any, folder: str) -> None:
    """A process that imports keras and tfvae alone loads the file and predicts the same.

    Classes of one's own must be importable there to be found; expect this to fail for those of a
    script.
    """
    batch = batch_of(data, 8)
    path, inputs, out = (os.path.join(folder, n) for n in ("new.keras", "inputs.npz", "out.npy"))
    model.save(path)
    np.savez(inputs, **(batch if isinstance(batch, dict) else {"x": batch}))
    process = subprocess.run(
        [sys.executable, "-c", _LOADER, path, inputs, out],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    require(process.returncode == 0, process.stderr.strip().splitlines()[-1:])
    np.testing.assert_allclose(np.load(out), model.predict(batch, verbose=0), rtol=1e-5, atol=1e-6)


def an_export_gives_the_same_numbers(model: Any, data: Any, folder: str) -> None:
    """The SavedModel's `encode` and `decode` give what the model gives.

    Hierarchies and models of data with a mask are refused, and nothing is written.
    """
    batch, path = batch_of(data, 8), os.path.join(folder, "export")
    if not isinstance(model, VAE) or (isinstance(batch, dict) and "mask" in batch):
        try:
            model.export(path, allow_untrained=True)
        except (TypeError, ValueError) as error:
            require("Fix: " in str(error), f"the export is refused without a remedy: {error}")
        require(not os.path.exists(path), "an export of what no signature takes is written")
        return
    signatures = tf.saved_model.load(model.export(path, allow_untrained=True)).signatures
    condition = condition_of(batch)
    beside = {} if condition is None else {"condition": tf.constant(condition, tf.float32)}
    encoded = signatures["encode"](x=tf.constant(x_of(batch), tf.float32), **beside)
    mean = model.encode(batch).mean()
    np.testing.assert_allclose(encoded["mean"], mean, rtol=1e-4, atol=1e-5)
    decoded = signatures["decode"](z=encoded["mean"], **beside)["mean"]
    np.testing.assert_allclose(
        decoded, model.decode(encoded["mean"], condition).mean(), rtol=1e-4, atol=1e-5
    )
