"""What a conditional model is told of each example: its `condition`, or its one-hot label."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfvae.cli.arguments import json_value
from tfvae.data import Splits
from tfvae.errors import DataError


def condition_of(recipe: str, splits: Splits) -> dict[str, Any] | None:
    """Returns how a recipe's model is conditioned on these data.

    Args:
        recipe: Name of the recipe; one is conditional if its name begins so.
        splits: The data.

    Returns:
        {"size": C} for a `condition` [N, C] of the data, {"classes": [...]} for labels, or None.

    Raises:
        DataError: If the recipe is conditional and the data have neither.
    """
    if not recipe.startswith("conditional"):
        return None
    if splits.condition_train is not None:
        return {"size": splits.condition_train.shape[1]}
    if splits.labels_train is not None:
        return {"classes": np.unique(splits.labels_train).tolist()}
    raise DataError(
        f"`--data` must have labels, or `condition`, for {recipe}. Received: {splits.name} with x "
        "alone. Fix: save them beside x in an .npz file, or choose another recipe."
    )


def inputs_of(splits: Splits, part: str, condition: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns "train", "valid" or "test" data as a model takes them.

    Raises:
        DataError: If what the model is conditioned on is absent or unknown to it.
    """
    x = getattr(splits, f"x_{part}")
    if condition is None:
        return {"x": x}
    name = "labels" if "classes" in condition else "condition"
    values = getattr(splits, f"{name}_{part}")
    if values is None:
        raise DataError(
            f"`--data` must have `{name}`, on which the model is conditioned. "
            f"Received: {splits.name} without."
        )
    return {"x": x, "condition": _rows(values, condition)}


def condition_of_samples(
    text: str | None, condition: Mapping[str, Any] | None, num: int
) -> np.ndarray | None:
    """Returns the conditions of samples, [num, C], or None.

    Args:
        text: A label, or a list of C numbers, as JSON; None gives each label in turn.
        condition: As from `condition_of`.
        num: Number of samples.

    Raises:
        ValueError: If the text does not fit the model.
    """
    received = "Received: " + ("none." if text is None else f"--condition {text}.")
    if condition is None:
        if text is not None:
            raise ValueError(f"`--condition` must be left out: the model has none. {received}")
        return None
    try:
        value = None if text is None else json_value(text)
    except ValueError as error:
        raise ValueError(f"`--condition` must be JSON. {received} Reason: {error}.") from None
    if "size" in condition:
        size = condition["size"]
        is_vector = isinstance(value, list) and all(type(v) in (int, float) for v in value)
        if not is_vector or len(value) != size:
            raise ValueError(f"`--condition` must be a list of {size} numbers. {received}")
        return np.repeat(np.array([value], "float32"), num, axis=0)
    classes = condition["classes"]
    if value is None:
        value = [classes[i % len(classes)] for i in range(num)]
    elif type(value) is int and value in classes:
        value = [value] * num
    else:
        raise ValueError(f"`--condition` must be a label among {_listed(classes)}. {received}")
    return _rows(np.array(value), condition)


def _rows(values: np.ndarray, condition: Mapping[str, Any]) -> np.ndarray:
    """Labels [N] or conditions [N, C] -> [N, C]."""
    if "size" in condition:
        if values.shape[1] != condition["size"]:
            raise DataError(
                f"`condition` must have {condition['size']} columns. "
                f"Received: condition of shape {values.shape}."
            )
        return values
    classes = condition["classes"]
    unknown = np.setdiff1d(values, classes).tolist()
    if unknown:
        raise DataError(
            f"`labels` must be among those of the training data, {_listed(classes)}. "
            f"Received: {_listed(unknown)}."
        )
    return np.eye(len(classes), dtype="float32")[np.searchsorted(classes, values)]


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values[:10])) + (", ..." if len(values) > 10 else "")
