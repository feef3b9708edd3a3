"""The commands. Each checks all that it is given before it makes a file."""

import json
import math
import os
import pathlib
import shlex
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfvae.callbacks import Checkpoint
from tfvae.cli.arguments import papers, recipe_arguments, recipe_called
from tfvae.cli.conditions import condition_of, condition_of_samples, inputs_of
from tfvae.cli.measure import measure
from tfvae.cli.pictures import draw, is_image, samples_figure
from tfvae.cli.resuming import check_same, stoppable
from tfvae.cli.terminal import Progress, Terminal, facts, metrics_table, shape
from tfvae.data import Splits, load
from tfvae.data.splits import PARTS
from tfvae.errors import DataError, ResumeMismatch
from tfvae.evaluation.latents import is_hierarchy
from tfvae.models.saving import written_whole
from tfvae.random import fresh_seed
from tfvae.runs import CHECKPOINTS, HISTORY, METRICS, MODEL, VERSIONS, Run, check_new
from tfvae.versions import installed_versions


def train(
    recipe: str,
    *,
    data: str,
    out: pathlib.Path,
    training: Mapping[str, Any],
    options: Mapping[str, Any],
    settings: Sequence[str],
    seed: int | None,
    num_samples: int,
    as_json: bool,
) -> None:
    """Trains a recipe's model and writes the run.

    Args:
        recipe: Name of a function of `tfvae.recipes`.
        data: What `tfvae.data.load` takes.
        out: Directory of the run.
        training: epochs, batch_size, learning_rate and jit; jit may be None.
        options: Arguments of the recipe with an option of their own; None: not given.
        settings: Other arguments of the recipe, as "name=JSON".
        seed: Seed of everything; None draws one.
        num_samples: Importance samples of the log-evidence; 0 leaves it out.
        as_json: Whether to print JSON.
    """
    terminal = Terminal(as_json)
    make = recipe_called(recipe)
    arguments = recipe_arguments(make, options, settings)
    check_new(out)
    splits = load_splits(data)
    condition = condition_of(recipe, splits)
    inputs = {part: inputs_of(splits, part, condition) for part in PARTS}
    drawn, seed = (" (drawn)", fresh_seed()) if seed is None else ("", seed)

    model = _model(make, splits, arguments, training, seed)
    model.build_from_data(inputs["train"])
    for part in PARTS:
        model.check_values(inputs[part])
    run = Run.create(
        out,
        {
            "recipe": recipe,
            "arguments": arguments,
            "data": {
                "spec": data,
                "name": splits.name,
                "fingerprint": splits.fingerprint,
                "event_shape": list(splits.event_shape),
                "num_examples": {part: len(inputs[part]["x"]) for part in PARTS},
            },
            "condition": condition,
            "seed": seed,
            "training": dict(training),
            "num_samples": num_samples,
        },
    )
    terminal.say(
        f"{recipe} on {splits.name}: {_sizes(run)}; {model.count_params():,} weights; "
        f"seed {seed}{drawn}"
    )
    _carry_out(run, model, splits, inputs, terminal)


def resume(out: pathlib.Path, *, given: Mapping[str, Any], as_json: bool) -> None:
    """Goes on with the training of a run, or prints its metrics if it has ended.

    Args:
        out: Directory of the run.
        given: The options that were given; they must be those of the run.
        as_json: Whether to print JSON.

    Raises:
        ResumeMismatch: If options, data or checkpoints are not those of the run.
    """
    terminal, run, given = Terminal(as_json), Run.open(out), dict(given)
    config = run.config
    spec = given.pop("data", config["data"]["spec"])
    check_same(config, given)
    if run.has(METRICS):
        terminal.note("the training had ended before; nothing was left to do.")
        _show(run, run.read(METRICS), terminal)
        return
    splits = load_splits(spec)
    if splits.fingerprint != config["data"]["fingerprint"]:
        raise ResumeMismatch(
            "`--data` must be those of the run. Received: fingerprint "
            f"{splits.fingerprint[:16]} instead of {config['data']['fingerprint'][:16]}. "
            "Fix: give the data that it was begun with."
        )
    inputs = {part: inputs_of(splits, part, config["condition"]) for part in PARTS}
    make = recipe_called(config["recipe"])
    model = _model(make, splits, config["arguments"], config["training"], config["seed"])
    model.build_from_data(inputs["train"])
    _carry_out(run, model, splits, inputs, terminal)


