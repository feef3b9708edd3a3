"""A training that is killed and started again is, bit for bit, one that was never interrupted."""

import json
import logging
import os
import shutil
import warnings

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf
from killing import (
    KillAt,
    KilledError,
    assert_equal,
    final_hash,
    killed_and_resumed,
    train,
)

import tfvae
from tfvae.callbacks import Checkpoint, state
from tfvae.models.progress import Progress

EPOCHS = 4


def dense_vae(seed=0):
    """The smallest model, without state but weights."""
    return tfvae.recipes.vae((6,), latent_size=2, units=(4,), seed=seed)


def rich_vae():
    """A model with all that may have state: batch normalisation, dropout, a schedule."""
    with tfvae.random.seeded_initializers(0):
        encoder = keras.Sequential(
            [keras.layers.BatchNormalization(), keras.layers.Dropout(0.5), keras.layers.Dense(4)]
        )
        return tfvae.VAE(
            tfvae.Conditional(encoder, tfvae.Head("Normal", (2,))),
            tfvae.Conditional(keras.layers.Dense(4), tfvae.Head("Bernoulli", (6,))),
            objective=tfvae.objectives.ELBO(beta=tfvae.schedules.Linear(0.0, 1.0, steps=20)),
            seed=0,
        )


def compiled(make=dense_vae, optimizer=None, **how):
    """Returns a function that makes a compiled model."""

    def build():
        model = make()
        model.compile(optimizer() if optimizer else keras.optimizers.SGD(0.1, momentum=0.9), **how)
        return model

    return build


def averaging():
    """An optimizer with slots, a schedule, and averages that overwrite the weights."""
    rate = keras.optimizers.schedules.ExponentialDecay(1e-2, 10, 0.9)
    return keras.optimizers.AdamW(rate, use_ema=True, ema_overwrite_frequency=7)


def shuffled(x):
    return tf.data.Dataset.from_tensor_slices(x).shuffle(61, seed=3).batch(8)


class Batches(keras.utils.PyDataset):
    """Batches in an order that its own count of epochs decides."""

    def __init__(self, rows):
        super().__init__()
        self.rows, self.epoch = rows, 0

    @property
    def num_batches(self):
        return 8

    def __getitem__(self, index):
        return np.roll(self.rows, self.epoch, axis=0)[8 * index : 8 * index + 8]

    def on_epoch_end(self):
        self.epoch += 1


DATA = {
    "arrays": lambda x: {"x": x, "batch_size": 8},
    "arrays in parts": lambda x: {"x": x, "batch_size": 8, "steps_per_epoch": 3},
    "dataset": lambda x: {"x": lambda: shuffled(x)},
    "dataset of unknown cardinality": lambda x: {"x": lambda: shuffled(x).filter(lambda b: True)},
    "endless dataset": lambda x: {"x": lambda: shuffled(x).repeat(), "steps_per_epoch": 5},
    "PyDataset": lambda x: {"x": lambda: Batches(x), "shuffle": False},
}
# In turn: at the first batch, within an epoch, in its end, in its validation, in its beginning.
KILLS = [
    lambda: KillAt(1),
    lambda: KillAt(5, "on_train_batch_begin"),
    lambda: KillAt(1, "on_epoch_end"),
    lambda: KillAt(1, "on_test_batch_end", KeyboardInterrupt),
    lambda: KillAt(3, error=KeyboardInterrupt),
    lambda: KillAt(1, "on_epoch_begin", KeyboardInterrupt),
]


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize("data", DATA)
def test_every_kind_of_data_goes_on_where_it_was(x, data, tmp_path):
    arguments = {"epochs": EPOCHS, "validation_data": x[:10]} | DATA[data](x)
    kills = [kill() for kill in (KILLS if data == "arrays" else KILLS[1::3])]
    expected = train(compiled(), **arguments)
    checkpoint = {"every_n_steps": 2}
    actual = killed_and_resumed(compiled(), tmp_path, kills, checkpoint=checkpoint, **arguments)
    assert_equal(actual, expected)
    assert actual.epochs == list(range(EPOCHS))


