"""Checks of constructor arguments: each returns its argument or says what it must be."""

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any


def integer(name: str, value: Any, minimum: int) -> int:
    """Returns `value` as an `int` not below `minimum`; `True` and 2.0 are not integers here.

    Raises:
        TypeError: If `value` is no integer.
        ValueError: If it is too small.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(
            f"`{name}` must be an integer >= {minimum}. "
            f"Received: {name}={value!r} of type {type(value).__name__}."
        )
    if value < minimum:
        raise ValueError(f"`{name}` must be an integer >= {minimum}. Received: {name}={value}.")
    return int(value)


def positive_integer(name: str, value: Any) -> int:
    """Returns `value` as an `int` of at least 1; see `integer`."""
    return integer(name, value, 1)


def finite_number(name: str, value: Any, minimum: float = -math.inf) -> float:
    """Returns `value` as a finite `float` not below `minimum`.

    Raises:
        TypeError: If `value` is no number.
        ValueError: If it is NaN, infinite or too small.
    """
    rule = "a finite number" + (f" >= {minimum:g}" if minimum > -math.inf else "")
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"`{name}` must be {rule}. Received: {name}={value!r} of type {type(value).__name__}."
        )
    if not math.isfinite(value) or value < minimum:
        raise ValueError(f"`{name}` must be {rule}. Received: {name}={value}.")
    return float(value)


def positive_number(name: str, value: Any) -> float:
    """Returns `value` as a finite `float` above 0; see `finite_number`."""
    number = finite_number(name, value)
    if number <= 0.0:
        raise ValueError(f"`{name}` must be a finite number > 0. Received: {name}={value}.")
    return number


def boolean(name: str, value: Any) -> bool:
    """Returns `value` as it is.

    Raises:
        TypeError: If it is neither True nor False.
    """
    if not isinstance(value, bool):
        raise TypeError(
            f"`{name}` must be True or False. "
            f"Received: {name}={value!r} of type {type(value).__name__}."
        )
    return value


def number_or_schedule(name: str, value: Any, minimum: float = -math.inf) -> Any:
    """Returns a finite number, or a Keras schedule as it is."""
    if callable(value) and not isinstance(value, type):
        return value
    try:
        return finite_number(name, value, minimum)
    except TypeError as error:
        raise TypeError(f"{error} Fix: pass a number or a Keras schedule.") from None


def shape(name: str, value: Any) -> tuple[int, ...]:
    """Returns an event shape as a tuple of positive integers; () is a scalar event.

    Raises:
        TypeError: If `value` is no sequence of integers.
        ValueError: If a dimension is below 1.
    """
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        raise TypeError(
            f"`{name}` must be a tuple of integers. Received: {name}={value}. Fix: pass ({value},)."
        )
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise TypeError(
            f"`{name}` must be a tuple of integers. "
            f"Received: {name}={value!r} of type {type(value).__name__}."
        )
    return tuple(integer(f"{name}[{i}]", d, 1) for i, d in enumerate(value))


def mapping(name: str, value: Any) -> dict[str, Any]:
    """Returns a dictionary by parameter as a `dict`; None is an empty one.

    Raises:
        TypeError: If `value` is neither.
    """
    if value is not None and not isinstance(value, Mapping):
        raise TypeError(
            f"`{name}` must be a dictionary by parameter. Received: {name}={value!r} of type "
            f"{type(value).__name__}. Fix: pass {{'scale': ...}}."
        )
    return dict(value or {})


def seed(value: Any) -> int | None:
    """Returns a seed as an `int` >= 0, or None.

    Raises:
        TypeError, ValueError: For anything else.
    """
    return None if value is None else integer("seed", value, 0)
