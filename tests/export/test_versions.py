"""A version is published whole or not at all, and never touched again."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae.errors import ArtifactError
from tfvae.export.directory import partial_directory, publish

exporting = sys.modules["tfvae.export.saved_model"]
STAGES = ["check_graph", "_verify", "write_warm_up", "write_manifest", "publish"]


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def versions(base):
    return sorted(name for name in os.listdir(base) if name.isdigit())


@pytest.fixture
def quick(base, loaded, monkeypatch):
    """Makes the slow stages of an export, tracing and loading, a copy of what they have given."""

    def write_graph(model, served, directory, preprocessing=None):
        shutil.copytree(base / "1", directory, ignore=shutil.ignore_patterns("assets.extra"))

    def verify(directory, served, endpoints):
        return {name: loaded.signatures[name].structured_outputs for name in served}

    monkeypatch.setattr(exporting, "write_graph", write_graph)
    monkeypatch.setattr(exporting, "_verify", verify)


def test_versions_count_up_and_stay(model, loaded, truth, base, requests):
    before = contents(base / "1")
    assert {str(p) for p in before} >= {"saved_model.pb", "variables/variables.index"}
    bias = model.encoder.head.projection.bias
    bias.assign_add([3.0, 3.0])
    try:
        assert tfvae.export.saved_model(model, str(base), allow_untrained=True) == str(base / "2")
    finally:
        bias.assign(truth.c)
    assert contents(base / "1") == before
    x = tf.constant(requests["encode"]["x"])
    other = tf.saved_model.load(str(base / "2")).signatures["encode"](x=x)["mean"]
    np.testing.assert_allclose(other - loaded.signatures["encode"](x=x)["mean"], 3.0, rtol=1e-5)
    shutil.rmtree(base / "2")


def test_the_next_version_is_one_above_the_largest(model, quick, tmp_path):
    for name in ("9", "notes", "x10"):
        (tmp_path / name).mkdir()
    assert model.export(tmp_path, allow_untrained=True) == str(tmp_path / "10")
    assert sorted(os.listdir(tmp_path)) == ["10", "9", "notes", "x10"]


def test_a_version_that_appears_meanwhile_is_not_overwritten(model, quick, tmp_path, monkeypatch):
    rename = os.rename

    def rename_late(source, target):
        monkeypatch.setattr(os, "rename", rename)
        os.makedirs(os.path.join(target, "of somebody else"))
        rename(source, target)

    monkeypatch.setattr(os, "rename", rename_late)
    assert model.export(tmp_path, allow_untrained=True) == str(tmp_path / "2")
    assert os.listdir(tmp_path / "1") == ["of somebody else"]


def test_the_manifest_says_what_lies_there(base, model, loaded):
    manifest = json.loads((base / "1" / "assets.extra" / "manifest.json").read_text())
    files = {str(p.relative_to(base / "1")): p for p in (base / "1").rglob("*") if p.is_file()}
    assert set(manifest["sha256"]) == set(files) - {"assets.extra/manifest.json"}
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == digest
    assert set(manifest["signatures"]) == set(loaded.signatures)
    for name, described in manifest["signatures"].items():
        specs = loaded.signatures[name].structured_input_signature[1]
        assert set(described["inputs"]) == set(specs)
        for key, entry in described["inputs"].items():
            assert entry["dtype"] == specs[key].dtype.name
            assert entry["shape"] == [-1, *specs[key].shape[1:]]
        assert set(described["outputs"]) == set(loaded.signatures[name].structured_outputs)
    assert manifest["signatures"]["elbo"]["outputs"]["elbo"]["unit"] == "nats"
    assert manifest["versions"]["tensorflow"] == tf.__version__
    assert manifest["num_weights"] == model.count_params()


# ---- faults --------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(28, "No space left on device"), ArtifactError),
        (tf.errors.ResourceExhaustedError(None, None, "disk"), ArtifactError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["full", "full in TensorFlow", "interrupted"],
)
def test_a_failure_leaves_nothing_behind(model, quick, tmp_path, monkeypatch, stage, error, raised):
    seen = []

    def fail(*arguments):
        seen.extend(os.listdir(tmp_path))
        raise error

    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"earlier")
    before = contents(tmp_path / "1")
    monkeypatch.setattr(exporting, stage, fail)
    with pytest.raises(raised):
        model.export(tmp_path, allow_untrained=True)
    partial = set(seen) - {"1"}
    assert len(partial) == 1
    assert not partial.pop().isdigit()  # what a server that polls would have seen
    assert os.listdir(tmp_path) == ["1"]
    assert contents(tmp_path / "1") == before


def test_a_disk_that_fills_up_is_named(model, quick, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ArtifactError, match="`path` must be a writable.*No space left on device"):
        model.export(tmp_path, allow_untrained=True)
    assert os.listdir(tmp_path) == []


def test_a_directory_that_cannot_be_written_is_refused(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="`path` must be a writable directory"):
        model.export(tmp_path / "file", allow_untrained=True)
    if os.geteuid() == 0:
        return  # the superuser writes anywhere
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(ArtifactError, match="Permission denied"):
        model.export(tmp_path / "closed", allow_untrained=True)


KILLED = """
import os, signal, sys
import tfvae
import numpy as np
stage, path = sys.argv[1:]
exporting = sys.modules["tfvae.export.saved_model"]
owner = os if stage in ("fsync", "rename") else exporting
setattr(owner, stage, lambda *arguments: os.kill(os.getpid(), signal.SIGKILL))
model = tfvae.recipes.vae((6,), latent_size=2, units=(4,))
model.encode(np.zeros((1, 6)))
model.export(path, allow_untrained=True, num_samples=2)
"""


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["_verify", "write_manifest", "fsync", "rename"])
def test_a_killed_export_leaves_no_version(base, tmp_path, stage):
    shutil.copytree(base / "1", tmp_path / "1")
    before = contents(tmp_path / "1")
    done = subprocess.run([sys.executable, "-c", KILLED, stage, tmp_path])
    assert done.returncode == -signal.SIGKILL
    assert versions(tmp_path) == ["1"]
    assert contents(tmp_path / "1") == before
    assert len(os.listdir(tmp_path)) == 2  # the killed one's, which no server takes for a version


# ---- a server that polls -------------------------------------------------------------------------


def is_whole(folder):
    """Whether all that the manifest names is there, to the last byte."""
    try:
        manifest = json.loads((folder / "assets.extra" / "manifest.json").read_text())
        return all(
            hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
            for name, digest in manifest["sha256"].items()
        )
    except (OSError, ValueError):
        return False


def polled(base, published, write, num_versions, look):
    """Publishes versions while a thread looks at each that appears; returns what it has seen."""
    seen, done = {}, threading.Event()

    def poll():
        while not done.is_set() or len(seen) < num_versions:
            for name in versions(published):
                if name not in seen:
                    seen[name] = look(published / name)

    thread = threading.Thread(target=poll)
    thread.start()
    for _ in range(num_versions):
        write(base / "1", published)
    done.set()
    thread.join()
    return seen


def by_rename(source, published):
    with partial_directory(str(published)) as partial:
        shutil.copytree(source, Path(partial) / "model")
        publish(str(Path(partial) / "model"), str(published))


def in_place(source, published):
    shutil.copytree(source, published / str(len(os.listdir(published)) + 1))


def test_a_server_that_polls_sees_whole_versions_alone(base, tmp_path):
    for write in (by_rename, in_place):
        (tmp_path / write.__name__).mkdir()
    assert all(polled(base, tmp_path / "by_rename", by_rename, 20, is_whole).values())
    mutant = polled(base, tmp_path / "in_place", in_place, 20, is_whole)
    assert not all(mutant.values())


@pytest.mark.slow
def test_two_hundred_versions_are_loaded_as_they_appear(base, tmp_path):
    def loads(folder):
        return set(tf.saved_model.load(str(folder)).signatures) >= {"encode", "elbo"}

    seen = polled(base, tmp_path, by_rename, 200, loads)
    assert len(seen) == 200
    assert all(seen.values())
