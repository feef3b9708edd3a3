"""Trainings that are killed and started again, to be compared with one that is not.

In this process, a kill is an exception of a callback, and a start is a new model; of a script, it
is SIGKILL at a batch, and a new process.
"""

import json
import os
import pathlib
import subprocess
import sys
from typing import NamedTuple

import keras
import numpy as np

import tfvae
from tfvae.callbacks import state


class KilledError(Exception):
    """Ends a training as a kill does: nothing is saved by it."""


class Ended(NamedTuple):
    """What is left of a training that ran to its end."""

    variables: list
    history: dict
    epochs: list
    callbacks: dict


class KillAt(keras.callbacks.Callback):
    """Ends a training at the n-th event of a kind that it sees."""

    stateless = True

    def __init__(self, number, event="on_train_batch_end", error=KilledError):
        super().__init__()
        self.left = number

        def count(*_, **__):
            self.left -= 1
            if self.left == 0:
                raise error

        setattr(self, event, count)


def ended(model, callbacks=()):
    """Returns all that a training leaves: variables, history, state of callbacks."""
    variables = [*model.variables, *model.optimizer.variables]
    variables += [v for metric in model.metrics for v in metric.variables]
    states, arrays = state.states_of(list(callbacks))
    states = json.loads(json.dumps(states))
    for attributes in states.values():
        attributes.pop("monitor_op", None)  # of Keras: None until an epoch has ended
    return Ended(
        [v.numpy() for v in variables],
        model.history.history,
        model.history.epoch,
        {"states": states, "arrays": [np.array(a) for a in arrays]},
    )


def assert_equal(actual, expected):
    """Bit for bit."""
    assert actual.epochs == expected.epochs
    assert actual.history == expected.history
    for a, e in zip(actual.variables, expected.variables, strict=True):
        np.testing.assert_array_equal(a, e, strict=True)
    assert actual.callbacks["states"] == expected.callbacks["states"]
    for a, e in zip(actual.callbacks["arrays"], expected.callbacks["arrays"], strict=True):
        np.testing.assert_array_equal(a, e, strict=True)


def train(make, directory=None, kill=None, others=tuple, **arguments):
    """Trains a new model, from a directory's checkpoint if there is one.

    Args:
        make: Returns a compiled model.
        directory: Of the checkpoints, or None for none; `every` is their interval.
        kill: A `KillAt`, or None.
        others: Returns the other callbacks.
        **arguments: Those of `fit`, and of Checkpoint under `checkpoint`.
    """
    checkpoint = {"every_n_steps": 1} | arguments.pop("checkpoint", {})
    others, model = list(others()), make()
    callbacks = [kill] * (kill is not None) + others
    if directory is not None:
        # First, where it would save before the others have done their part.
        callbacks.insert(0, tfvae.callbacks.Checkpoint(directory, **checkpoint))
    data = arguments.pop("x")
    x = data() if callable(data) else data
    model.fit(x, **{"verbose": 0, "callbacks": callbacks} | arguments)
    return ended(model, others)


def killed_and_resumed(make, directory, kills, **arguments):
    """Trains with a kill at each of some numbers of events, and then to the end."""
    for kill in kills:
        try:
            train(make, directory, kill if isinstance(kill, KillAt) else KillAt(kill), **arguments)
        except (KilledError, KeyboardInterrupt):
            continue
        raise AssertionError(f"not killed: {kill}")
    return train(make, directory, **arguments)


def run_script(script, *arguments, kill_at=None, timeout=300):
    """Runs a script in a process of its own; it kills itself by SIGKILL at a batch.

    The script calls `kill_here` of this module in a callback, with the environment's KILL_AT.
    """
    root = pathlib.Path(tfvae.__file__).parent.parent
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")])}
    env.pop("KILL_AT", None)
    if kill_at is not None:
        env["KILL_AT"] = str(kill_at)
    return subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        capture_output=True, text=True, timeout=timeout, check=False, env=env,
    )  # fmt: skip


def final_hash(script, *arguments, kills=(), **options):
    """Runs a script that is killed at each of some batches, then to its end.

    Returns:
        The last line that it prints, and the number of kills that it survived.
    """
    survived = 0
    for kill_at in kills:
        result = run_script(script, *arguments, kill_at=kill_at, **options)
        if result.returncode == -9:
            survived += 1
        else:
            assert result.returncode == 0, result.stderr[-2000:]
    result = run_script(script, *arguments, **options)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout.strip().splitlines()[-1], survived


class KillProcess(keras.callbacks.Callback):
    """Kills its process, without a chance to clean up, at the batch that KILL_AT says."""

    stateless = True

    def __init__(self):
        super().__init__()
        self.left = int(os.environ.get("KILL_AT", 0))

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), 9)