def _model(
    make: Callable[..., Any],
    splits: Splits,
    arguments: Mapping[str, Any],
    training: Mapping[str, Any],
    seed: int,
) -> Any:
    """Returns a recipe's model, compiled."""
    keras.utils.set_random_seed(seed)  # of what takes no seed of its own
    model = make(splits.event_shape, seed=seed, **arguments)
    model.compile(
        keras.optimizers.Adam(training["learning_rate"]),
        jit_compile="auto" if training["jit"] is None else training["jit"],
    )
    return model


def _carry_out(
    run: Run, model: Any, splits: Splits, inputs: Mapping[str, Any], terminal: Terminal
) -> None:
    """Trains a run's model, from its last checkpoint if there is one, and writes what comes of it.

    Raises:
        Interrupted: At SIGINT and SIGTERM, when all is saved.
    """
    training = run.config["training"]
    start, epochs, batch_size = time.monotonic(), training["epochs"], training["batch_size"]
    num_batches = math.ceil(len(splits.x_train) / batch_size)
    checkpoint = Checkpoint(run.path(CHECKPOINTS))
    with stoppable(run.directory, checkpoint) as over:
        with terminal.noting_warnings(), Progress(terminal.err, epochs, num_batches) as progress:
            history = model.fit(
                inputs["train"],
                validation_data=inputs["valid"],
                epochs=epochs,
                batch_size=batch_size,
                callbacks=[progress, checkpoint],
                verbose=0,
            ).history
        over()
        seconds = time.monotonic() - start
        run.write(HISTORY, history)
        model.save(run.path(MODEL))
        draw(run, model, history, inputs["test"], terminal)
        metrics = measure(model, inputs["test"], splits, run.config["num_samples"], terminal)
        run.write(METRICS, metrics)
    shutil.rmtree(run.path(CHECKPOINTS), ignore_errors=True)
    terminal.say(f"trained in {seconds:.1f} s; the run is in {run.directory}")
    _show(run, metrics, terminal)


def _show(run: Run, metrics: Mapping[str, Any], terminal: Terminal) -> None:
    title = f"{run.config['recipe']} on {run.config['data']['name']}"
    terminal.result(
        {"run": os.fspath(run.directory), "seed": run.config["seed"], "metrics": metrics},
        metrics_table(f"{title}, {metrics['num_examples']} test examples", metrics),
    )


def recipes(*, as_json: bool) -> None:
    """Prints what `train` can make: recipes, their papers, and what they must be given."""
    content = papers()
    rows = {
        name: row["paper"] + "".join(f"; --set {r}=JSON" for r in row["required"])
        for name, row in content.items()
    }
    Terminal(as_json).result({"recipes": content}, facts("recipes", rows))


def evaluate(directory: pathlib.Path, *, data: str | None, num_samples: int, as_json: bool) -> None:
    """Prints the metrics of a run's model on the test part of its own data, or of others."""
    terminal, run = Terminal(as_json), Run.open(directory)
    own = run.config["data"]
    splits = load_splits(own["spec"] if data is None else data)
    if data is None and splits.fingerprint != own["fingerprint"]:
        raise DataError(
            f"`--data` must be given: {own['spec']} has changed since the run was made. Received: "
            f"fingerprint {splits.fingerprint[:16]} instead of {own['fingerprint'][:16]}. "
            f"Fix: --data {shlex.quote(own['spec'])} takes it as it is now."
        )
    if list(splits.event_shape) != own["event_shape"]:
        raise DataError(
            f"`--data` must have examples of shape {shape(own['event_shape'])}. "
            f"Received: {splits.name} of shape {shape(splits.event_shape)}."
        )
    inputs = inputs_of(splits, "test", run.config["condition"])
    metrics = measure(run.model(), inputs, splits, num_samples, terminal)
    terminal.result(
        {"run": os.fspath(directory), "metrics": metrics},
        metrics_table(
            f"{directory} on {splits.name}, {metrics['num_examples']} test examples", metrics
        ),
    )


