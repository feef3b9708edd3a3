"""Schedules of objectives' weights: Keras learning-rate schedules over optimizer steps."""

import math
from typing import Any

import keras
from keras import ops

from tfvae.checks import finite_number, positive_integer
from tfvae.serialization import serializable

Schedule = keras.optimizers.schedules.LearningRateSchedule


def value_at(value: Any, step: Any) -> Any:
    """Returns a float or a schedule's value at `step`, a scalar tensor."""
    return value(step) if callable(value) else value


def is_over(schedule: Schedule, step: int) -> bool:
    """Returns whether a schedule has been at its end value by some step.

    One without an attribute `warmup_steps` is over when it is within a hundredth of its value after
    a billion steps.
    """
    steps = getattr(schedule, "warmup_steps", None)
    if steps is not None:
        return step >= steps
    now, end = float(schedule(step)), float(schedule(10**9))
    return abs(now - end) <= 0.01 * max(abs(end), 1.0)


@serializable
class Linear(Schedule):
    """A straight line from `start` to `end`, then `end` (KL warm-up, Bowman et al., 2016).

    Args:
        start: Value at step 0.
        end: Value from step `steps` on.
        steps: Number of optimizer steps that the way takes.

    Raises:
        ValueError: If `steps` is not a positive integer or an end is not finite.

    Example:
    >>> float(Linear(0.0, 1.0, steps=100)(25))
    0.25
    """

    def __init__(self, start: float, end: float, steps: int):
        super().__init__()
        self.start, self.end = finite_number("start", start), finite_number("end", end)
        self.steps = positive_integer("steps", steps)

    @property
    def warmup_steps(self) -> int:
        """Steps until it is at `end` for the first time."""
        return self.steps

    def __call__(self, step: Any) -> Any:
        done = ops.minimum(ops.cast(step, "float32") / self.steps, 1.0)
        return self.start + (self.end - self.start) * done


@serializable
class Cyclical(Schedule):
    """Periods of a line from `start` to `end`, then `end` (Fu et al., 2019, arXiv:1903.10145).

    Args:
        start: Value at the beginning of each period.
        end: Value after the ramp of each period.
        period: Length of a period in optimizer steps.
        ramp: Share of the period that the straight line takes, in (0, 1].

    Raises:
        ValueError: If `period` is not a positive integer or `ramp` is outside (0, 1].

    Example:
    >>> beta = Cyclical(0.0, 1.0, period=100, ramp=0.5)
    >>> float(beta(25)), float(beta(75)), float(beta(125))
    (0.5, 1.0, 0.5)
    """

    def __init__(self, start: float, end: float, period: int, ramp: float = 0.5):
        super().__init__()
        self.start, self.end = finite_number("start", start), finite_number("end", end)
        self.period = positive_integer("period", period)
        self.ramp = finite_number("ramp", ramp)
        if not 0.0 < ramp <= 1.0:
            raise ValueError(f"`ramp` must be in (0, 1]. Received: ramp={ramp}.")

    @property
    def warmup_steps(self) -> int:
        """Steps until it is at `end` for the first time."""
        return math.ceil(self.period * self.ramp)

    def __call__(self, step: Any) -> Any:
        phase = ops.cast(step % self.period, "float32") / self.period
        return self.start + (self.end - self.start) * ops.minimum(phase / self.ramp, 1.0)
