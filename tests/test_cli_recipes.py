"""Every recipe can be trained from the command line, and is listed with its paper."""

import inspect
import io
import json
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest

import tfvae
import tfvae_cli
from tfvae import recipes
from tfvae.cli.arguments import recipe_arguments

REQUIRED = {
    "beta_tcvae": {"num_examples": 60},
    "geco_vae": {"tolerance": 20.0},
    "table_vae": {"families": {"Normal": [0, 3], "Poisson": [1]}, "classes": {2: 3}},
}


def defaults(recipe):
    """Keyword arguments with a default that is something."""
    parameters = inspect.signature(recipe).parameters.values()
    own = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    return {k: v for k, v in own.items() if v is not inspect.Parameter.empty and v is not None}


def settings(arguments):
    return [f"{name}={json.dumps(value)}" for name, value in arguments.items()]


@pytest.mark.parametrize("name", recipes.__all__)
def test_arguments_as_json_make_the_same_model(name):
    """Tuples become lists, and numbers that are keys become strings."""
    recipe, required = getattr(recipes, name), REQUIRED.get(name, {})
    given = recipe_arguments(recipe, {}, settings(required | defaults(recipe)))
    models = [recipe((4,), seed=0, **a) for a in (required, given)]
    first, second = (normalised(m.get_config()) for m in models)
    assert first == second
    if name in REQUIRED:
        missing = next(iter(required))
        with pytest.raises(ValueError, match=f"`{missing}` must be given to {name}"):
            recipe_arguments(recipe, {}, [])


def normalised(config):
    """A config without the names that Keras counts up."""
    if isinstance(config, dict):
        return {
            k: normalised(v) for k, v in config.items() if k not in ("name", "shared_object_id")
        }
    return [normalised(v) for v in config] if isinstance(config, list | tuple) else config


def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = tfvae_cli.main(list(arguments))
    assert code == 0, err.getvalue()
    return out.getvalue(), err.getvalue()


def test_recipes_are_listed_with_their_papers():
    content = json.loads(run("recipes", "--json")[0])["recipes"]
    assert list(content) == recipes.__all__
    for name, row in content.items():
        assert "20" in row["paper"], f"{name} names no year"
        assert set(row["required"]) <= set(REQUIRED.get(name, {}))
    assert content["geco_vae"]["required"] == ["tolerance"]
    text = run("recipes")[0]
    assert all(name in text for name in tfvae.recipes.__all__)


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "latent_shape"), [("fsq_vae", "2 x 3"), ("ladder_vae", "2, 3")])
def test_runs_of_codes_and_hierarchies_are_shown(recipe, latent_shape, tmp_path):
    """Codes that x determines have no log-evidence; a hierarchy has a shape for each level."""
    rows, out = tmp_path / "rows.npy", tmp_path / "run"
    np.save(rows, (np.random.default_rng(0).random((40, 4)) < 0.4).astype("float32"))
    given = {
        "fsq_vae": {"levels": [3, 3, 3], "latent_size": 2},
        "ladder_vae": {"latent_sizes": [2, 3]},
    }[recipe] | {"units": [6]}
    line = [part for text in settings(given) for part in ("--set", text)]
    data = ("--data", str(rows), "--out", str(out), "--epochs", "1", "--num-samples", "10")
    metrics = json.loads(run("train", recipe, *data, *line, "--json", "--no-jit")[0])["metrics"]
    assert (metrics["log_evidence"] is None) == (recipe == "fsq_vae")
    shown = run("inspect", str(out))[0].split("latent shape")[1]
    assert shown.splitlines()[0].strip() == latent_shape