def sample(
    directory: pathlib.Path,
    *,
    out: pathlib.Path,
    num: int,
    condition: str | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """Writes means of p(x|z), z from the prior, as an array or a picture."""
    terminal, run = Terminal(as_json), Run.open(directory)
    event_shape = run.config["data"]["event_shape"]
    endings = (".npy", ".png") if is_image(event_shape) else (".npy",)
    if out.suffix not in endings:
        raise ValueError(
            f"`--out` must end with {' or '.join(endings)} for examples of shape "
            f"{shape(event_shape)}. Received: --out={out}."
        )
    if os.path.lexists(out):
        raise ValueError(
            f"`--out` must be a new file. Received: --out={out}, which exists. "
            "Fix: give another name, or remove it first."
        )
    rows = condition_of_samples(condition, run.config["condition"], num)
    seed = fresh_seed() if seed is None else seed
    x = run.model().generate(num, condition=rows, seed=seed).numpy()
    with written_whole(os.fspath(out)) as partial:
        if out.suffix == ".png":
            samples_figure(x, run.config["condition"]).savefig(partial, format="png")
        else:
            with open(partial, "wb") as file:
                np.save(file, x)
    terminal.result(
        {"file": os.fspath(out), "shape": list(x.shape), "seed": seed},
        facts(
            f"samples of {directory}",
            {"file": str(out), "shape": shape(x.shape), "seed": seed},
        ),
    )


def inspect(directory: pathlib.Path, *, as_json: bool) -> None:
    """Prints what made a run and what came of it, with the command that repeats it."""
    terminal, run = Terminal(as_json), Run.open(directory)
    config, versions, installed = run.config, run.read(VERSIONS), installed_versions()
    for name, version in versions.items():
        if installed.get(name) != version:
            terminal.note(f"made with {name} {version}; installed is {installed.get(name)}.")
    content = config | {"versions": versions, "repeat": _repeat(config)}
    rows = {
        "recipe": config["recipe"],
        **{f"  {name}": value for name, value in config["arguments"].items()},
        "data": config["data"]["spec"],
        "  examples": _sizes(run),
        "  fingerprint": config["data"]["fingerprint"][:16],
        **({} if config["condition"] is None else {"condition": config["condition"]}),
        "seed": config["seed"],
        **{name: "auto" if v is None else v for name, v in config["training"].items()},
    }
    if run.has(MODEL):
        model = run.model()
        content["num_weights"] = model.count_params()
        content["latent_shape"] = list(model.latent_shape)
        rows["weights"] = f"{model.count_params():,}"
        levels = model.latent_shape if is_hierarchy(model) else (model.latent_shape,)
        rows["latent shape"] = ", ".join(map(shape, levels))
    else:
        terminal.note(
            f"the training has not ended: there is no {MODEL}. Fix: tfvae train --resume --out "
            f"{shlex.quote(os.fspath(directory))} goes on."
        )
    if run.has(METRICS):
        metrics = content["metrics"] = run.read(METRICS)
        for name in ("elbo", "log_likelihood", "kl", "log_evidence"):
            if metrics[name] is not None:
                rows[name] = f"{metrics[name]:.3f} nats per test example"
    rows["versions"] = ", ".join(f"{name} {version}" for name, version in versions.items())
    terminal.result(content, facts(str(directory), rows), f"Repeat it:\n {content['repeat']}")


def load_splits(spec: str) -> Splits:
    """Returns data; a file that cannot be read is an error of the data.

    Raises:
        DataError: If they cannot be read.
    """
    try:
        return load(spec)
    except OSError as error:
        raise DataError(str(error)) from error


def _sizes(run: Run) -> str:
    data = run.config["data"]
    train, valid, test = (data["num_examples"][part] for part in PARTS)
    return (
        f"{train} training, {valid} validation and {test} test examples of "
        f"shape {shape(data['event_shape'])}"
    )


def _repeat(config: Mapping[str, Any]) -> str:
    """Returns the command that made a run, but for its directory."""
    words = ["tfvae", "train", config["recipe"], "--data", config["data"]["spec"], "--out", "DIR"]
    options = config["training"] | {k: config[k] for k in ("num_samples", "seed")}
    jit = options.pop("jit")
    for name, value in options.items():
        words += ["--" + name.replace("_", "-"), str(value)]
    words += [] if jit is None else ["--jit" if jit else "--no-jit"]
    for name, value in config["arguments"].items():
        words += ["--set", f"{name}={json.dumps(value)}"]
    return shlex.join(words)
