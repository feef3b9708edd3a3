"""The floors: a module imports only from lower floors, and importing the package does little."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tfvae

PACKAGE = Path(tfvae.__file__).parent
FLOORS = [
    {"checks", "distributions", "draws", "errors", "families", "gradients", "metrics"}
    | {"random", "schedules", "serialization", "threefry", "versions"},
    {"layers", "networks", "flows"},
    {"stochastic"},
    {"objectives"},
    {"models", "vi"},
    {"recipes", "evaluation", "callbacks", "export", "data", "plots", "ex_post"},
    {"cli", "runs", "testing", "__main__"},
]
# `export` is a method of every Keras model; it looks up when it is called.
LOOKS_UP = {("models", "export")}
SAME_FLOOR = {
    ("callbacks", "evaluation"),
    ("networks", "layers"),
    ("flows", "layers"),
    ("cli", "runs"),
    ("__main__", "cli"),
    ("vi", "models"),
}
OPTIONAL = {"matplotlib", "sklearn", "scipy", "rich", "typer", "ai_edge_litert"}
OPTIONAL |= {"ai_edge_quantizer", "arviz", "tensorflow_serving"}


def floor_of(part):
    return next(i for i, parts in enumerate(FLOORS) if part in parts)


def imports_of(path):
    """Yields (imported part of tfvae, whether at the top of the file)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        at_top = node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "tfvae":
            for alias in node.names:
                yield alias.name, at_top
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tfvae."):
            yield node.module.split(".")[1], at_top
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("tfvae."):
                    yield alias.name.split(".")[1], at_top


def modules():
    return sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_module_imports_only_from_lower_floors(path):
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for imported, at_top in imports_of(path):
        if imported == part or ((part, imported) in LOOKS_UP and not at_top):
            continue
        if floor_of(part) == 0 and floor_of(imported) == 0:
            continue
        lower = floor_of(imported) < floor_of(part)
        same = floor_of(imported) == floor_of(part) and (part, imported) in SAME_FLOOR
        assert lower or same, f"{part} (floor {floor_of(part)}) imports {imported}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_optional_packages_are_imported_where_they_are_used(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not OPTIONAL & {n.split(".")[0] for n in names}


def test_import_is_free_of_side_effects():
    """Beside Keras and TFP it loads no optional package, and leaves seeds and devices alone."""
    code = (
        "import random, sys, keras, tensorflow as tf, tensorflow_probability.python.distributions\n"
        f"optional = lambda: {{p for p in {sorted(OPTIONAL)} if p in sys.modules}}\n"
        "before, state = optional(), random.getstate()\n"
        "import tfvae\n"
        "cpu = tf.config.list_physical_devices('CPU')[0]\n"
        "print(sorted(optional() - before), random.getstate() == state,"
        " tf.config.get_logical_device_configuration(cpu))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert result.stdout.strip().splitlines()[-1] == "[] True None"


def test_no_unsafe_loading():
    """No pickle, no unsafe Keras loading, no evaluation of data."""
    forbidden_calls = {"eval", "exec", "compile_command", "enable_unsafe_deserialization"}
    forbidden_modules = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                assert name not in forbidden_calls, path
                for keyword in node.keywords:
                    value = getattr(keyword.value, "value", None)
                    assert (keyword.arg, value) != ("safe_mode", False), path
                    assert (keyword.arg, value) != ("allow_pickle", True), path
            elif isinstance(node, ast.Import):
                assert not forbidden_modules & {a.name.split(".")[0] for a in node.names}, path
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in forbidden_modules, path
