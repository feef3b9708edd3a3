"""Simulation-based calibration (Talts et al., 2018, arXiv:1804.06788)."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfvae import checks
from tfvae.random import fresh_seed, seed_pair
from tfvae.vi.fitting import Fitter
from tfvae.vi.many import ManyFits, group_size
from tfvae.vi.surrogates import FullRank, MeanField
from tfvae.vi.target import checked_nodes, named

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_log = logging.getLogger(__name__)

NUM_BINS = 20
NUM_DRAWS = 99  # ranks are 0..99: five of them a bin


class Calibration(NamedTuple):
    """Ranks of true latents among posterior draws; uniform where inference is exact.

    Attributes:
        ranks: By label such as "theta[3]", integers in 0..99, [N] each.
        p_values: By label: the chance of ranks as uneven as these from exact inference.
    """

    ranks: dict[str, np.ndarray]
    p_values: dict[str, float]

    def plot(self) -> "Figure":
        """Returns a histogram of the ranks of each latent number, with its 99 % band.

        A hump says that q is too wide, a cup that it is too narrow, a slope that it is biased.
        """
        from matplotlib.figure import Figure

        columns = min(len(self.ranks), 4)
        rows = -(-len(self.ranks) // columns)
        figure = Figure(figsize=(3.0 * columns, 2.2 * rows), layout="constrained")
        for i, (label, ranks) in enumerate(self.ranks.items()):
            axes, expected = figure.add_subplot(rows, columns, i + 1), len(ranks) / NUM_BINS
            half = 2.58 * np.sqrt(expected * (1.0 - 1.0 / NUM_BINS))
            axes.axhspan(max(expected - half, 0.0), expected + half, color="#E5E5E5")
            axes.hist(ranks, np.linspace(0, NUM_DRAWS + 1, NUM_BINS + 1), color="#0072B2")
            axes.set_title(f"{label}, p = {self.p_values[label]:.2g}", fontsize=9)
            axes.set_yticks([])
        return figure


def calibrate(
    joint: Any,
    observed: Sequence[str],
    *,
    num_simulations: int = 200,
    infer: Callable[[dict[str, np.ndarray], int], Mapping[str, np.ndarray]] | None = None,
    surrogate: Any = "mean_field",
    num_steps: int = 2_000,
    seed: int | None = None,
    verbose: int = 1,
) -> Calibration:
    """Fits data that the joint itself has drawn, and ranks the true latents among q's draws.

    Gaussian surrogates are fitted to all data sets side by side, by one program. Other surrogates,
    and joints that cannot be mapped over data sets, go one after another, and a warning is logged.
    With `infer`, any other inference is judged in the same way.

    Args:
        joint: A joint distribution whose priors are proper.
        observed: Names of the nodes that are data.
        num_simulations: N, data sets to draw; two hundred find gross faults, a thousand finer ones.
        infer: None, or a function from data by name and a seed to 99 independent posterior draws
            by name.
        surrogate: As in `vi.fit`.
        num_steps: Steps of each fit at most.
        seed: Seed of all noise; None draws one.
        verbose: 0 for silence, 1 for a progress bar.

    Raises:
        TypeError, ValueError: If an argument does not fit.
        DataError: If `observed` does not fit the joint.

    Example:
    >>> vi.calibrate(joint, ["y"], surrogate="full_rank").plot()  # doctest: +SKIP
    """
    num_simulations = checks.integer("num_simulations", num_simulations, NUM_BINS)
    seed = fresh_seed() if seed is None else checks.seed(seed)
    if isinstance(observed, str):
        raise TypeError(
            "`observed` must be a list of names. "
            f"Received: observed={observed!r}. Fix: pass [{observed!r}]."
        )

    def simulate(index: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Data, and the latents that they come from."""
        drawn = joint.sample(seed=seed_pair(seed, "vi/simulate", index))
        values = {n: np.asarray(v) for n, v in named(drawn, names).items()}
        data = {n: values.pop(n) for n in observed if n in values}
        return data, values

    names = list(joint._flat_resolve_names()) if hasattr(joint, "experimental_pin") else []
    simulated = [simulate(0)]
    checked_nodes(joint, simulated[0][0] | {n: 0.0 for n in observed if n not in names})
    simulated += [simulate(i) for i in range(1, num_simulations)]
    data = [values for values, _ in simulated]
    if infer is None:
        fits = _fits(joint, data, surrogate, num_steps, seed)
    else:
        fits = (infer(values, seed + i) for i, values in enumerate(data))
    ranks: dict[str, list[int]] = {}
    bar = keras.utils.Progbar(num_simulations, verbose=verbose, unit_name="simulation")
    for i, ((_, latents), draws) in enumerate(zip(simulated, fits, strict=True)):
        for name, true in latents.items():
            below = np.sum(np.asarray(draws[name]) < true, axis=0)
            for index in np.ndindex(true.shape):
                label = f"{name}[{', '.join(map(str, index))}]" if index else name
                ranks.setdefault(label, []).append(int(below[index]))
        bar.update(i + 1)
    arrays = {k: np.array(v) for k, v in ranks.items()}
    return Calibration(arrays, {k: _p_value(v) for k, v in arrays.items()})


def _fits(
    joint: Any, data: Sequence[dict[str, np.ndarray]], surrogate: Any, num_steps: int, seed: int
) -> Iterator[dict[str, np.ndarray]]:
    """Yields draws from q of each data set."""
    fitter = Fitter(joint, data[0], surrogate=surrogate, seed=seed, verbose=0)
    family = fitter.sampler.inference.surrogate
    if not isinstance(family, MeanField | FullRank):  # networks and splines do not map rightly
        _log.warning(
            "Only Gaussian surrogates are fitted side by side: %s is fitted to one data set after "
            "another.",
            type(family).__name__,
        )
        yield from _one_by_one(fitter, data, num_steps, seed)
        return
    many = ManyFits(fitter, group_size(data[0], len(data)))
    for first in range(0, len(data), many.num):
        group = list(data[first : first + many.num])
        filled = group + [group[0]] * (many.num - len(group))  # of one size: one program
        try:
            many.run(filled, num_steps, seed + first)
        except (TypeError, ValueError, NotImplementedError, tf.errors.OpError) as error:
            _log.warning(
                "The joint cannot be mapped over data sets, so that they are fitted one after "
                "another: %s",
                str(error).splitlines()[0],
            )
            yield from _one_by_one(fitter, data[first:], num_steps, seed + first)
            return
        for i in range(len(group)):
            many.load(i)
            yield fitter.sampler.draws(NUM_DRAWS, seed + first + i)[0]


def _one_by_one(
    fitter: Fitter, data: Sequence[dict[str, np.ndarray]], num_steps: int, seed: int
) -> Iterator[dict[str, np.ndarray]]:
    for i, values in enumerate(data):
        fitter.sampler.feed.put(values)
        fitter.optimise(num_steps, seed=seed + i)
        yield fitter.sampler.draws(NUM_DRAWS, seed + i)[0]


def _p_value(ranks: np.ndarray) -> float:
    """Returns the chi-square p-value of uniform ranks, in bins of five."""
    counts = np.bincount(ranks * NUM_BINS // (NUM_DRAWS + 1), minlength=NUM_BINS)
    expected = ranks.size / NUM_BINS
    statistic = np.sum((counts - expected) ** 2) / expected
    half = tf.constant([(NUM_BINS - 1) / 2, statistic / 2], tf.float64)
    return float(tf.math.igammac(half[0], half[1]))
