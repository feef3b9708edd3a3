"""LiteRT for browsers, from an installed npm package: `@litertjs/core`, `@litertjs/wasm-utils`."""

import json
import os
import pathlib
import shutil
from typing import Any

from tfvae.errors import ArtifactError

VARIABLE = "TFVAE_LITERTJS"
TESTED = "2.5.3"
FIX = f"Fix: npm install @litertjs/core@{TESTED}"

# Without threads, which need special headers; the second is for browsers without relaxed SIMD.
BUILDS = ("litert_wasm_internal", "litert_wasm_compat_internal")
# Where a file of a package goes in the page's directory.
COPIES = {
    ("core", "package.json"): "core/package.json",
    ("core", "dist/index.js"): "core/index.js",
    ("wasm-utils", "package.json"): "wasm-utils/package.json",
    ("wasm-utils", "dist/index.js"): "wasm-utils/index.js",
} | {
    ("core", f"wasm/{build}.{ending}"): f"wasm/{build}.{ending}"
    for build in BUILDS
    for ending in ("js", "wasm")
}


class Runtime:
    """The files of the two packages.

    They are looked for in `given`, else in what the environment variable TFVAE_LITERTJS names, else
    in the `node_modules` of the working directory and of those above it.

    Args:
        given: A folder with `node_modules`, or with the packages, or None.

    Attributes:
        version: That of `@litertjs/core`.

    Raises:
        ImportError: If they are nowhere, or of a version with another interface.
        ArtifactError: If a file of theirs is absent.
    """

    def __init__(self, given: Any = None):
        scope = _scope(given)
        nested = scope / "core" / "node_modules" / "@litertjs" / "wasm-utils"
        folders = {
            "core": scope / "core",
            "wasm-utils": nested if nested.is_dir() else scope / "wasm-utils",
        }
        self._files = {folders[part] / name: target for (part, name), target in COPIES.items()}
        for source in self._files:
            if not source.is_file():
                raise ArtifactError(
                    "`litertjs` must be whole packages. Received: a folder without "
                    f"{os.fspath(source)!r}. {FIX}, again."
                )
        self.version = _version(folders["core"] / "package.json")
        if self.version.split(".")[0] != TESTED.split(".")[0]:
            raise ImportError(
                f"`litertjs` must be of version {TESTED.split('.')[0]}. "
                f"Received: {self.version} in {os.fspath(scope)!r}. {FIX}."
            )

    def copy_to(self, directory: str) -> None:
        """Copies what a page needs.

        Raises:
            OSError: If it cannot be written.
        """
        for source, name in self._files.items():
            target = os.path.join(directory, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(source, target)


def _scope(given: Any) -> pathlib.Path:
    """Returns the folder `@litertjs`."""
    named = given if given is not None else os.environ.get(VARIABLE)
    for scope in _candidates(named):
        if (scope / "core" / "package.json").is_file():
            return scope
    raise ImportError(
        "`litertjs` must be a folder with the npm packages @litertjs/core and wasm-utils. "
        + (
            f"Received: {os.fspath(named)!r} without them. {FIX} there."
            if named
            else f"Received: none, and none in node_modules here or above. {FIX}."
        )
    )


def _candidates(named: Any) -> list[pathlib.Path]:
    if named:
        folder = pathlib.Path(named)
        return [folder / "node_modules" / "@litertjs", folder / "@litertjs", folder]
    here = pathlib.Path.cwd()
    return [folder / "node_modules" / "@litertjs" for folder in (here, *here.parents)]


def _version(package: pathlib.Path) -> str:
    try:
        return str(json.loads(package.read_text(encoding="utf-8"))["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"`litertjs` must be whole packages. Received: {os.fspath(package)!r} that is no "
            f"package.json. {FIX}, again."
        ) from error
