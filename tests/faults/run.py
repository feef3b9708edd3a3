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

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
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
    "NaN in a batch": nan,
}


def main():
    """Runs all kinds of faults and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10, help="cases of each kind")
    parser.add_argument("--only", help="part of the name of a kind")
    arguments = parser.parse_args()
    clean = True
    print(f"{'fault':28} {'tried':>6} {'survived':>9} {'bits different':>15} {'files lost':>11}")
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
            f"{name:28} {o.tried:6} {o.survived:9} {o.bits_different:15} {o.files_lost:11}",
            flush=True,
        )
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
