"""What the fault suite does in processes of their own. Usage: worker.py WHAT FOLDER [TRIALS]."""

import json
import os
import resource
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import tfvae

X = (np.random.default_rng(0).random((64, 8)) < 0.4).astype("float32")


def make(units=64):
    model = tfvae.recipes.vae((8,), latent_size=2, units=(units,), seed=0)
    model.compile(keras.optimizers.Adam(1e-3))
    model.encode(X)
    model.optimizer.build(model.trainable_variables)
    return model


def stamp(model, number):
    """Makes all weights say which save they are from."""
    for variable in model.trainable_variables:
        variable.assign(tf.fill(variable.shape, float(number)))


def stamps(model):
    return {float(v) for w in model.trainable_variables for v in np.unique(w.numpy())}


def files_of(folder):
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def save(folder):
    """Saves again and again, until it is killed."""
    model, number = make(units=1024), 1
    while True:
        stamp(model, number)
        model.save(folder / "model.keras")
        if number == 1:
            print("begun", flush=True)
        number += 1


def check_save(folder):
    loaded = keras.saving.load_model(folder / "model.keras")
    return {"loads": True, "whole": len(stamps(loaded)) == 1}


def export(folder):
    """Exports version after version, until it is killed."""
    model, number = make(), 1
    while True:
        stamp(model, 0.01 * number)
        model.export(folder / "export", allow_untrained=True)
        if number == 1:
            print("begun", flush=True)
        number += 1


def check_export(folder):
    versions = sorted(int(p.name) for p in (folder / "export").iterdir() if p.name.isdigit())
    for version in versions[-3:]:  # those of this kill and before it
        loaded = tf.saved_model.load(str(folder / "export" / str(version)))
        mean = loaded.signatures["encode"](x=tf.constant(X))["mean"]
        assert np.isfinite(mean).all()
    return {"loads": bool(versions), "whole": versions == list(range(1, len(versions) + 1))}


def full_disk(folder, trials):
    """Each limit is below what a model needs; the file before it stays."""
    model = make(units=512)
    model.save(folder / "model.keras")
    size, before, found = (folder / "model.keras").stat().st_size, files_of(folder), []
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    # Python ignores SIGXFSZ: a write beyond the limit is EFBIG, as on a full disk ENOSPC.
    for trial in range(trials):
        stamp(model, trial)
        limit, refused = int(size * trial / trials), False
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            model.save(folder / "model.keras")
        except tfvae.ArtifactError:
            refused = True
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        after = files_of(folder)
        gone = sum(after.get(name) != content for name, content in before.items())
        found.append({"refused": refused, "files_lost": gone + len(after) - len(before)})
    return found


def corrupt(folder, trials):
    """For each damage: "refused", "same" (it had no effect) or "other" (other bits were loaded)."""
    model = make()
    path = folder / "model.keras"
    model.save(path)
    whole, weights = path.read_bytes(), model.get_weights()
    numbers, found = np.random.default_rng(0), []
    for trial in range(10 * trials):
        damaged = bytearray(whole)
        at = int(numbers.integers(len(whole)))
        if trial % 4 == 0:
            damaged = damaged[:at]
        else:
            damaged[at] ^= 1 << int(numbers.integers(8))
        path.write_bytes(damaged)
        try:
            loaded = keras.saving.load_model(path).get_weights()
            equal = all(np.array_equal(a, b) for a, b in zip(loaded, weights, strict=True))
            found.append("same" if equal else "other")
        except Exception:  # whatever damage does to a zip, its JSON or its HDF5
            found.append("refused")
    return found


def nan(folder, trials):
    """A NaN in batch `trial` of an array, a block or a stream."""
    found = []
    for trial in range(trials):
        bad, steps = X.copy(), (1, 4)[trial % 2]
        bad[8 * (trial % 8) + 3, trial % 8] = (np.nan, np.inf)[trial // 2 % 2]
        good = np.delete(X, slice(8 * (trial % 8), 8 * (trial % 8) + 8), axis=0)
        guarded, refusing = make(), make()
        guarded.check_data = False
        guarded.compile(keras.optimizers.SGD(0.1), steps_per_execution=steps)
        guarded.fit(bad, batch_size=8, shuffle=False, verbose=0)
        finite = all(np.isfinite(v.numpy()).all() for v in guarded.variables)
        skipped = int(guarded.updates_skipped.numpy()) == 1
        updates = int(guarded.optimizer.iterations.numpy()) == len(good) // 8
        before = [v.numpy() for v in refusing.variables]
        try:
            refusing.fit(bad, batch_size=8, verbose=0)
            refused = False
        except tfvae.DataError:
            refused = True
        same = all(
            np.array_equal(v.numpy(), b) for v, b in zip(refusing.variables, before, strict=True)
        )
        survived = finite and skipped and updates and refused
        found.append({"survived": survived, "bits_different": not same})
    return found


if __name__ == "__main__":
    what, folder, *rest = sys.argv[1:]
    result = globals()[what.replace("-", "_")](Path(folder), *map(int, rest))
    print(json.dumps(result))
    sys.stdout.flush()
    os._exit(0)