class Reading(keras.callbacks.Callback):
    """A user's callback with state of several kinds."""

    def __init__(self):
        super().__init__()
        self.seen, self.best, self.rows = 0, {"elbo": (None, -np.inf)}, np.zeros(3)

    def on_epoch_begin(self, epoch, logs=None):
        self.rows[epoch % 3] += 1 + epoch  # in place

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1

    def on_epoch_end(self, epoch, logs=None):
        self.best["elbo"] = max(self.best["elbo"], (epoch, logs["elbo"]), key=lambda b: b[1])


def others(folder):
    """Callbacks whose state decides how training goes on, and of which Keras keeps none."""
    return [
        keras.callbacks.ReduceLROnPlateau("val_kl", mode="min", min_delta=1.0, patience=1),
        keras.callbacks.ModelCheckpoint(
            str(folder / "best.keras"), "val_elbo", mode="max", save_best_only=True
        ),
        tfvae.callbacks.EarlyStopping(min_delta=9.0, patience=3, restore_best_weights=True),
        Reading(),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 3])
def test_all_state_goes_on(x, steps, tmp_path):
    """Dropout, normalisation, averages, both schedules, and callbacks; also within a block."""
    fit = {"x": x, "batch_size": 8, "epochs": 6, "validation_data": x[:20]}

    def run(folder, kills=None):
        (folder / "best").mkdir(parents=True)
        make = compiled(rich_vae, averaging, steps_per_execution=steps)
        # A rate that a schedule sets cannot be reduced by a plateau.
        more = {"others": lambda: others(folder / "best")[1:]} | fit
        if kills is None:
            return train(make, **more)
        return killed_and_resumed(make, folder / "run", kills, **more)

    expected = run(tmp_path / "expected")
    kills = [KillAt(2), KillAt(1, "on_epoch_end"), KillAt(7 // steps)]
    actual = run(tmp_path / "actual", kills)
    actual.callbacks["states"].pop("ModelCheckpoint/0")  # which has the path
    expected.callbacks["states"].pop("ModelCheckpoint/0")
    assert_equal(actual, expected)


def test_callbacks_go_on_with_what_they_know(x, tmp_path):
    """A plateau and the patience of an early stop that begin before a kill and end after it."""
    fit = {"x": x, "batch_size": 16, "epochs": 9, "validation_data": x[:20]}

    def run(folder, kills=None):
        folder.mkdir()
        more = {"others": lambda: [c for i, c in enumerate(others(folder)) if i != 1]} | fit
        return (
            train(compiled(), **more)
            if kills is None
            else killed_and_resumed(compiled(), folder / "run", kills, **more)
        )

    expected = run(tmp_path / "expected")
    rates = expected.history["learning_rate"]
    assert rates[0] > rates[-1]
    kills = [KillAt(1, "on_epoch_end"), KillAt(2), KillAt(2, "on_epoch_end", KeyboardInterrupt)]
    assert_equal(run(tmp_path / "actual", kills), expected)


def test_ctrl_c_before_the_first_batch_of_an_epoch(x, read, tmp_path):
    """The callbacks have begun the epoch, and begin it once more; what they count is right."""
    fit = {"x": x} | READ
    kill = KillAt(5, "on_train_batch_begin", KeyboardInterrupt)
    assert_equal(killed_and_resumed(compiled(), tmp_path, [kill], **fit), read[0])


def test_an_early_stop_stays_one(x, tmp_path):
    """Killed after the decision to stop, and started again, it trains no more."""
    stop = {"others": lambda: [tfvae.callbacks.EarlyStopping(min_delta=99.0, patience=1)]}
    fit = {"x": x, "batch_size": 16, "epochs": 9, "validation_data": x[:20]} | stop
    expected = train(compiled(), **fit)
    assert expected.epochs == [0, 1]
    actual = killed_and_resumed(compiled(), tmp_path, [KillAt(1, "on_train_end")], **fit)
    assert_equal(actual, expected)


def test_steps_an_execution_may_change(x, tmp_path):
    """One step at a time to step 3, then blocks of three to the end: the same bits."""
    fit = {"x": x, "batch_size": 8, "epochs": 2}
    expected = train(compiled(), **fit)
    with pytest.raises(KilledError):
        train(compiled(), tmp_path, KillAt(5), **fit)
    assert_equal(train(compiled(steps_per_execution=3), tmp_path, **fit), expected)


@pytest.mark.slow
def test_epochs_that_are_no_number_of_blocks_go_on(x, tmp_path):
    """Five batches an epoch in blocks of three, of eight in the data."""
    fit = {"x": x, "batch_size": 8, "epochs": 3, "steps_per_epoch": 5}
    kills = [KillAt(2), KillAt(2, "on_train_batch_begin", KeyboardInterrupt)]
    make = compiled(steps_per_execution=3)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Your input ran out of data")
        expected = train(make, **fit)
        assert_equal(killed_and_resumed(make, tmp_path, kills, **fit), expected)


@pytest.mark.slow
def test_more_epochs_continue_a_training_that_has_ended(x, tmp_path):
    """Keras overwrites the weights by their averages at the end of `fit`; that is undone."""
    make = compiled(dense_vae, averaging)
    fit = {"x": x, "batch_size": 16}
    short, long = (train(make, epochs=n, **fit) for n in (1, 3))
    assert_equal(train(make, tmp_path, epochs=1, **fit), short)
    assert_equal(train(make, tmp_path, epochs=1, **fit), short)  # has nothing to do
    assert_equal(train(make, tmp_path, epochs=3, **fit), long)


def test_a_model_without_a_seed_takes_that_of_the_checkpoint(x, tmp_path):
    starts = []

    def make(seed=None, weights=None):
        model = compiled(lambda: dense_vae(seed))()
        model.build((None, 6))
        if weights is not None:
            model.set_weights(weights)
        starts.append((model.seed, model.get_weights()))
        return model

    fit = {"x": x, "batch_size": 8, "epochs": 2}
    with pytest.raises(KilledError):
        train(make, tmp_path, KillAt(5), **fit)
    actual = train(make, tmp_path, **fit)
    assert starts[0][0] != starts[1][0]
    assert_equal(actual, train(lambda: make(*starts[0]), **fit))


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize("event", ["on_train_batch_end", "on_epoch_end"])
def test_a_log_of_epochs_has_each_of_them_once(x, tmp_path, append, event):
    """Killed within an epoch, and after the row of an epoch that was not saved any more."""

    def log(name):
        return keras.callbacks.CSVLogger(tmp_path / name, append=append)

    fit = {"x": x, "batch_size": 16, "epochs": 4, "validation_data": x[:5], "validation_freq": 2}
    train(compiled(), others=lambda: [log("whole")], **fit)
    kill = KillAt({"on_train_batch_end": 10, "on_epoch_end": 3}[event], event)
    killed = log("log")
    with pytest.raises(KilledError):
        train(compiled(), tmp_path / "run", others=lambda: [killed, kill], **fit)
    killed.csv_file.close()
    train(compiled(), tmp_path / "run", others=lambda: [log("log")], **fit)
    assert (tmp_path / "log").read_text() == (tmp_path / "whole").read_text()


def test_sparse_rows_go_on_in_their_order(x, tmp_path):
    fit = {"x": scipy.sparse.csr_matrix(x), "batch_size": 8, "epochs": 3}
    expected = train(compiled(), **fit)
    assert_equal(killed_and_resumed(compiled(), tmp_path, (5, 7), **fit), expected)


# ---- laws that can fail --------------------------------------------------------------------------


def forgetting(monkeypatch, what):
    """Makes Checkpoint forget a part of what it must restore."""
    if what == "position":
        monkeypatch.setattr(Progress, "go_to", lambda self, position: None)
    elif what == "callbacks":
        monkeypatch.setattr(state, "restore", lambda *_: [])
    else:
        restore = Checkpoint._restore

        def partly(self, arrays, content):
            model = self.model
            kept = {
                "slots": model.optimizer.variables,
                "metrics": [v for m in model.metrics for v in m.variables],
                "batches_seen": [model.batches_seen],
            }[what]
            before = [v.numpy() for v in kept]
            restore(self, arrays, content)
            for variable, value in zip(kept, before, strict=True):
                variable.assign(value)

        monkeypatch.setattr(Checkpoint, "_restore", partly)


READ = {"batch_size": 16, "epochs": 2, "others": lambda: [Reading()]}


@pytest.fixture(scope="module")
def read(x, tmp_path_factory):
    """What a training leaves, and the directory of the same one, killed."""
    directory = tmp_path_factory.mktemp("read") / "run"
    with pytest.raises(KilledError):
        train(compiled(), directory, KillAt(3), x=x, **READ)
    return train(compiled(), x=x, **READ), directory


@pytest.mark.parametrize(
    "what", ["nothing", "position", "slots", "metrics", "batches_seen", "callbacks"]
)
def test_a_checkpoint_that_forgets_is_found_out(x, what, read, tmp_path, monkeypatch):
    expected, directory = read
    shutil.copytree(directory, tmp_path / "run")
    if what == "nothing":
        assert_equal(train(compiled(), tmp_path / "run", x=x, **READ), expected)
        return
    forgetting(monkeypatch, what)
    with pytest.raises((AssertionError, ValueError)):
        assert_equal(train(compiled(), tmp_path / "run", x=x, **READ), expected)


# ---- what does not fit is refused ----------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(x, tmp_path_factory):
    """A directory with three checkpoints of a training that was killed."""
    directory = tmp_path_factory.mktemp("saved") / "run"
    with pytest.raises(KilledError):
        train(compiled(), directory, KillAt(6), x=x, batch_size=16, epochs=3)
    return directory


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def files_of(directory):
    return {p.relative_to(directory): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def changed_row(x):
    rows = np.array(x)
    rows[30, 2] = 1 - rows[30, 2]
    return rows


MISMATCHES = {
    "a value of the data": (lambda x: {"x": changed_row(x)}, "x.sha256: "),
    "a row less": (lambda x: {"x": x[:-1]}, r"x.shape\[0\]: 61 -> 60"),
    "another dtype": (lambda x: {"x": x.astype(bool)}, 'x.dtype: "float32" -> "bool"'),
    "weights of rows": (lambda x: {"x": x, "sample_weight": np.ones(61)}, "x.sample_weight: "),
    "the batch size": (lambda x: {"batch_size": 8}, "arguments.batch_size: 16 -> 8"),
    "no shuffling": (lambda x: {"shuffle": False}, "arguments.shuffle: true -> false"),
    "validation": (lambda x: {"validation_data": x}, "validation_data: null -> "),
    "the learning rate": (
        lambda x: {"make": compiled(optimizer=lambda: keras.optimizers.SGD(0.2, momentum=0.9))},
        "optimizer.config.learning_rate: 0.1",
    ),
    "the optimizer": (
        lambda x: {"make": compiled(optimizer=lambda: keras.optimizers.Adam(0.1))},
        'optimizer.class: "SGD" -> "Adam"',
    ),
    "the seed": (lambda x: {"make": compiled(lambda: dense_vae(1))}, "model.seed: 0 -> 1"),
    "the objective": (
        lambda x: {
            "make": compiled(
                lambda: tfvae.recipes.vae(
                    (6,), latent_size=2, units=(4,), seed=0, objective=tfvae.objectives.ELBO(beta=2)
                )
            )
        },
        "model.objective.config.beta: 1.0 -> 2.0",
    ),
    "the width": (
        lambda x: {"make": compiled(lambda: tfvae.recipes.vae((6,), latent_size=3, seed=0))},
        r"model.encoder.*event_shape\[0\]: 2 -> 3",
    ),
}


@pytest.mark.parametrize("case", MISMATCHES)
def test_another_run_is_refused_with_the_difference(x, case, copy):
    changes, difference = MISMATCHES[case]
    arguments = {"x": x, "batch_size": 16, "epochs": 3} | changes(x)
    make, before = arguments.pop("make", compiled()), files_of(copy)
    with pytest.raises(tfvae.ResumeMismatch, match=difference):
        train(make, copy, **arguments)
    assert files_of(copy).keys() == before.keys()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (lambda x: {"x": (b for b in [x[:8]])}, "must be arrays, .* Received: x of type generator"),
        (lambda x: {"x": Batches(x)}, "`shuffle` must be False .* type Batches"),
    ],
)
def test_data_that_cannot_begin_again_are_refused(x, data, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        train(compiled(), tmp_path, **data(x))


def test_fewer_batches_than_were_seen_are_refused(x, tmp_path):
    def dataset(rows):
        return lambda: tf.data.Dataset.from_tensor_slices(rows).batch(8).filter(lambda b: True)

    with pytest.raises(KilledError):
        train(compiled(), tmp_path, KillAt(6), x=dataset(x))
    with pytest.raises(tfvae.ResumeMismatch, match="fewer batches than the 5"):
        train(compiled(), tmp_path, x=dataset(x[:20]))


def test_resume_is_an_explicit_choice(x, saved, copy, tmp_path, caplog):
    fit = {"x": x, "batch_size": 16, "epochs": 1}
    with pytest.raises(tfvae.ArtifactError, match="must have a checkpoint with resume=True"):
        train(compiled(), tmp_path / "none", checkpoint={"resume": True}, **fit)
    with caplog.at_level(logging.INFO, "tfvae"):
        train(compiled(), tmp_path / "none", **fit)
        train(compiled(), copy, checkpoint={"resume": True}, **fit | {"epochs": 3})
    assert caplog.text.count("training starts anew") == 1
    assert "epoch 2 of 3, 1 batches done" in caplog.text
    anew = train(compiled(), copy, checkpoint={"resume": False}, **fit)
    assert_equal(anew, train(compiled(), **fit))


def test_one_training_at_a_time_has_a_directory(x, tmp_path):
    refused = []

    class Second(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            with pytest.raises(tfvae.ResumeMismatch, match=f"locked by process {os.getpid()}") as e:
                train(compiled(), tmp_path, x=x[:8])
            refused.append(str(e.value))

    train(compiled(), tmp_path, x=x[:8], others=lambda: [Second()])
    assert len(refused) == 1
    train(compiled(), tmp_path, x=x[:8], epochs=2)  # the lock is gone


def test_arguments_are_checked_at_construction():
    for arguments, error in (
        ({"directory": 3}, TypeError),
        ({"directory": "d", "every_n_steps": 0}, ValueError),
        ({"directory": "d", "keep": 1.5}, TypeError),
        ({"directory": "d", "resume": "always"}, ValueError),
    ):
        with pytest.raises(error, match="must be"):
            Checkpoint(**arguments)


def test_a_plain_keras_model_is_refused(tmp_path):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="of a tfvae model"):
        model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0, callbacks=[Checkpoint(tmp_path)])


# ---- processes -----------------------------------------------------------------------------------

SCRIPT = """
import hashlib, json, sys
import keras, numpy as np, tensorflow as tf
sys.path.insert(0, {folder!r})
from killing import KillProcess
import tfvae

directory, kind = sys.argv[1:]
x = (np.random.default_rng(0).random((61, 6)) < 0.4).astype("float32")
vae = tfvae.recipes.vae((6,), latent_size=2, units=(8,), seed=0)
vae.compile(keras.optimizers.Adam(1e-2), steps_per_execution=3 if kind == "blocks" else 1)
callbacks = [KillProcess(), keras.callbacks.ReduceLROnPlateau("kl", mode="min", patience=1)]
if directory != "none":
    callbacks.append(tfvae.callbacks.Checkpoint(directory, every_n_steps=3))
data = {{"x": x, "batch_size": 8}}
if kind == "dataset":
    data = {{"x": tf.data.Dataset.from_tensor_slices(x).shuffle(61, seed=1).batch(8)}}
history = vae.fit(**data, epochs=4, verbose=0, callbacks=callbacks).history
state = hashlib.sha256(json.dumps(history).encode())
for variable in [*vae.variables, *vae.optimizer.variables]:
    state.update(variable.numpy().tobytes())
print(state.hexdigest())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "kills"), [("arrays", (5, 11)), ("dataset", (13,)), ("blocks", (4,))]
)
def test_killed_processes_go_on_to_the_same_bits(kind, kills, tmp_path):
    """SIGKILL, which nothing can catch; the run that is not killed is the third fresh process."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(folder=os.path.dirname(__file__)))
    expected, _ = final_hash(script, "none", kind)
    actual, survived = final_hash(script, tmp_path / "run", kind, kills=kills)
    assert actual == expected
    assert survived == len(kills)
    assert sorted(p.name for p in (tmp_path / "run").iterdir() if "checkpoint" in p.name)[-1]


def test_the_json_of_a_checkpoint_is_plain(saved):
    """Position, fingerprint and callbacks can be read by eye; there is no code in them."""
    [newest] = sorted(saved.glob("checkpoint-*"))[-1:]
    content = json.loads((newest / "manifest.json").read_text())["content"]
    assert (content["position"]["epoch"], content["position"]["done"]) == (1, 1)
    assert content["identity"]["arguments"]["batch_size"] == 16
    with np.load(newest / "state.npz", allow_pickle=False) as arrays:
        assert all(a.dtype.kind in "biufV" for a in arrays.values())
