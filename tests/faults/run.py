"""Kills, corrupts, fills the disk, injects NaN; counts what is lost. `make faults`; some minutes.

Usage: python tests/faults/run.py [--trials N] [--only NAME]. It ends with 1 if anything is lost.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "callbacks"))
from killing import run_script  # noqa: E402

ROOT = HERE.parent.parent
CLEAN = {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


class Outcome:
    """Counts of one kind of fault.

    Attributes:
        tried: Cases.
        survived: Cases after which all that was there before loads, or training goes on.
        bits_different: Cases in which what is loaded differs from what was written.
        files_lost: Files that were there before the fault and are gone or changed after it.
    """

    def __init__(self):
        self.tried = self.survived = self.bits_different = self.files_lost = 0

    def count(self, survived, bits_different=False, files_lost=0):
        """Adds a case."""
        self.tried += 1
        self.survived += bool(survived)
        self.bits_different += bool(bits_different)
        self.files_lost += files_lost

    @property
    def is_clean(self):
        """Whether nothing was lost."""
        return self.tried == self.survived and not self.bits_different and not self.files_lost


def worker(*arguments, **options):
    """Starts a process that does one thing to a folder, see `worker.py`."""
    command = [sys.executable, str(HERE / "worker.py"), *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | CLEAN,
        **options,
    )


def finished(process):
    """Returns what a worker printed as JSON; None if it ended badly."""
    out, err = process.communicate(timeout=300)
    if process.returncode != 0:
        sys.stderr.write(err[-500:])
        return None
    return json.loads(out.strip().splitlines()[-1])


def files_of(folder):
    """Returns the bytes of all files of a folder but what is being written, by path."""
    return {
        p.relative_to(folder): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and ".partial-" not in str(p)
    }


def lost(before, after):
    """Number of files that have changed or gone."""
    return sum(after.get(name) != content for name, content in before.items())


def killed(what, folder, trials):
    """SIGKILL at times spread over a loop that saves, or exports, again and again.

    A model saved before must load as one of those that were written whole.
    """
    outcome, process = Outcome(), worker(what, folder)
    process.stdout.readline()  # it has begun
    for trial in range(trials):
        time.sleep(0.05 + 0.37 * (trial * 0.618 % 1))
        process.kill()
        process.communicate()
        if trial < trials - 1:
            process = worker(what, folder)
        found = finished(worker(f"check-{what}", folder))
        outcome.count(
            survived=found is not None and found["loads"],
            bits_different=found is None or not found["whole"],
        )
        if trial < trials - 1:
            process.stdout.readline()
    return outcome


def kill_saving(folder, trials):
    """A `.keras` file that is overwritten."""
    return killed("save", folder, trials)


def kill_exporting(folder, trials):
    """Versions of a SavedModel."""
    return killed("export", folder, trials)


def kill_checkpointing(folder, trials):
    """Checkpoints that follow each other without a pause."""
    return killed("checkpoint", folder, trials)


def train(folder, kind, kill_at=None):
    """Runs a training in a process; returns its digest, "killed", or None where it failed."""
    result = run_script(HERE / "worker.py", "train", folder, kind, kill_at=kill_at)
    if result.returncode == -9:
        return "killed"
    if result.returncode != 0:
        sys.stderr.write(result.stderr[-500:])
        return None
    return json.loads(result.stdout.strip().splitlines()[-1])


def kill_training(folder, trials):
    """One or two kills at pseudo-random batches; arrays, datasets of known and unknown size."""
    outcome, expected, numbers = Outcome(), {}, np.random.default_rng(0)
    for trial in range(trials):
        kind, run = trial % 3, folder / str(trial)
        if kind not in expected:
            expected[kind] = train(folder / f"whole-{kind}", kind)
        kills = numbers.integers(1, 16, size=1 + trial % 2)  # of 32 batches
        killed = [train(run, kind, kill) == "killed" for kill in kills]
        end = train(run, kind)
        outcome.count(
            survived=all(killed) and end is not None,
            bits_different=end != expected[kind],
            files_lost=len(list(run.glob("bad-*"))),
        )
    return outcome


def corrupt_checkpoint(folder, trials):
    """After a kill the newest checkpoint is damaged: the one before it is used."""
    outcome, numbers = Outcome(), np.random.default_rng(1)
    expected = train(folder / "whole", 0)
    for trial in range(trials):
        run = folder / str(trial)
        killed = train(run, 0, numbers.integers(7, 30)) == "killed"
        newest = max(run.glob("checkpoint-*"))
        path = newest / ("state.npz", "manifest.json")[trial % 2]
        damaged = bytearray(path.read_bytes())
        at = int(numbers.integers(len(damaged)))
        if trial % 4 < 2:
            damaged[at] ^= 1 << int(numbers.integers(8))
        else:
            damaged = damaged[:at]
        path.write_bytes(damaged)
        end = train(run, 0)
        aside = run / f"bad-{newest.name}" / path.name
        outcome.count(
            survived=killed and end is not None,
            bits_different=end != expected,
            files_lost=not aside.exists() or aside.read_bytes() != bytes(damaged),
        )
    return outcome


def full_checkpoint(folder, trials):
    """The disk fills up at some batch, and has room again afterwards."""
    outcome = Outcome()
    for case in finished(worker("full-while-training", folder, trials)) or [None]:
        case = case or {"refused": False, "other": True, "files_lost": 1}
        outcome.count(case["refused"], case["other"], case["files_lost"])
    return outcome


def load_while_saving(folder, trials):
    """A reader gets the old file or the new one, never a mixture and never an error."""
    outcome, writer = Outcome(), worker("save", folder)
    writer.stdout.readline()
    try:
        found = finished(worker("load-while-saving", folder, trials)) or [None]
    finally:
        writer.kill()
        writer.communicate()
    for case in found:
        outcome.count(survived=isinstance(case, bool), bits_different=case is not True)
    return outcome


def full_disk(folder, trials):
    """A limit on the size of files, from nothing up to almost enough."""
    outcome = Outcome()
    found = finished(worker("full-disk", folder, trials))
    for case in found or [None]:
        case = case or {"refused": False, "files_lost": 1}
        outcome.count(case["refused"], files_lost=case["files_lost"])
    return outcome


def corruption(folder, trials):
    """Bits flipped and tails cut in a saved model: found, or without effect; never other bits."""
    outcome = Outcome()
    for case in finished(worker("corrupt", folder, trials)) or [None]:
        outcome.count(case is not None, bits_different=case is None or case == "other")
    return outcome


def nan(folder, trials):
    """NaN in a batch of many, in arrays and streams: the weights are those of the others."""
    outcome = Outcome()
    for case in finished(worker("nan", folder, trials)) or [None]:
        case = case or {"survived": False, "bits_different": True}
        outcome.count(case["survived"], case["bits_different"])
    return outcome


# A kind of fault is a function of (folder, trials) that returns an `Outcome`; add it here.
FAULTS = {
    "kill -9 while saving": kill_saving,
    "kill -9 while exporting": kill_exporting,
    "disk full while saving": full_disk,
    "saved file corrupted": corruption,
    "loading while saving": load_while_saving,
    "kill -9 while training": kill_training,
    "kill -9 while checkpointing": kill_checkpointing,
    "newest checkpoint corrupted": corrupt_checkpoint,
    "disk full while checkpointing": full_checkpoint,
    "NaN in a batch": nan,
}


def main():
    """Runs all kinds of faults and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10, help="cases of each kind")
    parser.add_argument("--only", help="part of the name of a kind")
    arguments = parser.parse_args()
    clean = True
    print(f"{'fault':30} {'tried':>6} {'survived':>9} {'bits different':>15} {'files lost':>11}")
    for name, fault in FAULTS.items():
        if arguments.only and arguments.only not in name:
            continue
        folder = Path(tempfile.mkdtemp(prefix="tfvae-faults-"))
        try:
            o = fault(folder, arguments.trials)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        clean &= o.is_clean
        print(
            f"{name:30} {o.tried:6} {o.survived:9} {o.bits_different:15} {o.files_lost:11}",
            flush=True,
        )
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
