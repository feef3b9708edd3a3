"""Trainings that are stopped and go on: signals, and what a resumed run must have in common."""

import contextlib
import os
import pathlib
import shlex
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tfvae.callbacks import Checkpoint
from tfvae.cli.arguments import recipe_arguments, recipe_called
from tfvae.cli.exits import Interrupted
from tfvae.errors import ResumeMismatch

RESUMABLE = 75  # EX_TEMPFAIL: run it again


def check_same(config: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuses options that are not those of the run.

    Args:
        config: The run's.
        given: The options of the command line that were given.

    Raises:
        ResumeMismatch: With what differs.
    """
    given = dict(given)
    recipe = recipe_called(given.get("recipe", config["recipe"]))
    options = {name: given.pop(name, None) for name in ("latent_size", "likelihood")}
    arguments = recipe_arguments(recipe, options, given.pop("settings", []))
    own = dict(config) | dict(config["training"])
    pairs = [(name, own[name], value) for name, value in given.items()]
    pairs += [(name, config["arguments"].get(name), value) for name, value in arguments.items()]
    different = [f"{name} {old} -> {new}" for name, old, new in pairs if old != new]
    if different:
        raise ResumeMismatch(
            "`--resume` must go on with the options of the run. Received: "
            f"{'; '.join(different)}. Fix: leave them out, or train anew to another --out."
        )


@contextlib.contextmanager
def stoppable(directory: pathlib.Path, checkpoint: Checkpoint) -> Iterator[Callable[[], None]]:
    """Makes SIGINT and SIGTERM end a training after the step that is running, and save it.

    A second signal ends the process at once.

    Args:
        directory: Of the run.
        checkpoint: The training's.

    Yields:
        A function to call when the training is over, and only its results are to be written.

    Raises:
        Interrupted: With the command that goes on.
    """
    signals, is_training = [], True

    def handle(number: int, _: Any) -> None:
        signals.append(number)
        if len(signals) > 1:
            os._exit(RESUMABLE)
        if not is_training:
            raise KeyboardInterrupt
        checkpoint.stop()

    def over() -> None:
        nonlocal is_training
        is_training = False

    # Python has signal handlers in its main thread alone.
    in_main = threading.current_thread() is threading.main_thread()
    outer = {
        number: signal.signal(number, handle)
        for number in (signal.SIGINT, signal.SIGTERM)
        if in_main
    }
    try:
        yield over
    except KeyboardInterrupt:
        command = shlex.join(["tfvae", "train", "--resume", "--out", os.fspath(directory)])
        raise Interrupted(command) from None
    finally:
        for number, handler in outer.items():
            signal.signal(number, handler)
