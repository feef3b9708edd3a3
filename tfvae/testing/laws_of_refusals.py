"""Laws of what a model does not take: refused in a sentence, and nothing has changed."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tfvae.testing.law_tools import batch_of, require, same_bits, state_of, with_x, x_of


def nan_is_refused_and_changes_nothing(model: Any, data: Any) -> None:
    """Training on a NaN is refused; weights and optimizer are as before."""
    _refused(model, lambda: model.fit(_spoiled(data, np.nan), verbose=0))


def infinity_is_refused(model: Any, data: Any) -> None:
    """Evaluating an infinity is refused."""
    _refused(model, lambda: model.evaluate(_spoiled(data, np.inf), verbose=0))


def other_shapes_are_refused(model: Any, data: Any) -> None:
    """Examples with an axis more are refused."""
    batch = batch_of(data, 4)
    _refused(model, lambda: model.encode(with_x(batch, np.asarray(x_of(batch))[..., None])))


def no_rows_are_refused(model: Any, data: Any) -> None:
    """Empty data are refused."""
    _refused(model, lambda: model.fit(batch_of(data, 0), verbose=0))


def unknown_keys_are_refused(model: Any, data: Any) -> None:
    """A dictionary with a key that the model would ignore is refused."""
    batch = batch_of(data, 4)
    parts = batch if isinstance(batch, dict) else {"x": batch}
    _refused(model, lambda: model.encode(parts | {"unknown": np.zeros((4, 1))}))


def labels_are_refused(model: Any, data: Any) -> None:
    """Targets, which the model would ignore, are refused."""
    batch = batch_of(data, 4)
    _refused(model, lambda: model.fit(batch, np.zeros(4), verbose=0))


def losses_from_outside_are_refused(model: Any, data: Any) -> None:
    """The objective is the loss; another one is refused."""
    _refused(model, lambda: model.compile("sgd", loss="mse"))


def _spoiled(data: Any, value: float) -> Any:
    batch = batch_of(data, 8)
    x = np.array(x_of(batch), "float32")
    x[(3, *[0] * (x.ndim - 1))] = value
    return with_x(batch, x)


def _refused(model: Any, call: Callable[[], Any]) -> None:
    before, message = state_of(model), None
    try:
        call()
    except (TypeError, ValueError) as error:
        message = str(error)
    require(message is not None, "it was taken")
    require("` must" in message, f"the message does not say what must be: {message}")
    same_bits(state_of(model), before, "state after a refusal")
