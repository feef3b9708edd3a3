"""Files of `keras.callbacks.CSVLogger` that go on where a training does: each epoch once."""

import csv
from collections.abc import Iterator
from typing import Any

import keras


def go_on(callbacks: list[Any], epoch: int, validation_freq: Any) -> None:
    """Gives the loggers among callbacks, which have begun, the rows of the epochs that are over.

    A logger that does not append has emptied its file; one that does may have written the row of an
    epoch whose end was not saved any more.

    Args:
        callbacks: With their state restored, and a `History` among them.
        epoch: The first that is still to be written.
        validation_freq: That of `fit`.
    """
    history = next((c for c in callbacks if isinstance(c, keras.callbacks.History)), None)
    for logger in callbacks:
        if isinstance(logger, keras.callbacks.CSVLogger):
            if logger.append:
                _cut(logger, epoch)
            elif history is not None:
                logger.writer, logger.keys = None, None
                for number, logs in _logs(history, validation_freq):
                    logger.on_epoch_end(number, logs)


def _logs(history: keras.callbacks.History, validation_freq: Any) -> Iterator[tuple[int, dict]]:
    """Yields each epoch with its logs; those of validation are there where one was."""
    values = {key: iter(numbers) for key, numbers in history.history.items()}
    for epoch in history.epoch:
        is_validated = (
            (epoch + 1) % validation_freq == 0
            if isinstance(validation_freq, int)
            else epoch + 1 in validation_freq
        )
        keys = [k for k in values if is_validated or not k.startswith("val_")]
        yield epoch, {k: next(values[k]) for k in keys}


def _cut(logger: keras.callbacks.CSVLogger, epoch: int) -> None:
    """Removes rows at the end that will be written again."""
    logger.csv_file.close()
    with open(logger.filename, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter=logger.sep))
    while rows and rows[-1] and rows[-1][0].isdecimal() and int(rows[-1][0]) >= epoch:
        rows.pop()
    with open(logger.filename, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=logger.sep).writerows(rows)
    logger.append_header = not rows
    logger.csv_file = open(logger.filename, "a", newline="", encoding="utf-8")  # noqa: SIM115
    logger.writer, logger.keys = None, None
