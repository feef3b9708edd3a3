"""What the fault suite does in processes of their own. Usage: worker.py WHAT FOLDER [TRIALS]."""

import hashlib
import json
import os
import resource
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import tfvae
from tfvae.callbacks.store import Store

sys.path.insert(0, str(Path(__file__).parent.parent / "callbacks"))
from killing import KillProcess  # noqa: E402

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
    for trial in range(trials):
        stamp(model, trial)
        refused = False
        limit_size(int(size * trial / trials))
        try:
            model.save(folder / "model.keras")
        except tfvae.ArtifactError:
            refused = True
        finally:
            limit_size()
        after = files_of(folder)
        gone = sum(after.get(name) != content for name, content in before.items())
        found.append({"refused": refused, "files_lost": gone + len(after) - len(before)})
    return found


def data_of(kind):
    """Arrays, or datasets of known and of unknown cardinality."""
    if kind == 0:
        return {"x": X, "batch_size": 8}
    dataset = tf.data.Dataset.from_tensor_slices(X).shuffle(64, seed=1).batch(8)
    return {"x": dataset if kind == 1 else dataset.filter(lambda batch: True)}


def trained(folder, kind, *callbacks):
    """Trains 4 epochs of 8 batches, from a checkpoint if there is one; returns a digest of all."""
    objective = tfvae.objectives.ELBO(beta=tfvae.schedules.Linear(0.0, 1.0, steps=20))
    model = tfvae.recipes.vae((8,), latent_size=2, units=(8,), seed=0, objective=objective)
    model.compile(keras.optimizers.Adam(1e-2))
    plateau = keras.callbacks.ReduceLROnPlateau("kl", mode="min", patience=1)
    checkpoint = tfvae.callbacks.Checkpoint(folder, every_n_steps=3)
    history = model.fit(
        **data_of(kind), epochs=4, verbose=0, callbacks=[*callbacks, plateau, checkpoint]
    ).history
    digest = hashlib.sha256(json.dumps(history).encode())
    for variable in [*model.variables, *model.optimizer.variables]:
        digest.update(variable.numpy().tobytes())
    return digest.hexdigest()


def train(folder, kind):
    """Trains; kills itself at the batch that the environment's KILL_AT says."""
    return trained(folder, kind, KillProcess())


class Fill(keras.callbacks.Callback):
    """Limits the size of files from some batch on, and keeps what there was by then."""

    stateless = True

    def __init__(self, folder, batch, limit):
        super().__init__()
        self.folder, self.left, self.limit, self.before = folder, batch, limit, {}

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            self.before = files_of(self.folder)
            limit_size(self.limit)


def limit_size(limit=None):
    """Python ignores SIGXFSZ: a write beyond the limit is EFBIG, as on a full disk ENOSPC."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard if limit is None else limit, hard))


def full_while_training(folder, trials):
    """The limit falls at some batch; when it is gone, training goes on."""
    expected, found = trained(folder / "whole", 0), []
    size = max(p.stat().st_size for p in folder.rglob("state.npz"))
    for trial in range(trials):
        run, refused = folder / str(trial), False
        fill = Fill(run, 5 + 7 * trial % 23, size * trial // trials)
        try:
            trained(run, 0, fill)
        except tfvae.ArtifactError:
            refused = True
        finally:
            limit_size()
        after = files_of(run)
        gone = sum(after.get(name) != content for name, content in fill.before.items())
        other = trained(run, 0) != expected
        found.append({"refused": refused and bool(fill.before), "files_lost": gone, "other": other})
    return found


def checkpoint(folder):
    """Writes checkpoints, in each of which all numbers are that of the checkpoint, until killed."""
    store = Store(folder / "run", keep=3)
    found = store.newest()
    first = number = 1 if found is None else 1 + found[1]["number"]
    while True:
        store.save([np.full(500_000, number), np.full((3, 4), number)], {"number": number})
        if number == first:
            print("begun", flush=True)
        number += 1


def check_checkpoint(folder):
    arrays, content, _ = Store(folder / "run", keep=3).newest()
    values = {int(v) for a in arrays for v in np.unique(a)}
    is_torn = bool(list((folder / "run").glob("bad-*")))
    return {"loads": True, "whole": values == {content["number"]} and not is_torn}


def load_while_saving(folder, trials):
    """Loads a model file that another process saves again and again."""
    found = []
    for _ in range(5 * trials):
        try:
            found.append(check_save(folder)["whole"])
        except Exception as error:
            found.append(str(error)[:100])
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
