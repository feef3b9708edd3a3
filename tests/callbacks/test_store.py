"""Checkpoints on a disk that fails: written whole, read only if whole, and never too many."""

import errno
import os
import shutil
import subprocess
import sys
import threading

import ml_dtypes
import numpy as np
import pytest

import tfvae
from tfvae.callbacks import store as module
from tfvae.callbacks.store import Store


def arrays(number):
    rng = np.random.default_rng(number)
    return [rng.normal(size=(3, 4)).astype("float32"), np.int64(number), np.array([True, False])]


@pytest.fixture
def store(tmp_path):
    """Three checkpoints, of which each has its number inside."""
    store = Store(tmp_path / "run", keep=3)
    for number in (1, 2, 3):
        store.save(arrays(number), {"number": number})
    return store


def names(store):
    return sorted(p.name for p in store.directory.iterdir())


def number_of(found):
    return found[1]["number"]


def test_what_is_read_is_what_was_written(store):
    found, content, name = store.newest()
    assert (content["number"], name) == (3, "checkpoint-000003")
    for a, b in zip(found, arrays(3), strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


def test_half_precision_is_kept(tmp_path):
    store = Store(tmp_path, keep=1)
    value = np.array([1.5, -2.25], ml_dtypes.bfloat16)
    store.save([value], {})
    [found] = store.newest()[0]
    assert found.dtype == value.dtype
    np.testing.assert_array_equal(found, value)


def test_the_newest_few_stay(store):
    for number in range(4, 50):
        store.save(arrays(number), {"number": number})
    assert names(store) == ["checkpoint-000047", "checkpoint-000048", "checkpoint-000049"]


def flips(path):
    """Damages of a file: each a single bit, at about sixty places, and truncations."""
    whole = path.read_bytes()
    for place in sorted({*range(0, len(whole), max(len(whole) // 60, 1)), len(whole) - 1}):
        for bit in (0, 7):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            yield bytes(damaged)
    for length in {0, 1, len(whole) // 2, len(whole) - 1}:
        yield whole[:length]
    yield whole + b"\0"


@pytest.mark.parametrize("name", ["state.npz", "manifest.json"])
def test_every_damage_is_found(store, name):
    """The one before is used, and the damaged one is set aside, not deleted."""
    path = store.directory / "checkpoint-000003" / name
    whole, tried = path.read_bytes(), 0
    for damaged in flips(path):
        path.write_bytes(damaged)
        assert number_of(store.newest()) == 2, (tried, damaged[:20])
        bad = store.directory / "bad-checkpoint-000003"
        assert (bad / name).read_bytes() == damaged
        bad.rename(store.directory / "checkpoint-000003")
        tried += 1
    assert tried > 100
    path.write_bytes(whole)
    assert number_of(store.newest()) == 3


def test_the_check_of_damage_can_fail(store, monkeypatch):
    """Without checksums, most flips of a bit in the arrays pass: numpy reads what is there."""
    monkeypatch.setattr(module, "_seal", lambda path: "no seal")
    unsealed = Store(store.directory, keep=3)
    unsealed.save(arrays(4), {"number": 4})
    path = unsealed.directory / "checkpoint-000004" / "manifest.json"
    monkeypatch.setattr(module, "_sealed_text", lambda content: path.read_bytes())
    path.write_bytes(path.read_bytes().replace(b'"number": 4', b'"number": 5'))
    assert number_of(unsealed.newest()) == 5


@pytest.mark.parametrize("name", ["state.npz", "manifest.json"])
def test_a_missing_file_is_damage(store, name):
    (store.directory / "checkpoint-000003" / name).unlink()
    assert number_of(store.newest()) == 2
    assert names(store)[0] == "bad-checkpoint-000003"
    store.save(arrays(4), {"number": 4})
    assert number_of(store.newest()) == 4
    assert names(store)[1:] == ["checkpoint-000001", "checkpoint-000002", "checkpoint-000004"]


def test_with_all_damaged_nothing_is_touched(store):
    for path in store.directory.glob("*/state.npz"):
        path.write_bytes(b"PK")
    before = names(store)
    for _ in range(2):
        with pytest.raises(tfvae.ArtifactError, match="000003: state.npz has 2 bytes .*000001"):
            store.newest()
    assert names(store) == before


def test_a_newer_format_is_not_read(store, monkeypatch):
    monkeypatch.setattr(module, "FORMAT", 2)
    store.save(arrays(4), {"number": 4})
    monkeypatch.undo()
    assert number_of(store.newest()) == 3


def test_what_a_killed_process_left_is_cleaned_at_the_next_save(store):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    left = store.directory / f".partial-{process.pid}"
    running = store.directory / f".partial-{os.getppid()}"
    for path in (left, running):
        path.mkdir()
        (path / "state.npz").write_bytes(b"half")
    assert number_of(store.newest()) == 3
    store.save(arrays(4), {"number": 4})
    assert not left.exists()
    assert running.exists()


def test_a_moved_directory_is_read(store, tmp_path):
    shutil.move(store.directory, tmp_path / "elsewhere")
    assert number_of(Store(tmp_path / "elsewhere", keep=3).newest()) == 3


@pytest.mark.parametrize("where", ["write", "fsync", "rename"])
def test_a_full_disk_is_a_sentence_and_loses_nothing(store, where, monkeypatch):
    before = {p: p.read_bytes() for p in store.directory.rglob("*") if p.is_file()}

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    owner, name = {"write": (np, "savez"), "fsync": (os, "fsync"), "rename": (os, "rename")}[where]
    monkeypatch.setattr(owner, name, full)
    with pytest.raises(tfvae.ArtifactError, match="must have room.*No space left.*Fix: free"):
        store.save(arrays(4), {"number": 4})
    monkeypatch.undo()
    assert {p: p.read_bytes() for p in store.directory.rglob("*") if p.is_file()} == before
    assert names(store) == ["checkpoint-000001", "checkpoint-000002", "checkpoint-000003"]


LIMITED = """
import resource, signal, sys
import numpy as np
from tfvae.callbacks.store import Store
store = Store(sys.argv[1], keep=3)
store.save([np.zeros(1000)], {"number": 1})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    store.save([np.zeros(100_000)], {"number": 2})
except OSError as error:
    print(type(error).__name__, "File too large" in str(error))
print(store.newest()[1]["number"], sorted(p.name for p in store.directory.iterdir()))
"""


@pytest.mark.slow
def test_a_file_size_limit_is_met_as_a_full_disk_is(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path / "run"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert result.stdout.splitlines()[-2:] == ["ArtifactError True", "1 ['checkpoint-000001']"]


def test_an_unwritable_directory_is_an_artifact_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(tfvae.ArtifactError, match="must be writable"):
        Store(tmp_path / "file" / "run", keep=1).lock()


# ---- loss of power ------------------------------------------------------------------------------


class Disk:
    """Records what a loss of power may leave of a folder at each moment.

    What was synchronised is there: of a file its bytes, of a directory its names. The rest may be
    there, in whole or in half, or not.
    """

    def __init__(self, root, monkeypatch):
        self.root, self.states = root, []
        self.folders, self.files = self.now()
        self.seen = dict(self.files)
        sync, rename = os.fsync, os.rename

        def fsync(descriptor):
            sync(descriptor)
            inode = os.fstat(descriptor).st_ino
            for known, now in zip((self.folders, self.files), self.now(), strict=True):
                known.update({inode: now[inode]} if inode in now else {})
            self.record()

        def moved(source, target):
            self.record()
            rename(source, target)
            self.record()

        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "rename", moved)

    def now(self):
        """Returns the names in each directory, and the bytes of each file, by inode."""
        paths = [self.root, *self.root.rglob("*")]
        folders = {
            p.stat().st_ino: {c.name: c.stat().st_ino for c in p.iterdir()}
            for p in paths
            if p.is_dir()
        }
        return folders, {p.stat().st_ino: p.read_bytes() for p in paths if p.is_file()}

    def record(self):
        folders, files = self.now()
        self.seen |= files
        for names in (self.folders, folders):
            for share in (0.0, 0.5, 1.0):
                self.states.append(dict(self.left(names, self.root.stat().st_ino, share)))

    def left(self, names, inode, share, within=""):
        for name, child in names.get(inode, {}).items():
            path = os.path.join(within, name)
            if child in self.seen:
                whole = self.seen[child]
                yield path, self.files.get(child, whole[: int(share * len(whole))])
            else:
                yield from self.left(names, child, share, path)


def numbers_after_loss_of_power(tmp_path, monkeypatch):
    """Returns which checkpoint is found after each loss of power in a save, and after it."""
    store = Store(tmp_path / "run", keep=1)
    store.save(arrays(1), {"number": 1})
    with monkeypatch.context() as patch:
        disk = Disk(tmp_path / "run", patch)
        store.save(arrays(2), {"number": 2})
        during = len(disk.states)
        disk.record()
    found = []
    for i, state in enumerate(disk.states):
        folder = tmp_path / f"state-{i}"
        for name, content in state.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        found.append(number_of(Store(folder, keep=1).newest()))
    return found[:during], found[during:]


def test_a_loss_of_power_leaves_the_old_or_the_new(tmp_path, monkeypatch):
    """With one checkpoint to keep: the old one is there until the new one is safe."""
    during, after = numbers_after_loss_of_power(tmp_path, monkeypatch)
    assert set(during) == {1, 2}
    assert set(after) == {2}


@pytest.mark.parametrize("forgotten", ["_synchronise", "_synchronise_directory"])
def test_what_is_not_synchronised_is_lost(tmp_path, monkeypatch, forgotten):
    monkeypatch.setattr(module, forgotten, lambda *_: None)
    with pytest.raises((tfvae.ArtifactError, AssertionError)):
        test_a_loss_of_power_leaves_the_old_or_the_new(tmp_path, monkeypatch)


def test_a_reader_gets_the_old_or_the_new_while_another_writes(tmp_path):
    store, number = Store(tmp_path / "run", keep=1), 60
    store.save(arrays(0), {"number": 0})

    def write():
        for i in range(1, number + 1):
            store.save(arrays(i), {"number": i})

    writer, found = threading.Thread(target=write), [0]
    writer.start()
    while found[-1] < number:
        read, content, _ = Store(tmp_path / "run", keep=1).newest()
        assert read[1] == content["number"]
        found.append(content["number"])
    writer.join()
    assert found == sorted(found)
    assert len(set(found)) > 2
    assert not list((tmp_path / "run").glob("bad-*"))
