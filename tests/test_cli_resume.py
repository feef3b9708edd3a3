"""`tfvae train --resume`: a run that was stopped goes on to what it would have been."""

import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from test_cli import files_of, run_here

import tfvae
from tfvae.cli.terminal import Progress

OPTIONS = ["--epochs", "3", "--set", "units=[8]", "--latent-size", "2", "--num-samples", "5"]
OPTIONS += ["--batch-size", "16", "--seed", "3"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "rows.npy"
    np.save(path, (np.random.default_rng(0).random((100, 4)) < 0.4).astype("float32"))
    return path


def train(data, out, *more):
    return run_here("train", "vae", "--data", data, "--out", out, *OPTIONS, *more)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A run that nothing stopped."""
    directory = tmp_path_factory.mktemp("runs") / "whole"
    assert train(data, directory).code == 0
    return directory


def send_at(monkeypatch, number, batch):
    """Makes a process send itself a signal at a batch, counted over epochs."""
    seen = []

    def on_train_batch_end(self, index, logs=None):
        seen.append(index)
        if len(seen) == batch:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Progress, "on_train_batch_end", on_train_batch_end)
    monkeypatch.setattr("tfvae.models.automatic.MOST_STEPS", 1)  # so that it sees each batch


def contents(directory):
    names = ("config.json", "history.json", "metrics.json")
    return {name: (directory / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def stopped(data, tmp_path_factory):
    """A run that SIGTERM stopped in its second epoch, and how it ended."""
    directory = tmp_path_factory.mktemp("runs") / "with space" / "stopped"
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.MonkeyPatch.context() as monkeypatch:
        send_at(monkeypatch, signal.SIGTERM, 8)
        result = train(data, directory)
    assert handlers == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    return directory, result


def test_a_stopped_training_is_saved_and_says_how_to_go_on(stopped, whole):
    directory, result = stopped
    assert result.code == 75
    assert result.out == ""
    last = result.err.splitlines()[-1]
    assert last.startswith("error: interrupted; the training is saved. Go on with: tfvae train")
    command = shlex.split(last.split("Go on with: ")[1])
    assert command == ["tfvae", "train", "--resume", "--out", str(directory)]
    assert not (directory / "model.keras").exists()


def test_a_run_that_has_not_ended_is_not_begun_again(stopped, data):
    before = files_of(stopped[0])
    result = train(data, stopped[0])
    assert result.code == 2
    assert "--resume to go on with this run" in result.err
    assert files_of(stopped[0]) == before


REFUSED = {
    "other options": (["--epochs", "4", "--seed", "5"], 6, "epochs 3 -> 4; seed 3 -> 5"),
    "another recipe": (["conditional_vae"], 6, "recipe vae -> conditional_vae"),
    "another width": (["--set", "units=[9]"], 6, "units [8] -> [9]"),
    "other data": (["--data", "digits"], 6, "`--data` must be those of the run"),
    "an unknown setting": (["--set", "unit=[9]"], 2, "Did you mean 'units'"),
}


@pytest.mark.parametrize(("more", "code", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_differs_is_refused(stopped, more, code, sentence):
    before = files_of(stopped[0])
    result = run_here("train", "--resume", "--out", stopped[0], *more)
    assert result.code == code, result.err
    assert sentence in result.err
    assert files_of(stopped[0]) == before


def test_a_resumed_run_is_the_run_that_nothing_stopped(stopped, whole, monkeypatch):
    """Stopped once more on its way, by Ctrl-C; all its files have the same bytes."""
    directory, _ = stopped
    with monkeypatch.context() as patch:
        send_at(patch, signal.SIGINT, 3)
        assert run_here("train", "--resume", "--out", directory).code == 75
    result = run_here("train", "--resume", "--out", directory, *OPTIONS)
    assert result.code == 0, result.err
    assert contents(directory) == contents(whole)
    assert not (directory / "checkpoints").exists()
    again = run_here("train", "--resume", "--out", directory, "--json")
    assert again.code == 0
    content = json.loads(again.out)
    assert content["metrics"] == json.loads((whole / "metrics.json").read_text())
    assert "had ended before" in content["notes"][0]


def test_a_stop_while_results_are_written_is_resumed_too(whole, data, tmp_path, monkeypatch):
    directory = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("tfvae.cli.commands.measure", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        assert train(data, directory).code == 75
    assert run_here("train", "--resume", "--out", directory).code == 0
    assert contents(directory) == contents(whole)


def test_there_must_be_a_run_to_go_on_with(tmp_path):
    result = run_here("train", "--resume", "--out", tmp_path / "absent")
    assert result.code == 4
    assert "`DIR` must be a directory that `tfvae train` made" in result.err
    result = run_here("train", "--out", tmp_path / "absent")
    assert result.code == 2
    assert "it must be given, without --resume" in result.err


def test_a_full_disk_ends_with_4_and_is_resumed(whole, data, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tfvae.callbacks.store.np.savez", full)
        result = train(data, tmp_path / "run")
    assert result.code == 4
    assert "No space left on device" in result.err
    assert run_here("train", "--resume", "--out", tmp_path / "run").code == 0
    assert contents(tmp_path / "run") == contents(whole)


@pytest.mark.slow
def test_a_process_is_stopped_by_signals(data, tmp_path):
    """The first saves, and the command that it prints goes on; a second ends it at once."""
    root = str(pathlib.Path(tfvae.__file__).parent.parent)
    command = [sys.executable, "-m", "tfvae_cli", "train", "vae", "--data", str(data)]
    command += ["--out", str(tmp_path / "run"), *OPTIONS, "--epochs", "1000000"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": root},
    )  # fmt: skip
    guard = threading.Timer(200, process.kill)
    guard.start()
    for line in process.stderr:
        if line.startswith("epoch       2"):
            break
    sent = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    guard.cancel()
    assert process.returncode == 75
    assert "Go on with: tfvae train --resume" in err
    assert time.monotonic() - sent < 60
    [newest] = sorted((tmp_path / "run" / "checkpoints").glob("checkpoint-*"))[-1:]
    content = json.loads((newest / "manifest.json").read_text())["content"]
    assert content["position"]["epoch"] >= 1
