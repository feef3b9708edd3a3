"""What lies in an exported version: `assets.extra/manifest.json`."""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from tfvae.export.signatures import UNITS, Signature
from tfvae.versions import installed_versions

PATH = os.path.join("assets.extra", "manifest.json")
FORMAT = 1


def write_manifest(
    directory: str,
    model: Any,
    signatures: Mapping[str, Signature],
    outputs: Mapping[str, Mapping[str, Any]],
    more: Mapping[str, Any],
    manifest: str = PATH,
) -> None:
    """Writes signatures, units, versions and the SHA-256 of every other file.

    Args:
        directory: That of the exported files.
        model: What was exported.
        signatures: Those that were exported.
        outputs: The specs of their outputs, by signature.
        more: Further entries.
        manifest: Its path in the directory.
    """
    content = {
        "format": FORMAT,
        "model": type(model).__name__,
        "num_weights": int(model.count_params()),
        "signatures": {
            name: {
                "inputs": {spec.name: _described(spec) for spec in signature.inputs},
                "outputs": {
                    key: _described(spec) | {"unit": UNITS[key]}
                    for key, spec in sorted(outputs[name].items())
                },
            }
            for name, signature in signatures.items()
        },
        **more,
        "versions": installed_versions(),
        "sha256": sha256_of(directory, manifest),
    }
    path = os.path.join(directory, manifest)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2, allow_nan=False)
        file.write("\n")


def sha256_of(directory: str, manifest: str = PATH) -> dict[str, str]:
    """Returns the SHA-256 of each file below a directory, but for the manifest, by its path."""
    digests = {}
    for folder, _, files in os.walk(directory):
        for name in files:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            digests[os.path.relpath(path, directory).replace(os.sep, "/")] = digest
    digests.pop(manifest.replace(os.sep, "/"), None)
    return dict(sorted(digests.items()))


def _described(spec: Any) -> dict[str, Any]:
    return {"dtype": spec.dtype.name, "shape": [d if d else -1 for d in spec.shape]}
