"""The `tfvae` command: its grammar alone, so that `--help` and `--version` need no TensorFlow.

The commands themselves are in `tfvae.cli`, which is imported when one of them runs.
"""

import contextlib
import importlib.util
import json
import math
import os
import pathlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Annotated

try:
    import typer
except ImportError:
    sys.exit("error: `tfvae` must have typer and rich. Fix: pip install 'tfvae[cli]'.")

RESUMABLE, INTERRUPTED, BROKEN_PIPE = 75, 130, 141

app = typer.Typer(
    help="Variational auto-encoders: train, evaluate, sample, export.",
    epilog="Exit codes: 0 done, 2 usage, 3 data, 4 files, 5 numerical, 6 resume refused, "
    "75 stopped and saved, 1 anything else.",
    add_completion=False,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit code; results go to stdout, all else to stderr.

    Args:
        arguments: Those of the process by default.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if hasattr(sys.stdout, "reconfigure"):  # a path may have what the terminal's encoding lacks
        sys.stdout.reconfigure(errors="backslashreplace")
    command = typer.main.get_command(app)
    try:
        with command.make_context("tfvae", arguments) as context:
            command.invoke(context)
        sys.stdout.flush()
        return 0
    except typer.Exit as exit:
        return exit.exit_code
    except KeyboardInterrupt as error:
        if hasattr(error, "command"):
            return _fail(arguments, "Interrupted", str(error), RESUMABLE)
        return _fail(arguments, "Interrupted", "interrupted.", INTERRUPTED)
    except (BrokenPipeError, SystemExit):  # the latter is how rich ends when a pipe is closed
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except typer.TyperException as error:
        usage = getattr(error, "ctx", None)
        usage = f"\n{usage.get_usage()}" if usage else ""
        return _fail(arguments, "UsageError", error.format_message(), 2, usage)
    except Exception as error:
        if "--debug" in arguments:
            raise
        if "tfvae.cli" not in sys.modules:  # what is wrong is the installation
            return _fail(arguments, type(error).__name__, str(error), 1)
        return _fail(arguments, *_commands(debug=False).describe(error))


def _fail(arguments: list[str], name: str, message: str, code: int, more: str = "") -> int:
    if "--json" in arguments:
        error = {"type": name, "message": message, "exit_code": code}
        print(json.dumps({"error": error}), file=sys.stderr)
    else:
        typer.secho("error: ", fg="red", bold=True, nl=False, err=True)
        typer.echo(message + more, err=True)
    return code


def _commands(debug: bool) -> ModuleType:
    with contextlib.nullcontext() if debug or "tensorflow" in sys.modules else _native_silence():
        from tfvae import cli
    return cli


@contextlib.contextmanager
def _native_silence() -> Iterator[None]:
    """Discards what TensorFlow's libraries write to stderr while they are loaded.

    They do so before they look at any log level. Python's own errors are exceptions, and not lost.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    try:
        with open(os.devnull, "wb") as devnull:
            os.dup2(devnull.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def _version(is_asked: bool) -> None:
    if is_asked:
        source = pathlib.Path(importlib.util.find_spec("tfvae").origin).read_text(encoding="utf-8")
        version = re.search(r'^__version__ = "(.+)"', source, flags=re.MULTILINE)[1]
        typer.echo(f"tfvae {version}")
        raise typer.Exit


def _integer(minimum: int, maximum: float = math.inf) -> Callable[[str], int]:
    rule = f"an integer of at least {minimum}" + (
        f", below {maximum}" if maximum < math.inf else ""
    )

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if not minimum <= value < maximum:
            raise typer.BadParameter(f"it must be {rule}. Received: {text}.")
        return value

    return parse


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise typer.BadParameter(f"it must be a positive, finite number. Received: {text}.")
    return value


COUNT = {"parser": _integer(1), "metavar": "INT"}
SEED = {"parser": _integer(0, 2**32), "metavar": "INT", "show_default": "drawn"}
DATA = {"metavar": "DATA", "help": "digits, mnist:FOLDER (IDX files), or an .npy or .npz file."}
Directory = Annotated[
    pathlib.Path, typer.Argument(metavar="DIR", help="A directory that `tfvae train` made.")
]
NumSamples = Annotated[
    int,
    typer.Option(
        parser=_integer(0),
        metavar="INT",
        help="Importance samples of the log-evidence; 0 leaves it out.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object; errors too.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None: ...


@app.command()
def train(
    context: typer.Context,
    out: Annotated[pathlib.Path, typer.Option(metavar="DIR", help="A new directory for the run.")],
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE", help="A name that `tfvae recipes` lists, such as vae or iwae."
        ),
    ] = None,
    data: Annotated[str | None, typer.Option(**DATA)] = None,
    epochs: Annotated[int, typer.Option(**COUNT, help="Passes over the training data.")] = 20,
    batch_size: Annotated[int, typer.Option(**COUNT, help="Examples in a batch.")] = 128,
    learning_rate: Annotated[
        float, typer.Option(parser=_positive, metavar="FLOAT", help="Step size of Adam.")
    ] = 1e-3,
    latent_size: Annotated[
        int | None, typer.Option(**COUNT, help="Latent dimensions.", show_default="the recipe's")
    ] = None,
    likelihood: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Family of p(x|z), as in TFP.", show_default="the recipe's"
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=JSON",
            help="Another argument of the recipe, such as units=[400]; repeatable.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(**SEED, help="Seed of everything.")] = None,
    jit: Annotated[
        bool | None, typer.Option("--jit/--no-jit", help="Compile with XLA.", show_default="auto")
    ] = None,
    num_samples: NumSamples = 500,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the run in --out; no other option is needed."),
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Train a model and write the run to a directory: model, configuration, history, metrics.

    Stopped by Ctrl-C or SIGTERM, it saves; killed, it has saved every 1000 steps. With --resume
    it goes on, to the same numbers.
    """
    if resume:
        names = [p.name for p in context.command.params]
        given = {
            name: context.params[name]
            for name in names
            if context.get_parameter_source(name).name == "COMMANDLINE"
        }
        for name in ("out", "resume", "as_json", "debug"):
            given.pop(name, None)
        _commands(debug).resume(out, given=given, as_json=as_json)
        return
    for name, value in {"RECIPE": recipe, "--data": data}.items():
        if value is None:
            raise typer.BadParameter("it must be given, without --resume.", param_hint=name)
    _commands(debug).train(
        recipe,
        data=data,
        out=out,
        training={
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "jit": jit,
        },
        options={"latent_size": latent_size, "likelihood": likelihood},
        settings=settings or [],
        seed=seed,
        num_samples=num_samples,
        as_json=as_json,
    )


@app.command()
def recipes(as_json: Json = False, debug: Debug = False) -> None:
    """List what `tfvae train` can make, with the papers."""
    _commands(debug).recipes(as_json=as_json)


@app.command()
def evaluate(
    directory: Directory,
    data: Annotated[str | None, typer.Option(**DATA, show_default="the run's")] = None,
    num_samples: NumSamples = 500,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Print the metrics of a run's model on test data, in nats per example."""
    _commands(debug).evaluate(directory, data=data, num_samples=num_samples, as_json=as_json)


@app.command()
def sample(
    directory: Directory,
    out: Annotated[
        pathlib.Path, typer.Option(metavar="FILE", help="A new .npy or .png file to write.")
    ],
    num: Annotated[int, typer.Option(**COUNT, help="Number of samples.")] = 100,
    condition: Annotated[
        str | None,
        typer.Option(
            metavar="JSON",
            help="For a conditional model: a label, or a list of numbers.",
            show_default="each label in turn",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(**SEED, help="Seed of the samples.")] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write means of p(x|z), with z drawn from the prior."""
    _commands(debug).sample(
        directory, out=out, num=num, condition=condition, seed=seed, as_json=as_json
    )


@app.command()
def export(
    directory: Directory,
    out: Annotated[
        pathlib.Path,
        typer.Option(
            metavar="PATH",
            help="A directory of versions, a new .tflite file, or for web a new folder.",
        ),
    ],
    format: Annotated[
        str,
        typer.Option(metavar="NAME", help="A format of tfvae.export: saved_model, tflite, web."),
    ] = "saved_model",
    quantize: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="For tflite: float16, int8-dynamic, int8-weight-only or int8.",
            show_default="float32",
        ),
    ] = None,
    serving_config: Annotated[
        pathlib.Path | None,
        typer.Option(
            metavar="DIR",
            help="For saved_model: where to write models.config and batching.config of TF Serving.",
            show_default="not written",
        ),
    ] = None,
    examples: Annotated[
        int | None,
        typer.Option(
            parser=_integer(1, 65),
            metavar="INT",
            help="For web: how many test examples the page holds, to be encoded with a click.",
            show_default="none",
        ),
    ] = None,
    litertjs: Annotated[
        pathlib.Path | None,
        typer.Option(
            metavar="DIR",
            help="For web: where the npm package @litertjs/core is installed.",
            show_default="$TFVAE_LITERTJS, or node_modules here or above",
        ),
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="For web: serve the page on this machine, until Ctrl-C.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(
            parser=_integer(0, 65536),
            metavar="INT",
            help="With --serve: the port; 0 takes any that is free.",
            show_default="8000",
        ),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Export a run's model: a version for serving, a file for devices, or a page for browsers."""
    if port is not None and not serve:
        raise typer.BadParameter("it must be given with --serve alone.", param_hint="--port")
    _commands(debug).export(
        directory,
        out=out,
        format=format,
        options={
            "quantize": quantize,
            "serving_config": serving_config,
            "examples": examples,
            "litertjs": litertjs,
            "serve": serve or None,
        },
        port=8000 if port is None else port,
        as_json=as_json,
    )


@app.command()
def inspect(directory: Directory, as_json: Json = False, debug: Debug = False) -> None:
    """Print what made a run and what came of it, with the command that repeats it."""
    _commands(debug).inspect(directory, as_json=as_json)


if __name__ == "__main__":
    sys.exit(main())
