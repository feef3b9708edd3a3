"""The command `tfvae export`."""

import contextlib
import json
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

from tfvae.cli.commands import load_splits
from tfvae.cli.conditions import inputs_of
from tfvae.cli.terminal import Terminal, facts
from tfvae.export import serving_config as write_serving_config
from tfvae.export.tflite import report_path
from tfvae.export.web_server import Server
from tfvae.runs import METRICS, Run

NEEDED = {
    "quantize": "tflite",
    "serving_config": "saved_model",
    "examples": "web",
    "litertjs": "web",
    "serve": "web",
}
NUM_RANGE_ROWS = 256


def export(
    directory: pathlib.Path,
    *,
    out: pathlib.Path,
    format: str,
    options: Mapping[str, Any],
    port: int,
    as_json: bool,
) -> None:
    """Exports a run's model, and prints the path written and how near it is to the model.

    Args:
        directory: That of the run.
        out: Where to export to.
        format: Key of `tfvae.export.FORMATS`.
        options: Those of one format, which are the keys of `NEEDED`; None: not given.
        port: Where a page is served.
        as_json: Whether to print JSON.
    """
    terminal, run = Terminal(as_json), Run.open(directory)
    options = {name: value for name, value in options.items() if value is not None}
    _check_options(options, format)
    # The port is taken before the work is done.
    server = Server(out, port) if "serve" in options else contextlib.nullcontext()
    with server, terminal.noting_warnings():
        given = _arguments(run, options)
        if format == "web":
            given["card"] = _card(run)
        with terminal.busy("exporting"):
            path = run.model().export(out, format=format, **given)
        content, rows = {"path": path, "format": format}, {}
        if "serving_config" in options:
            content["serving_config"] = write_serving_config(out, options["serving_config"])
        if "serve" in options:
            content["url"] = server.url
        shown = dict(content)
        if format == "tflite":
            content["parity"], rows = _parity(path)
        terminal.result(content, facts(f"export of {directory}", shown | rows))
        if "serve" in options:
            _serve(server, terminal)


def _check_options(options: Mapping[str, Any], format: str) -> None:
    for name, value in options.items():
        if format != NEEDED[name]:
            option = "--" + name.replace("_", "-")
            raise ValueError(
                f"`{option}` must be given with --format {NEEDED[name]} alone. Received: "
                f"{option if value is True else f'{option} {value}'} with --format {format}."
            )


def _arguments(run: Run, options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the format's function takes."""
    given = {name: options[name] for name in ("quantize", "litertjs") if name in options}
    if options.get("quantize") == "int8":
        given["representative_data"] = _rows(run, "train", NUM_RANGE_ROWS)
    if "examples" in options:
        given["examples"] = _rows(run, "test", options["examples"])
    return given


def _rows(run: Run, part: str, num: int) -> dict[str, Any]:
    splits = load_splits(run.config["data"]["spec"])
    rows = inputs_of(splits, part, run.config["condition"])
    return {key: value[:num] for key, value in rows.items()}


def _card(run: Run) -> dict[str, str]:
    """Returns what the run says of its model."""
    config, training = run.config, run.config["training"]
    sizes = config["data"]["num_examples"]
    card = {
        "Recipe": config["recipe"],
        "Data": f"{config['data']['name']}: {sizes['train']:,} training, {sizes['valid']:,} "
        f"validation, {sizes['test']:,} test examples",
        "Training": f"{training['epochs']} epochs, batches of {training['batch_size']}, "
        f"learning rate {training['learning_rate']:g}, seed {config['seed']}",
    }
    if "classes" in (config["condition"] or {}):
        card["Classes"] = ", ".join(map(str, config["condition"]["classes"]))
    if run.has(METRICS):
        metrics = run.read(METRICS)
        named = {"ELBO": "elbo", "log-evidence": "log_evidence"}
        values = {name: metrics[key] for name, key in named.items() if metrics[key] is not None}
        card["Test, nats per example"] = ", ".join(f"{n} {v:.2f}" for n, v in values.items())
    return card


def _parity(path: str) -> tuple[dict[str, Any], dict[str, str]]:
    report = json.loads(pathlib.Path(report_path(path)).read_text(encoding="utf-8"))
    rows = {"bytes": f"{report['bytes']:,}"} | {
        f"  {name}": f"max error {entry['max_error']:.2g}, rms {entry['rms_error']:.2g}; "
        + ", ".join(f"{ms:.3f} ms at {n}" for n, ms in entry["milliseconds"].items())
        for name, entry in report["signatures"].items()
    }
    return report, rows


def _serve(server: Server, terminal: Terminal) -> None:
    terminal.say(f"serving on {server.url}; Ctrl-C ends it.")
    sys.stdout.flush()  # whoever reads a pipe waits for the address
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    terminal.say("ended.")
