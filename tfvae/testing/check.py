"""All laws on one model."""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.errors import DataError, did_you_mean
from tfvae.models import LatentVariableModel
from tfvae.testing.laws import (
    FOLDER_LAWS,
    LAWS,
    STEP_LAWS,
    THOROUGH_LAWS,
    config_restores_it,
    copy_of,
    rows_of,
)
from tfvae.testing.report import Check, Report

ROWS = 96  # of the data, at most: laws are about code, not about fit


def check_vae(
    model: Any,
    data: Any,
    *,
    expected_failed_checks: Mapping[str, str] | None = None,
    thorough: bool = False,
) -> Report:
    """Checks a model against about forty laws that all models of the library keep.

    The laws train, save and export copies; the model itself and the data are as before. Of a model
    that cannot be copied from its config, the report says why, and the other laws are not run.

    Args:
        model: A `tfvae.VAE` or another `LatentVariableModel`, compiled or not.
        data: Rows that it takes, an array or a dictionary of arrays; 32 or more, of which it can
            learn something in a few epochs.
        expected_failed_checks: Laws that the model breaks on purpose, with the reason of each.
        thorough: Whether to run also what takes long: XLA, a new process, export.

    Returns:
        A report; print it, or call its `raise_failures` in a test.

    Raises:
        TypeError: If the model is no `LatentVariableModel`.
        ValueError: If an expected check does not exist.
        DataError: If there are fewer than 32 rows, or they do not fit the model.

    Example:
    >>> tfvae.testing.check_vae(my_vae, x_train).raise_failures()
    """
    if not isinstance(model, LatentVariableModel):
        raise TypeError(
            "`model` must be a LatentVariableModel. "
            f"Received: model of type {type(model).__name__}."
        )
    every = [*LAWS, *STEP_LAWS, *FOLDER_LAWS, *THOROUGH_LAWS]
    laws = [law for law in every if thorough or law not in THOROUGH_LAWS]
    expected = dict(expected_failed_checks or {})
    names = [law.__name__ for law in every]
    for name in expected:
        if name not in names:
            raise ValueError(
                "`expected_failed_checks` must name checks. "
                f"Received: {name!r}.{did_you_mean(name, names)}"
            )
    data = tf.nest.map_structure(lambda a: np.asarray(a)[:ROWS], data)
    if rows_of(data) < 32:
        raise DataError(f"`data` must have 32 rows or more. Received: {rows_of(data)}.")
    model.build_from_data(data)
    model.check_shapes(data if isinstance(data, Mapping) else {"x": data})
    try:
        copy_of(model)
    except Exception as error:
        return Report(_without_copies(laws, error))
    checks = []
    with tempfile.TemporaryDirectory() as folder:
        for law in laws:
            start, message = time.monotonic(), ""
            try:
                arguments = [folder] if law in FOLDER_LAWS or law in THOROUGH_LAWS else []
                law(copy_of(model), data, *arguments)
            except AssertionError as error:
                message = str(error).strip() or "failed"
            except Exception as error:  # a law is broken in any way
                message = f"{type(error).__name__}: {error}"
            reason, seconds = expected.get(law.__name__), time.monotonic() - start
            checks.append(Check(law.__name__, not message, message, reason, seconds))
    return Report(checks)


def _without_copies(laws: Sequence[Callable], error: Exception) -> Iterator[Check]:
    """Yields the checks of a model that cannot be copied: one has failed, the others have not run.

    Keras wraps the error of an inner layer in one of each layer around it, with their configs.
    """
    cause = str(error).rpartition("Exception encountered: ")[2].partition(" Full object config")[0]
    for law in laws:
        is_broken = law is config_restores_it
        message = f"no copy can be made: {type(error).__name__}: {cause}" if is_broken else ""
        yield Check(law.__name__, False, message, None, 0.0, has_run=is_broken)
