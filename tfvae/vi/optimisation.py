"""The optimizer of variational inference: stages of Adam whose iterates are averaged.

Each stage runs at one learning rate, from the average of the last; the rate falls once the average
stays where it is, measured in standard deviations of q, or the bound gains nothing beyond its
noise, and the run ends when both hold twice in a row. The ideas are those of RAABBVI (Welandawe
et al., 2022, arXiv:2203.15945). Between stages the coordinates are moved to the present q, so that
every stage sees a posterior of about zero mean and unit scale.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfvae.random import seed_pair
from tfvae.vi.inference import Inference
from tfvae.vi.program import Program
from tfvae.vi.surrogates import rate_of

RATE = 0.05  # in units of q's scale
DECAY = 0.5
LEAST_RATE = RATE * DECAY**6
FIRST_STAGE, GROWTH, LONGEST_STAGE = 200, 1.3, 2_000
SETTLED = 0.05  # sds of q that the average may move for the rate to fall
AT_REST = 0.03  # ... and for the run to end
# Where q cannot fit, its gradients stay noisy and so do its averages: the run ends as well after so
# many stages at the least rate that gain nothing, at rest if the noise is below this.
QUIET_STAGES, QUIET = 4, 0.3
NUM_CHECK = 1_000  # draws, the same ones at each stage, for the moments and the bound
BETA_1, BETA_2, EPSILON = 0.9, 0.99, 1e-8


class Outcome(NamedTuple):
    """How an optimisation ended.

    Attributes:
        steps: Steps taken.
        drift: sds that the last two averages differ by, at most over coordinates.
        is_settled: Whether it came to rest before the steps ran out.
        is_over: Whether it ended before the steps ran out, at rest or because nothing was gained.
        skipped: Steps left out because their gradient was not finite.
    """

    steps: int
    drift: float
    is_settled: bool
    is_over: bool
    skipped: int


class Moments(NamedTuple):
    """Mean and standard deviation of q by coordinate, [D], and log-weights of the draws, [S]."""

    mean: np.ndarray
    scale: np.ndarray
    log_weight: np.ndarray


class Progress:
    """When the rate of one fit falls, and when it ends.

    Attributes:
        rate: Learning rate of the next stage, in units of q's scale.
        length: Its steps.
        drift: sds that the last two averages differ by.
    """

    def __init__(self):
        self.rate, self.length, self.drift = RATE, float(FIRST_STAGE), np.inf
        self._at_rest, self._quiet = 0, 0

    @property
    def is_over(self) -> bool:
        """Whether nothing is gained by another stage."""
        return self._at_rest >= 2 or self._quiet >= QUIET_STAGES

    @property
    def is_settled(self) -> bool:
        """Whether it came to rest."""
        return self._at_rest >= 2 or (self._quiet >= QUIET_STAGES and self.drift < QUIET)

    def advance(self, before: Moments, now: Moments, *, may_end: bool = True) -> None:
        """Hears of the moments before and after a stage."""
        self.drift = _drift(before, now)
        gains = _gains(before, now) or not may_end
        self._at_rest = self._at_rest + 1 if self.drift < AT_REST and not gains else 0
        self._quiet = self._quiet + 1 if self.rate == LEAST_RATE and not gains else 0
        if self.drift < SETTLED or not gains:
            self.rate = max(self.rate * DECAY, LEAST_RATE)
            self.length = min(self.length * GROWTH, LONGEST_STAGE)


class Adam:
    """Adam with averaged iterates, on the weights of one fit or on those of many side by side.

    Args:
        weights: Variables, [*lead, ...].
        rates: Learning rate of each, relative to that of a stage.
        lead: () for one fit, or (M,).
    """

    def __init__(self, weights: list[tf.Variable], rates: list[float], lead: tuple[int, ...] = ()):
        self._weights, self._rates, self._lead = weights, rates, lead
        slots = [[tf.Variable(tf.zeros_like(w), trainable=False) for w in weights] for _ in "123"]
        self._first, self._second, self._sums = slots
        self.skipped = tf.Variable(tf.zeros(lead, tf.int64), trainable=False)

    def run_stage(
        self,
        length: tf.Tensor,
        rate: tf.Tensor,
        gradients: Callable[[tf.Tensor], list[tf.Tensor]],
    ) -> None:
        """Takes `length` steps and leaves the mean of the second half's iterates in the weights.

        Args:
            length: Steps, a scalar.
            rate: Learning rate, [*lead].
            gradients: From the step's number in the stage to the gradients of the weights.
        """
        for variable in (*self._first, *self._second, *self._sums):
            variable.assign(tf.zeros_like(variable))
        half = length // 2

        def body(i: tf.Tensor) -> tuple[tf.Tensor]:
            self._take_step(i, rate, gradients(i))
            for weight, total in zip(self._weights, self._sums, strict=True):
                share = tf.where(i >= half, 1.0 / tf.cast(length - half, tf.float32), 0.0)
                total.assign_add(share * weight)
            return (i + 1,)

        tf.while_loop(lambda i: i < length, body, (tf.constant(0),), parallel_iterations=1)
        for weight, total in zip(self._weights, self._sums, strict=True):
            weight.assign(total)

    def _take_step(self, i: tf.Tensor, rate: tf.Tensor, gradients: list[tf.Tensor]) -> None:
        lead = len(self._lead)
        finite = [
            tf.reduce_all(tf.math.is_finite(g), list(range(lead, g.shape.rank))) for g in gradients
        ]
        ok = tf.reduce_all(tf.stack(finite), axis=0)  # [*lead]
        self.skipped.assign_add(tf.cast(~ok, tf.int64))
        count = tf.cast(i + 1, tf.float32)
        correction = tf.sqrt(1.0 - BETA_2**count) / (1.0 - BETA_1**count)
        for weight, own_rate, first, second, gradient in zip(
            self._weights, self._rates, self._first, self._second, gradients, strict=True
        ):
            shape = [*self._lead] + [1] * (weight.shape.rank - lead)
            applies, step = tf.reshape(ok, shape), tf.reshape(rate * own_rate, shape)
            # A step without a finite gradient changes neither the weights nor the moments.
            m = BETA_1 * first + (1.0 - BETA_1) * gradient
            v = BETA_2 * second + (1.0 - BETA_2) * tf.square(gradient)
            update = step * correction * m / (tf.sqrt(v) + EPSILON)
            first.assign(tf.where(applies, m, first))
            second.assign(tf.where(applies, v, second))
            weight.assign_sub(tf.where(applies, update, tf.zeros_like(update)))


class Optimizer:
    """Stages of one fit, each a program.

    Args:
        inference: The model.
        next_batch: None, or a function that puts the next minibatch in place inside of the program.
    """

    def __init__(self, inference: Inference, next_batch: Callable[[], None] | None = None):
        self._inference, self._next_batch = inference, next_batch
        variables = inference.trainable_variables
        self._weights = [v.value for v in variables]
        self._adam = Adam(self._weights, [rate_of(inference.surrogate, v) for v in variables])
        self._step = tf.Variable(0, trainable=False, dtype=tf.int64)
        # XLA is left out: it takes longer to compile such a step than the steps take, and compiles
        # an AutoBatched joint anew at every one.
        self._stage = Program(self._run_stage)
        self._moments = Program(self._draw_moments)

    def run(self, num_steps: int, seed: int, report: Callable[[int, dict], None]) -> Outcome:
        """Optimises for at most `num_steps` steps; `report` hears of each stage."""
        self._step.assign(0)
        self._adam.skipped.assign(0)
        progress, taken, before = Progress(), 0, self.moments(seed)
        while taken < num_steps and not progress.is_over:
            length = int(min(progress.length, num_steps - taken))
            self._stage(
                tf.constant(length),
                tf.constant(progress.rate),
                seed_pair(seed, "vi/steps"),
                tf.constant(taken),
            )
            self._inference.surrogate.recentre()
            taken += length
            now = self.moments(seed)
            progress.advance(before, now, may_end=self._inference.schedules_over(taken))
            report(taken, {"elbo": float(np.mean(now.log_weight)), "drift": progress.drift})
            before = now
        skipped = int(self._adam.skipped)
        return Outcome(taken, progress.drift, progress.is_settled, progress.is_over, skipped)

    def moments(self, seed: int) -> Moments:
        """Returns moments of q over draws that are the same at every call."""
        return Moments(*(t.numpy() for t in self._moments(seed_pair(seed, "vi/moments"))))

    def _draw_moments(self, seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
        draws = self._inference(seed, num_samples=NUM_CHECK)
        u = draws.z[:, 0]
        return tf.reduce_mean(u, 0), tf.math.reduce_std(u, 0), draws.log_weight[:, 0]

    def _run_stage(
        self, length: tf.Tensor, rate: tf.Tensor, seed: tf.Tensor, taken: tf.Tensor
    ) -> None:
        def gradients(i: tf.Tensor) -> list[tf.Tensor]:
            if self._next_batch is not None:
                self._next_batch()
            with tf.GradientTape() as tape:
                draws = self._inference(tf.stack([seed[0], taken + i]))
                loss = self._inference.loss(draws, self._step)
            self._step.assign_add(1)
            return tape.gradient(loss, self._weights, unconnected_gradients="zero")

        self._adam.run_stage(length, rate, gradients)


def _drift(before: Moments, now: Moments) -> float:
    """The largest move of a mean, or of a log-scale, in units of q's own scale."""
    scale = np.maximum(np.minimum(before.scale, now.scale), np.finfo("float32").tiny)
    mean = np.max(np.abs(now.mean - before.mean) / scale)
    spread = np.max(np.abs(np.log(np.maximum(now.scale, 1e-30) / np.maximum(before.scale, 1e-30))))
    return float(np.nan_to_num(max(mean, spread), nan=np.inf))


def _gains(before: Moments, now: Moments) -> bool:
    """Whether the bound rises by more than twice its noise, over the same draws, and 0.01 nats."""
    gain = now.log_weight - before.log_weight
    error = np.std(gain) / np.sqrt(gain.size)
    return bool(np.mean(gain) > max(2.0 * error, 0.01))
