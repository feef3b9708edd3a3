"""What a fit gives: draws, moments, the bound, and what is wrong with it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfvae import checks
from tfvae.vi import psis
from tfvae.vi.sampling import Sampler
from tfvae.vi.summary import Summary, summarise

NUM_DRAWS = 10_000  # of q: for the bound, k-hat, means and tables
LARGEST_SHIFT = 0.25  # of a mean, in posterior standard deviations
LARGEST_RATIO = 1.25  # of q's standard deviation to the posterior's, either way


class Bound(NamedTuple):
    """A Monte Carlo estimate of the evidence lower bound, in nats."""

    value: float
    standard_error: float


class Fit:
    """An approximate posterior q, and how far it is to be trusted. `vi.fit` makes it.

    Attributes:
        elbo: The bound with its standard error, over draws that no step has seen.
        pareto_k: k-hat of the importance weights p(z, x) / q(z); above `vi.threshold(S)`, 0.7 for
            ten thousand draws, q is too far from the posterior even for a correction.
        converged: Whether nothing is wrong; `reasons` says what is.
        reasons: What is wrong, in words.
        steps: Steps taken.
        gradients: Points at which the joint's gradient was taken, in all restarts.
        surrogate: The stochastic layer q(u), over the unconstrained vector.
    """

    def __init__(self, sampler: Sampler, reasons: list[str], steps: int, seed: int, gradients: int):
        self.sampler, self.steps, self.seed, self.gradients = sampler, steps, seed, gradients
        self.inference, self.feed = sampler.inference, sampler.feed
        self.surrogate = self.inference.surrogate
        draws, u, log_q = sampler.draws(NUM_DRAWS, seed, "vi/bound")
        log_weight = sampler.log_joint(u) - log_q
        bad = ~np.isfinite(log_weight)
        self.elbo = Bound(
            float(np.mean(log_weight)) if not bad.any() else -np.inf,
            float(np.std(log_weight) / np.sqrt(log_weight.size)) if not bad.any() else np.inf,
        )
        smoothed = psis.smooth(np.where(bad, -np.inf, log_weight))
        self.pareto_k = smoothed.pareto_k
        self.optimisation_reasons = list(reasons)
        self.reasons = self.optimisation_reasons + self._complaints(bad)
        if self.pareto_k <= psis.threshold(NUM_DRAWS):
            self.reasons += _corrections(draws, np.exp(smoothed.log_weight))

    @property
    def converged(self) -> bool:
        """Whether nothing is wrong."""
        return not self.reasons

    @property
    def names(self) -> list[str]:
        """The latents' names, in the joint's order."""
        return self.inference.target.names

    def sample(self, n: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Returns `n` draws from q, by name, [n, ...] each, in the latents' own domains.

        Args:
            n: Number of draws.
            seed: The same seed gives the same draws.

        Example:
        >>> fit.sample(4_000)["theta"].shape  # doctest: +SKIP
        (4000, 8)
        """
        return self.sampler.draws(checks.positive_integer("n", n), checks.seed(seed))[0]

    def mean(self) -> dict[str, np.ndarray]:
        """Returns the means of the latents under q, by name, over ten thousand draws."""
        return {n: v.mean(axis=0) for n, v in self.sample(NUM_DRAWS).items()}

    def expectation(
        self, function: Callable[[dict[str, np.ndarray]], Any] | None = None, seed: int = 0
    ) -> Any:
        """Returns a posterior expectation, corrected by Pareto-smoothed importance sampling.

        It is the nearer to the posterior's the better q covers it: trust it where `pareto_k` is
        good, whatever q's own bias.

        Args:
            function: From draws by name, [S, ...] each, to an array [S, ...] or a structure of
                them; by default the draws themselves, whose expectations are the means.
            seed: Seed of the draws.

        Example:
        >>> fit.expectation(lambda z: z["tau"] > 1.0)  # doctest: +SKIP
        0.87
        """
        draws, u, log_q = self.sampler.draws(NUM_DRAWS, checks.seed(seed))
        log_weight = self.sampler.log_joint(u) - log_q
        log_weight = np.where(np.isfinite(log_weight), log_weight, -np.inf)
        weight = np.exp(psis.smooth(log_weight).log_weight)
        values = draws if function is None else function(draws)
        return tf.nest.map_structure(
            lambda v: np.tensordot(weight, np.asarray(v, "float64"), 1), values
        )

    def summary(self) -> Summary:
        """Returns a table of mean, sd, quantiles and Monte Carlo error, which prints itself."""
        head = f"ELBO {self.elbo.value:.3f} +- {self.elbo.standard_error:.3f} nats, "
        head += f"k-hat {self.pareto_k:.2f}, " + (
            "converged" if self.converged else "NOT converged"
        )
        return summarise(self.sample(NUM_DRAWS), head, self.reasons)

    def log_weights(self, num_draws: int, stream: str = "vi/weights") -> np.ndarray:
        """Returns log p(z, x) - log q(z) at draws of q, [S], in nats."""
        _, u, log_q = self.sampler.draws(num_draws, self.seed, stream)
        return self.sampler.log_joint(u) - log_q

    def to_arviz(self, num_draws: int = 4_000, seed: int = 0) -> Any:
        """Returns draws as an ArviZ `InferenceData` (or `DataTree`, from ArviZ 1 on).

        Args:
            num_draws: Draws of q, as one chain.
            seed: Their seed.

        Raises:
            ImportError: If ArviZ is not installed.

        Example:
        >>> arviz.plot_posterior(fit.to_arviz())  # doctest: +SKIP
        """
        import arviz

        posterior = {n: v[None] for n, v in self.sample(num_draws, seed).items()}
        observed = {n: v.numpy() for n, v in self.feed.values.items()}
        groups = {"posterior": posterior}
        if self.feed.dataset is None:
            groups["observed_data"] = observed
        if int(arviz.__version__.split(".")[0]) >= 1:
            return arviz.from_dict(groups)
        return arviz.from_dict(**groups)

    def save(self, path: Any) -> None:
        """Writes the fit to one `.npz` file, whole or not at all; `vi.load` reads it.

        It holds q, the data if they are arrays, and the numbers above; the joint is code, and stays
        outside.

        Raises:
            ValueError: If the ending is another, or a layer of the user's is not registered.
            ArtifactError: If it cannot be written.
        """
        from tfvae.vi.saving import write

        write(self, path)

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        return f"<Fit of {', '.join(self.names)}: {state}, {self.steps} steps>"

    def _complaints(self, bad: np.ndarray) -> list[str]:
        found, limit = [], psis.threshold(NUM_DRAWS)
        if bad.any():
            found.append(
                f"{bad.mean():.2%} of q's draws have no finite density: q reaches outside of the "
                "model's support or of float32"
            )
        if self.pareto_k > limit:
            found.append(
                f"k-hat is {self.pareto_k:.2f}, above {limit:.2f}: q is too far from the posterior;"
                f" try {self.surrogate.richer} or a reparameterised model"
            )
        return found


