"""The one call of variational inference."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfvae import checks
from tfvae.random import fresh_seed, seed_pair, seeded_initializers
from tfvae.vi import surrogates
from tfvae.vi.feed import Feed
from tfvae.vi.inference import Inference
from tfvae.vi.optimisation import Moments, Optimizer, Outcome
from tfvae.vi.pathfinder import best_gaussian
from tfvae.vi.program import Program
from tfvae.vi.result import Fit
from tfvae.vi.sampling import Sampler
from tfvae.vi.target import Target

NUM_STARTS = 4  # paths of each restart
DISAGREE = 0.5  # sds between the means of two restarts


def fit(
    joint: Any,
    data: Any,
    *,
    surrogate: Any = "mean_field",
    objective: Any = None,
    num_steps: int = 20_000,
    num_examples: int | None = None,
    restarts: int = 1,
    seed: int | None = None,
    verbose: int = 1,
) -> Fit:
    """Finds the q in a family that is nearest to the posterior of a joint distribution.

    Latents keep their names and shapes; constrained ones are mapped to the reals by the
    distributions' own bijectors. Quasi-Newton paths find where the posterior is and how it is
    scaled; then averaged Adam maximises the bound until it stands still.

    Args:
        joint: Any `tfd.JointDistribution*`, or a function that returns one from covariates, which
            are then entries of `data` by the names of the function's arguments.
        data: Observed values by name; or a `tf.data.Dataset` of dictionaries of batches [B, ...],
            for which the joint is that of one batch.
        surrogate: The family: "mean_field", "full_rank", "low_rank", "flow", or a stochastic layer
            over the (D,) unconstrained coordinates.
        objective: An `Objective` or a list; the ELBO with the gradient of `StickingTheLanding`
            by default.
        num_steps: Steps at most; most fits end earlier.
        num_examples: N, with a dataset: the likelihood of a batch counts N / B times.
        restarts: Independent runs; the one with the highest bound is returned, and `reasons` says
            if they disagree.
        seed: Seed of all noise; None draws one, which `Fit.seed` keeps.
        verbose: 0 for silence, 1 for a progress bar.

    Returns:
        The fit. Look at `converged` and `reasons` before its numbers.

    Raises:
        TypeError, ValueError: If an argument does not fit, or a latent is discrete.
        DataError: If the data do not fit the joint, or it is not finite.

    Example:
    >>> joint = tfd.JointDistributionNamedAutoBatched({
    ...     "mu": tfd.Normal(0.0, 10.0), "y": lambda mu: tfd.Sample(tfd.Normal(mu, 1.0), 3)})
    >>> round(float(fit(joint, {"y": [1.0, 2.0, 3.0]}, seed=0, verbose=0).mean()["mu"]), 1)
    2.0
    """
    num_steps = checks.positive_integer("num_steps", num_steps)
    restarts = checks.positive_integer("restarts", restarts)
    seed = fresh_seed() if seed is None else checks.seed(seed)
    fitter = Fitter(joint, data, surrogate, objective, num_examples, seed, verbose)
    best, reasons = fitter.optimise(num_steps, restarts)
    return Fit(fitter.sampler, reasons, best.outcome.steps, seed, fitter.gradients)


class Run(NamedTuple):
    """One restart: its weights, how it ended, its moments, and other modes that it met."""

    weights: list[np.ndarray]
    outcome: Outcome
    moments: Moments
    num_rivals: int

    @property
    def elbo(self) -> float:
        """The bound over the draws of the moments, in nats."""
        return float(np.nan_to_num(np.mean(self.moments.log_weight), nan=-np.inf))


class Fitter:
    """The programs of a fit, which serve any number of restarts and of data sets of one shape.

    The arguments are those of `fit`.
    """

    def __init__(
        self,
        joint: Any,
        data: Any,
        surrogate: Any = "mean_field",
        objective: Any = None,
        num_examples: int | None = None,
        seed: int = 0,
        verbose: int = 0,
    ):
        feed = Feed(joint, data, num_examples)
        target = Target(joint, feed.values, feed.covariates, feed.scale)
        with seeded_initializers(seed):
            layer = surrogates.make(surrogate, target.size)
        self._inference, self._seed, self._verbose = (
            Inference(target, layer, objective),
            seed,
            verbose,
        )
        self.sampler = Sampler(self._inference, feed)
        self.gradients = 0
        self._initial = self._inference.get_weights()
        self._optimizer = Optimizer(self._inference, feed.next_batch)
        self._gradient = Program(
            self._value_and_gradient, [tf.TensorSpec([None, target.size], tf.float32)]
        )

    def optimise(
        self, num_steps: int, restarts: int = 1, seed: int | None = None
    ) -> tuple[Run, list[str]]:
        """Leaves the best of some restarts in the weights; returns it, and what is wrong."""
        seed = self._seed if seed is None else seed
        runs = [self._run(num_steps, seed, i) for i in range(restarts)]
        best = max(runs, key=lambda run: run.elbo)
        self._inference.set_weights(best.weights)
        return best, _reasons(best, runs)

    def start(self, seed: int, index: int = 0) -> int:
        """Puts q where the paths from some points lead; returns the number of other modes met."""
        target = self._inference.target
        self._inference.set_weights(self._initial)
        starts = target.starts(NUM_STARTS, seed_pair(seed, "vi/starts", index))
        found, num_rivals = best_gaussian(self._evaluate, starts, surrogates.DENSE, seed + index)
        self._inference.surrogate.start(found.loc, found.scale)
        return num_rivals

    def _run(self, num_steps: int, seed: int, index: int) -> Run:
        inference = self._inference
        num_rivals = self.start(seed, index)
        seed = seed + index
        bar = keras.utils.Progbar(
            num_steps, verbose=self._verbose, stateful_metrics=["elbo", "drift"], unit_name="step"
        )
        outcome = self._optimizer.run(
            num_steps, seed, lambda taken, values: bar.update(taken, list(values.items()))
        )
        self.gradients += outcome.steps * inference.num_samples
        if self._verbose and outcome.steps < num_steps:
            bar.update(outcome.steps, finalize=True)
        return Run(inference.get_weights(), outcome, self._optimizer.moments(seed), num_rivals)

    def _evaluate(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.gradients += len(u)
        chunk = self.sampler.feed.chunk
        parts = [self._gradient(tf.constant(u[i : i + chunk])) for i in range(0, len(u), chunk)]
        return tuple(np.concatenate([p[j].numpy() for p in parts]) for j in (0, 1))

    def _value_and_gradient(self, u: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(u)
            value = self._inference.target.log_density(u)
        return value, tape.gradient(value, u, unconnected_gradients="zero")


def _reasons(best: Run, runs: list[Run]) -> list[str]:
    """Returns what is wrong with the way the optimisation went, in words."""
    found, outcome = [], best.outcome
    if outcome.is_over and not outcome.is_settled:
        found.append(
            f"q still wanders by {outcome.drift:.2g} standard deviations a stage at the least "
            "learning rate, and gains nothing: the family does not hold the posterior"
        )
    elif not outcome.is_settled:
        found.append(
            f"the {outcome.steps} steps ran out while q still drifted by {outcome.drift:.2g} "
            "standard deviations a stage: raise num_steps"
        )
    if outcome.skipped > 0.01 * outcome.steps:
        found.append(
            f"{outcome.skipped} of {outcome.steps} gradients were not finite and were left out"
        )
    if best.num_rivals:
        found.append(
            f"paths from other starts ended in {best.num_rivals} other mode(s), with a bound nearly"
            " as high or higher, of which q holds one: order or pin what the model leaves symmetric"
        )
    for i, other in enumerate(runs):
        apart = np.max(np.abs(other.moments.mean - best.moments.mean) / best.moments.scale)
        if apart > DISAGREE:
            found.append(
                f"restart {i} disagrees: its means are up to {apart:.1f} standard deviations away, "
                f"its bound {best.elbo - other.elbo:.2f} nats lower; there may be several modes"
            )
    return found
