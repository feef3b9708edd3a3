"""Where to start: quasi-Newton paths to modes, judged by the bound (Pathfinder).

Zhang, Carpenter, Gelman and Vehtari (2022, arXiv:2108.03782). A mode may be nowhere near the mass,
or not exist: so each point of the path, with the curvature seen so far, is a candidate Gaussian,
and the one of the highest bound is taken.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

MAX_ITERATIONS = 100
MAX_HALVINGS = 20
DECREMENT = 1e-4  # nats that another Newton step would gain: far inside of the posterior
NUM_DRAWS = 16  # of each candidate
ROUNDS = 8  # of refinement, at most
POINTS = 2_048  # gradients of a round
RIVAL = 5.0  # nats that the bound of a second mode may be lower by
FAR = 3.0  # standard deviations beyond the shell of a Gaussian
STEP = 0.1  # of the differences, in whitened coordinates
CURVATURES = 1e-3, 1e3  # range of what a round may find them to be, relative to the last one

Evaluate = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class Gaussian(NamedTuple):
    """A Gaussian around a point of a path; `scale` is lower triangular, or a diagonal."""

    loc: np.ndarray
    scale: np.ndarray
    elbo: float


def best_gaussian(
    evaluate: Evaluate, starts: np.ndarray, dense: int, seed: int
) -> tuple[Gaussian, int]:
    """Returns the best Gaussian along the paths from all starts, and the number of its rivals.

    A rival is the best of another path that stays far away when it is refined, with a bound that
    is nearly as high: a sign of a second mode.

    Args:
        evaluate: Points [N, D] -> log-densities [N] and their gradients [N, D].
        starts: Points of finite density, [P, D].
        dense: Number of coordinates up to which the covariance is kept whole.
        seed: Seed of the draws that judge the candidates.
    """
    rng = np.random.default_rng(seed)
    fallback = Gaussian(starts[0], _scale_of(np.full(starts.shape[1], 0.01), dense), -np.inf)
    found = [_best_on_path(evaluate, start, dense, rng) or fallback for start in starts]
    found.sort(key=lambda gaussian: -gaussian.elbo)
    best, *others = found
    if best.scale.ndim == 1:
        return best, 0
    modes = [refined(evaluate, best, rng)]
    for other in others:
        if other.elbo > -np.inf and all(_is_far(other, mode) for mode in modes):
            other = refined(evaluate, other, rng)
            if all(_is_far(other, mode) for mode in modes):
                modes.append(other)
    best = max(modes, key=lambda gaussian: gaussian.elbo)
    return best, sum(mode.elbo > best.elbo - RIVAL for mode in modes) - 1


def _best_on_path(
    evaluate: Evaluate, start: np.ndarray, dense: int, rng: np.random.Generator
) -> Gaussian | None:
    best = None
    for loc, covariance in path(evaluate, start, dense):
        try:
            scale = _scale_of(covariance, dense)
        except np.linalg.LinAlgError:
            continue
        candidate = Gaussian(loc, scale, _elbo(evaluate, loc, scale, rng))
        if candidate.elbo > (-np.inf if best is None else best.elbo):
            best = candidate
    return best


def _is_far(one: Gaussian, other: Gaussian) -> bool:
    """Whether each centre is where the other Gaussian has next to no mass."""
    away = one.loc - other.loc
    distances = [np.linalg.norm(np.linalg.solve(g.scale, away)) for g in (one, other)]
    return min(distances) > FAR + np.sqrt(away.size)


def refined(evaluate: Evaluate, start: Gaussian, rng: np.random.Generator) -> Gaussian:
    """Returns a Gaussian after Newton steps on the bound, as long as they raise it.

    The best Gaussian has the covariance -E[H]**-1 and E[g] = 0, with g and H gradient and Hessian
    of the log-density (Opper and Archambeau, 2009). The Hessian is taken by differences.
    """
    size = start.loc.size
    half = rng.normal(size=(max(1, POINTS // (4 * size)), size))
    noise = np.concatenate([half, -half])
    best = start._replace(elbo=_elbo_at(evaluate, start, noise))
    for _ in range(ROUNDS):
        curvature, slope = _whitened_derivatives(evaluate, best, noise)
        if not (np.isfinite(curvature).all() and np.isfinite(slope).all()):
            break
        values, vectors = np.linalg.eigh(curvature)
        values = np.clip(values, *CURVATURES)
        step = vectors @ (vectors.T @ slope / values)
        covariance = best.scale @ (vectors / values) @ vectors.T @ best.scale.T
        for shorter in (1.0, 0.3):
            loc = best.loc + shorter * best.scale @ step
            blend = shorter * covariance + (1.0 - shorter) * best.scale @ best.scale.T
            candidate = Gaussian(loc, np.linalg.cholesky(blend), 0.0)
            candidate = candidate._replace(elbo=_elbo_at(evaluate, candidate, noise))
            if candidate.elbo > best.elbo:
                break
        else:
            break
        gain, best = candidate.elbo - best.elbo, candidate
        if gain < DECREMENT:
            break
    return best


def _whitened_derivatives(
    evaluate: Evaluate, gaussian: Gaussian, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns minus the mean Hessian [D, D] and the mean gradient [D], in whitened coordinates."""
    size = gaussian.loc.size
    offsets = STEP * np.concatenate([np.eye(size), -np.eye(size)])  # [2D, D]
    points = (noise[:, None] + offsets).reshape(-1, size)
    gradients = evaluate((gaussian.loc + points @ gaussian.scale.T).astype("float32"))[1]
    gradients = gradients.astype("float64") @ gaussian.scale
    mean = gradients.reshape(-1, 2, size, size).mean(axis=0)
    curvature = (mean[1] - mean[0]) / (2.0 * STEP)
    return 0.5 * (curvature + curvature.T), mean.mean(axis=(0, 1))


