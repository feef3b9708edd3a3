"""What a command shows: progress and notes on stderr, its result on stdout."""

import contextlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import keras

from tfvae.errors import NumericalError
from tfvae.runs import finite

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


class Terminal:
    """Where a command writes.

    Args:
        as_json: Whether the result is one JSON object, with the notes inside, and stderr is silent.
    """

    def __init__(self, as_json: bool):
        from rich.console import Console

        self.as_json, self.notes = as_json, []
        self.out = Console(highlight=False)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True, quiet=as_json)

    def say(self, text: str) -> None:
        """Shows what is going on."""
        self.err.print(text, markup=False)

    def note(self, text: str) -> None:
        """Shows what one should know about the result."""
        self.notes.append(text)
        self.err.print("note:", style="yellow", end=" ")
        self.err.print(text, markup=False)

    @contextlib.contextmanager
    def noting_warnings(self) -> Iterator[None]:
        """Shows the library's warnings as notes."""
        handler, logger = logging.Handler(logging.WARNING), logging.getLogger("tfvae")
        handler.emit = lambda record: self.note(record.getMessage())
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)

    def busy(self, text: str) -> contextlib.AbstractContextManager:
        """Shows, in a terminal, that something is being computed."""
        if self.as_json or not self.err.is_terminal:
            return contextlib.nullcontext()
        return self.err.status(text)

    def result(self, content: Mapping[str, Any], table: "Table", text: str = "") -> None:
        """Prints a result: its content as JSON, or else its table and a text to be copied."""
        if self.as_json:
            print(json.dumps(finite(dict(content) | {"notes": self.notes})))
        else:
            self.out.print(table)
            self.out.print(text, markup=False, soft_wrap=True, end="\n" if text else "")


def facts(title: str, rows: Mapping[str, Any]) -> "Table":
    """Returns a table of names and values."""
    grid = _table(title, ("", "left"), ("", "left"))
    for name, value in rows.items():
        grid.add_row(name, value if isinstance(value, str) else json.dumps(value))
    return grid


def metrics_table(title: str, metrics: Mapping[str, Any]) -> "Table":
    """Returns a table of what `measure` returns."""
    grid = _table(title, ("nats per example", "left"), ("mean", "right"), ("error", "right"))
    for name in ("elbo", "log_likelihood", "kl"):
        grid.add_row(name, f"{metrics[name]:.3f}", "")
    if metrics["log_evidence"] is not None:
        grid.add_row(
            f"log_evidence, {metrics['num_samples']} samples",
            f"{metrics['log_evidence']:.3f}",
            f"\N{PLUS-MINUS SIGN} {metrics['log_evidence_standard_error']:.3f}",
        )
    return grid


def shape(dimensions: Any) -> str:
    """Returns a shape for people, such as "8 x 8 x 1"."""
    return " x ".join(map(str, dimensions))


def _table(title: str, *columns: tuple[str, str]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    grid = Table(
        title=Text(title, "bold"),
        title_justify="left",
        box=SIMPLE_HEAD,
        show_header=any(name for name, _ in columns),
        pad_edge=False,
    )
    for name, justify in columns:
        grid.add_column(name, justify=justify, overflow="fold")
    return grid


class Progress(keras.callbacks.Callback):
    """Shows how training goes, as a bar in a terminal and else as a line for each epoch.

    It also ends a training that has left the finite numbers. Use it in a `with` around `fit`, so
    that the bar is taken down whatever happens.

    Args:
        console: Where to draw.
        num_epochs: Passes over the data.
        num_batches: Batches in a pass.

    Raises:
        NumericalError: If not one update of an epoch was finite.
    """

    stateless = True  # for a `Checkpoint`

    def __init__(self, console: "Console", num_epochs: int, num_batches: int):
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        super().__init__()
        self._console, self._num_epochs, self._num_batches = console, num_epochs, num_batches
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=16),  # so that the line has room in 80 columns
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            TextColumn("{task.fields[metrics]}"),
            console=console,
            disable=console.quiet or not console.is_terminal,
        )
        total = num_epochs * num_batches
        self._task = self._bar.add_task("", total=total, epoch=self._count(1), metrics="")

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._bar.stop()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._start, self._skipped = time.monotonic(), self._updates_skipped()
        done = epoch * self._num_batches
        self._bar.update(self._task, epoch=self._count(epoch + 1), completed=done)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._bar.advance(self._task)  # reading `logs` would wait for the accelerator at each batch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        shown = [name for name in ("elbo", "kl", "val_elbo") if name in logs]
        metrics = "  ".join(f"{name} {logs[name]:.2f}" for name in shown)
        self._bar.update(self._task, metrics=metrics)
        if self._bar.disable:
            seconds = time.monotonic() - self._start
            self._console.print(f"epoch {self._count(epoch + 1)}  {metrics}  {seconds:.1f} s")
        if self._updates_skipped() - self._skipped >= self._num_batches:
            raise NumericalError(
                "`loss` and its gradient must be finite. "
                f"Received: loss={logs['loss']} in epoch {epoch + 1}, without a single update. "
                "Fix: lower --learning-rate, scale the data, or choose another likelihood."
            )

    def _updates_skipped(self) -> int:
        return int(self.model.updates_skipped.numpy())

    def _count(self, epoch: int) -> str:
        return f"{epoch:{len(str(self._num_epochs))}}/{self._num_epochs}"