def _corrections(draws: dict[str, np.ndarray], weight: np.ndarray) -> list[str]:
    """Returns in which latents q is far from the posterior that good importance weights show.

    A k-hat below its threshold says that the weights can mend q, not that q needs no mending.

    Args:
        draws: Draws of q by name, [S, ...] each.
        weight: Their normalised importance weights, [S].
    """
    found, share = [], np.full_like(weight, 1.0 / weight.size)
    for name, values in draws.items():
        values = np.asarray(values, "float64").reshape(weight.size, -1)
        (mean, scale), (true_mean, true_scale) = (_moments(values, w) for w in (share, weight))
        # A constant, such as the diagonal of a correlation matrix, has no scale but rounding.
        varies = np.minimum(scale, true_scale) > 1e-6 * np.abs(mean)
        if not varies.any():
            continue
        shift = np.max((np.abs(mean - true_mean)[varies]) / true_scale[varies])
        ratio = scale[varies] / true_scale[varies]
        worst = ratio[np.argmax(np.abs(np.log(ratio)))]
        if shift > LARGEST_SHIFT:
            found.append(f"the mean of `{name}` is {shift:.2f} posterior sd off")
        if max(worst, 1.0 / worst) > LARGEST_RATIO:
            found.append(f"the sd of `{name}` is {worst:.2f} of the posterior's")
    if not found:
        return []
    return [
        f"importance weights say that {', '.join(found)}: take `expectation`, which corrects it, "
        "or a richer family"
    ]


def _moments(values: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns weighted means and standard deviations of columns."""
    mean = weight @ values
    return mean, np.sqrt(weight @ (values - mean) ** 2)
