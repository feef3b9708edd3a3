"""Loads hostile files in a process of its own, and tells what came of it.

Usage: hostile_files.py FOLDER, with FOLDER/good.keras. It prints one JSON object: for each file,
the error's type and message, and what was executed, opened for writing outside the temporary
folder, or fetched. The payloads are harmless: all that they would do is to write into
FOLDER/victim.
"""

import base64
import io
import json
import marshal
import os
import sys
import types
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

import tfvae

# Written by any payload that runs.
MARK = "victim/was_here"
WATCHED = {
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.symlink",
    "pickle.find_class",
    "subprocess.Popen",
    "socket.connect",
    "socket.getaddrinfo",
    "urllib.Request",
}


def bytecode(folder):
    """A function that would write the mark, as Keras keeps a lambda."""
    source = f"def payload(x):\n open({str(folder / MARK)!r}, 'w').close()\n return x\n"
    code = next(
        c for c in compile(source, "payload", "exec").co_consts if isinstance(c, types.CodeType)
    )
    kept = {
        "code": base64.b64encode(marshal.dumps(code)).decode(),
        "defaults": None,
        "closure": None,
    }
    return {"class_name": "__lambda__", "config": kept}


def function(module, name):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def layer(name, **config):
    return {
        "module": "keras.layers",
        "class_name": name,
        "config": {"name": "layer", **config},
        "registered_name": None,
    }


def dense(activation):
    return layer("Dense", units=4, activation=activation)


def instance(module, name, config):
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def networks(folder):
    """Hostile networks, each in the place of a model's own."""
    path, mark = str(folder / "secret.txt"), str(folder / MARK)
    lambda_of = lambda f: layer("Lambda", function=f)  # noqa: E731
    return {
        "Lambda with bytecode": lambda_of(bytecode(folder)),
        "activation with bytecode": dense(bytecode(folder)),
        "Lambda of os.system": lambda_of(function("os", "system")),
        "activation os.system": dense(function("os", "system")),
        "activation builtins.exec": dense(function("builtins", "exec")),
        "class builtins.exec": instance("builtins", "exec", {"source": f"open({mark!r}, 'w')"}),
        "class subprocess.Popen": instance("subprocess", "Popen", {"args": ["touch", mark]}),
        "class pathlib.Path": instance("pathlib", "Path", {"path": mark}),
        "module outside the path": instance("hostile.module", "Layer", {}),
        "module that acts on import": instance("antigravity", "Layer", {}),
        "Lambda of get_file": lambda_of(function("keras.utils", "get_file")),
        "Lambda of the safety switch": lambda_of(
            function("keras.config", "enable_unsafe_deserialization")
        ),
        "Lambda of load_model": lambda_of(function("keras.saving", "load_model")),
        "vocabulary in a local file": layer("StringLookup", vocabulary=path),
        "SavedModel layer": layer("TFSMLayer", filepath=str(folder / "saved_model")),
        "tfvae function": instance("tfvae.models.saving", "written_whole", {"path": mark}),
        "family that is no distribution": None,  # see `corpus`
        "a number": 3,
        "nothing": {},
    }


def replaced(config, network):
    """Returns the config of a model with another network in its encoder."""
    config = json.loads(json.dumps(config))
    config["config"]["encoder"]["config"]["network"] = network
    return config


