"""Hostile files are refused for the right reason; nothing is run, written or fetched."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

LAMBDA = "Requested the deserialization of a `Lambda` layer whose `function` is a Python lambda"
NOT_FOUND = "Could not locate "
NOT_MODELING = "because it is not a modeling function"

# File: what its error says; None: it loads, and does nothing else.
REASONS = {
    "Lambda with bytecode.keras": LAMBDA,
    "activation with bytecode.keras": "Requested the deserialization of a Python lambda",
    "Lambda of os.system.keras": NOT_FOUND + "function 'system'",
    "activation os.system.keras": NOT_FOUND + "function 'system'",
    "activation builtins.exec.keras": NOT_FOUND + "function 'exec'",
    "class builtins.exec.keras": NOT_FOUND + "class 'exec'",
    "class subprocess.Popen.keras": NOT_FOUND + "class 'Popen'",
    "class pathlib.Path.keras": NOT_FOUND + "class 'Path'",
    "module outside the path.keras": NOT_FOUND + "class 'Layer'",
    "module that acts on import.keras": NOT_FOUND + "class 'Layer'",
    "Lambda of get_file.keras": f"`keras.utils.get_file` {NOT_MODELING}",
    "Lambda of the safety switch.keras": f"enable_unsafe_deserialization` {NOT_MODELING}",
    "Lambda of load_model.keras": f"`keras.saving.load_model` {NOT_MODELING}",
    "vocabulary in a local file.keras": "vocabulary file outside of the model archive",
    "SavedModel layer.keras": "Requested the deserialization of a `TFSMLayer`",
    "tfvae function.keras": NOT_FOUND + "class 'written_whole'",
    "family that is no distribution.keras": "`family` must be the name of a distribution",
    "a number.keras": "`network` must be a Keras layer or model. Received: network=3",
    "nothing.keras": "`network` must be a Keras layer or model. Received: network={}",
    "class of another kind.keras": "could not be loaded",
    "config nested deeply.keras": "maximum recursion depth exceeded",
    "config that is no JSON.keras": "Expecting property name",
    "no config.keras": "no item named 'config.json'",
    "no weights.keras": "Expected a model.weights.h5",
    "no archive.keras": "accessible `.keras` zip file",
    "empty.keras": "accessible `.keras` zip file",
    "weights rewritten.keras": None,  # the edits below are refused for themselves
    "weights in another file.keras": "Not allowed: H5 file with ExternalLink",
    "weights behind a soft link.keras": "Not allowed: H5 file with SoftLink",
    "weights in raw storage.keras": "Not allowed: H5 file with external Dataset",
    "weights of 32 GiB.keras": "shape",
    "weights cut short.keras": "truncated file",
    "member outside the archive.keras": None,
    "legacy.h5": LAMBDA,
    "pickled.npy": "Object arrays cannot be loaded when allow_pickle=False",
    "pickled.npz": "Object arrays cannot be loaded when allow_pickle=False",
    "data.pkl": "`spec` must be one of",
    "array of 400 TB.npy": "Unable to allocate",
}


@pytest.fixture(scope="module")
def outcomes(make_vae, x, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    model = make_vae()
    model.compile("sgd")
    model.encode(x)
    model.save(folder / "good.keras")
    (folder / "tmp").mkdir()
    script = pathlib.Path(__file__).with_name("hostile_files.py")
    process = subprocess.run(
        [sys.executable, script, folder],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | {"TMPDIR": str(folder / "tmp")},
    )
    assert process.returncode == 0, process.stderr[-2000:]
    return json.loads(process.stdout.strip().splitlines()[-1])


def test_every_file_has_a_reason(outcomes):
    assert set(outcomes) == set(REASONS)


@pytest.mark.parametrize("name", REASONS)
def test_a_hostile_file_is_refused_for_its_own_reason(outcomes, name):
    outcome, reason = outcomes[name], REASONS[name]
    if reason is None:
        assert outcome["error"] is None, outcome["message"]
    else:
        assert outcome["error"] is not None, "it was loaded"
        assert reason in outcome["message"], outcome["message"]
    assert not outcome["ran"], "a payload has run"
    assert outcome["events"] == []


def test_the_hook_sees_what_a_payload_does(outcomes):
    """Mutant: a loader that trusts the same pickle is caught, by event and by mark."""
    assert outcomes["pickled.npy"]["control"] == [True, True]