def path(evaluate: Evaluate, start: np.ndarray, dense: int) -> list[tuple]:
    """Returns the points of a BFGS ascent from `start`, each with a covariance estimate.

    The estimate is the inverse Hessian of minus the log-density as the steps have shown it: whole,
    [D, D], up to `dense` coordinates, else its diagonal, [D].
    """

    def at(x: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(over="ignore"):  # a step out of float32 has no density
            value, gradient = evaluate(x[None].astype("float32"))
        return -float(value[0]), -gradient[0].astype("float64")

    x, points = start.astype("float64"), []
    value, gradient = at(x)
    inverse = np.ones(x.size) / max(np.linalg.norm(gradient), 1.0)
    if is_dense := x.size <= dense:
        inverse = np.diag(inverse)
    for iteration in range(MAX_ITERATIONS):
        step = -(inverse @ gradient if is_dense else inverse * gradient)
        if -step @ gradient < DECREMENT and iteration > 0:
            break
        moved = _line_search(at, x, value, gradient, step)
        if moved is None:
            break
        new, value, new_gradient = moved
        s, y = new - x, new_gradient - gradient
        x, gradient = new, new_gradient
        if s @ y > 1e-10 * (y @ y):
            inverse = _update(inverse, s, y, is_first=iteration == 0)
        points.append((x.copy(), inverse.copy()))
    return points


def _line_search(at: Callable, x, value, gradient, step) -> tuple | None:
    """Returns the next point with its value and gradient: weak Wolfe conditions by bisection."""
    slope, t, low, high, found = gradient @ step, 1.0, 0.0, np.inf, None
    for _ in range(MAX_HALVINGS):
        new = x + t * step
        new_value, new_gradient = at(new)
        if not (np.isfinite(new_value) and np.isfinite(new_gradient).all()) or (
            new_value > value + 1e-4 * t * slope
        ):
            high = t
        else:
            found = new, new_value, new_gradient
            if new_gradient @ step >= 0.9 * slope:
                break
            low = t
        t = 0.5 * (low + high) if np.isfinite(high) else 2.0 * t
    return found


def _update(inverse: np.ndarray, s: np.ndarray, y: np.ndarray, *, is_first: bool) -> np.ndarray:
    """Returns the BFGS update of an inverse Hessian; of a diagonal, that of its diagonal."""
    sy = s @ y
    if inverse.ndim == 1:  # Gilbert and Lemarechal's, as in Pathfinder's equation for its diagonal
        yhy = y * inverse @ y
        ratio = s * s / inverse
        return 1.0 / (
            yhy / (sy * inverse) + y * y / sy - yhy * ratio / (sy * inverse * ratio.sum())
        )
    if is_first:
        inverse = np.eye(s.size) * sy / (y @ y)
    v = np.eye(s.size) - np.outer(s, y) / sy
    return v @ inverse @ v.T + np.outer(s, s) / sy


def _scale_of(covariance: np.ndarray, dense: int) -> np.ndarray:
    if covariance.ndim == 1:
        return np.sqrt(covariance) if covariance.size > dense else np.diag(np.sqrt(covariance))
    return np.linalg.cholesky(covariance)


def _elbo(
    evaluate: Evaluate, loc: np.ndarray, scale: np.ndarray, rng: np.random.Generator
) -> float:
    """Returns the bound of a Gaussian up to a constant, -inf where a draw has no density."""
    return _elbo_at(evaluate, Gaussian(loc, scale, 0.0), rng.normal(size=(NUM_DRAWS, loc.size)))


def _elbo_at(evaluate: Evaluate, gaussian: Gaussian, noise: np.ndarray) -> float:
    loc, scale, _ = gaussian
    u = loc + (noise @ scale.T if scale.ndim == 2 else noise * scale)
    diagonal = np.diag(scale) if scale.ndim == 2 else scale
    with np.errstate(all="ignore"):
        value = float(
            np.mean(evaluate(u.astype("float32"))[0], dtype="float64") + np.sum(np.log(diagonal))
        )
    return value if np.isfinite(value) else -np.inf