def write(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def weights(edit):
    """Returns the bytes of an H5 file after `edit(file)`, made from those of a good one."""

    def make(good):
        memory = io.BytesIO(good)
        with h5py.File(memory, "r+") as file:
            names = []
            file.visititems(lambda n, o: names.append(n) if isinstance(o, h5py.Dataset) else None)
            edit(file, next(n for n in names if file[n].ndim == 2))
        return memory.getvalue()

    return make


def linked(link):
    def edit(file, name):
        del file[name]
        file[name] = link

    return weights(edit)


def external(folder):
    def edit(file, name):
        shape = file[name].shape
        del file[name]
        size = 4 * int(np.prod(shape))
        file.create_dataset(name, shape, "f4", external=[(str(folder / "secret.txt"), 0, size)])

    return weights(edit)


def bomb(file, name):
    del file[name]
    file.create_dataset(name, (2**33,), "f4", chunks=(2**20,))  # 32 GiB that take no room


def corpus(folder):
    """Writes the files; returns their names."""
    with zipfile.ZipFile(folder / "good.keras") as archive:
        good = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(good["config.json"])
    files = {}
    for name, network in networks(folder).items():
        hostile = replaced(config, network)
        if name.startswith("family"):
            hostile = json.loads(json.dumps(config))
            hostile["config"]["encoder"]["config"]["head"]["config"]["family"] = "__loader__"
        files[name] = good | {"config.json": json.dumps(hostile)}
    files |= {
        "class of another kind": good
        | {"config.json": json.dumps(instance("keras.layers", "Dense", {"units": 1}))},
        "config nested deeply": good | {"config.json": "[" * 200_000 + "]" * 200_000},
        "config that is no JSON": good | {"config.json": "{'a': 1"},
        "no config": {k: v for k, v in good.items() if k != "config.json"},
        "no weights": {k: v for k, v in good.items() if "weights" not in k},
        "member outside the archive": good | {f"../{MARK}": b"x", str(folder / MARK): b"x"},
    }
    # Of a layer that a model holds twice, Keras reports the second failure alone: one layer here.
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)]).save(folder / "plain.keras")
    with zipfile.ZipFile(folder / "plain.keras") as archive:
        plain = {name: archive.read(name) for name in archive.namelist()}
    h5 = plain["model.weights.h5"]
    edits = {
        "weights rewritten": weights(lambda file, name: None),
        "weights in another file": linked(h5py.ExternalLink(str(folder / "secret.h5"), "/w")),
        "weights behind a soft link": linked(h5py.SoftLink("/absent")),
        "weights in raw storage": external(folder),
        "weights of 32 GiB": weights(bomb),
        "weights cut short": lambda good: good[: len(good) // 2],
    }
    files |= {name: plain | {"model.weights.h5": edit(h5)} for name, edit in edits.items()}
    for name, members in files.items():
        write(folder / f"{name}.keras", members)
    (folder / "no archive.keras").write_bytes(b"\x80\x04pickled")
    (folder / "empty.keras").write_bytes(b"")
    names = [f"{name}.keras" for name in [*files, "no archive", "empty"]]
    with h5py.File(folder / "legacy.h5", "w") as file:
        model = {"class_name": "Sequential", "config": {"name": "s", "layers": [
            layer("InputLayer", batch_shape=[None, 3]), layer("Lambda", function=bytecode(folder)),
        ]}}  # fmt: skip
        file.attrs["model_config"] = json.dumps(model)
        file.create_group("model_weights")
    return [*names, "legacy.h5"]


class Payload:
    """Writes the mark when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def arrays(folder):
    """Writes hostile data files; returns their names."""
    array = np.array([Payload(folder / MARK)], dtype=object)
    np.save(folder / "pickled.npy", array, allow_pickle=True)
    np.savez(folder / "pickled.npz", x=array)
    (folder / "data.pkl").write_bytes(b"\x80\x04K\x01.")
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999), }\n"
    size = len(header).to_bytes(2, "little")
    (folder / "array of 400 TB.npy").write_bytes(b"\x93NUMPY\x01\x00" + size + header)
    return ["pickled.npy", "pickled.npz", "data.pkl", "array of 400 TB.npy"]


def main(folder):
    (folder / "victim").mkdir()
    (folder / "secret.txt").write_bytes(b"secret" * 1000)
    with h5py.File(folder / "secret.h5", "w") as file:
        file["w"] = np.zeros((6, 4), "f4")
    loads = dict.fromkeys(corpus(folder), keras.saving.load_model)
    loads |= dict.fromkeys(arrays(folder), tfvae.data.load)
    keras.saving.load_model(folder / "good.keras")  # imports what loading imports
    temporary = os.path.realpath(os.environ["TMPDIR"])
    events, is_on = [], False

    def hook(event, args):
        if not is_on:
            return
        # A relative path is one within an open directory, as `shutil.rmtree` removes them.
        inside = event == "os.remove" and not str(args[0]).startswith("/")
        if event in WATCHED and not (inside or str(args[0]).startswith(temporary)):
            events.append(f"{event} {args[0]!r}")
        elif event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR):
            if not str(args[0]).startswith((temporary, "/dev/")):
                events.append(f"open {args[0]!r} to write")

    sys.addaudithook(hook)
    found = {}
    for name, load in loads.items():
        events.clear()
        kind = message = None
        is_on = True
        try:
            load(str(folder / name))
        except (Exception, RecursionError) as error:
            kind, message = type(error).__name__, str(error)
        is_on = False
        found[name] = {
            "error": kind,
            "message": message,
            "events": list(events),
            "ran": (folder / MARK).exists() or len(list((folder / "victim").iterdir())) > 0,
        }
    # The control: a loader that trusts a file, so that a payload does run.
    events.clear()
    is_on = True
    np.load(folder / "pickled.npy", allow_pickle=True)
    is_on = False
    ran, seen = (folder / MARK).exists(), any(e.startswith("os.system") for e in events)
    found["pickled.npy"]["control"] = [ran, seen]
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
