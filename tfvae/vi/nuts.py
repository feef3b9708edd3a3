"""Markov chains from where a fit is, to check it by."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae import checks
from tfvae.random import seed_pair
from tfvae.vi.result import NUM_DRAWS, Fit
from tfvae.vi.surrogates import DENSE

TARGET_ACCEPTANCE = 0.8


class Chains(NamedTuple):
    """Draws of NUTS.

    Attributes:
        draws: By name, [chains, draws, ...] each, in the latents' own domains.
        r_hat: Potential scale reduction by name, of a latent's shape each; about 1 when mixed.
        divergences: Share of the draws whose trajectory diverged.
    """

    draws: dict[str, np.ndarray]
    r_hat: dict[str, np.ndarray]
    divergences: float


def nuts(
    fit: Fit, num_draws: int = 1_000, *, num_chains: int = 4, num_burnin: int = 500, seed: int = 0
) -> Chains:
    """Samples the posterior by the No-U-Turn sampler of TFP, started and scaled by a fit.

    The chains begin at draws of q and run in the coordinates in which q has unit covariance, so
    that a fit that is nearly right makes them short. Hoffman and Gelman (2011, arXiv:1111.4246).

    Args:
        fit: A fit of arrays; chains do not take minibatches.
        num_draws: Draws of each chain that are kept.
        num_chains: Chains, at least 2.
        num_burnin: Draws before them, in which the step size adapts.
        seed: Seed of the chains.

    Raises:
        TypeError, ValueError: If an argument does not fit, or the fit is one of minibatches.

    Example: three lines to check a fit by.
    >>> chains = vi.nuts(fit)  # doctest: +SKIP
    >>> fit.mean()["mu"], chains.draws["mu"].mean()  # doctest: +SKIP
    """
    num_draws = checks.integer("num_draws", num_draws, 4)
    num_chains = checks.integer("num_chains", num_chains, 2)
    num_burnin, seed = checks.positive_integer("num_burnin", num_burnin), checks.seed(seed)
    if fit.feed.dataset is not None:
        raise ValueError(
            "`fit` must be one of arrays: a chain needs the whole likelihood at each step. "
            "Received: a fit of a dataset. Fix: fit the data as arrays."
        )
    target = fit.inference.target
    u = fit.sampler.draws(NUM_DRAWS, seed, "vi/nuts")[1].astype("float64")
    loc, spread = u.mean(axis=0), u.std(axis=0)
    dense = u.shape[1] <= DENSE
    scale = np.linalg.cholesky(np.cov(u.T).reshape(len(loc), -1)) if dense else spread
    loc, scale = tf.constant(loc, tf.float32), tf.constant(scale, tf.float32)

    def to_u(v: tf.Tensor) -> tf.Tensor:
        return loc + (tf.linalg.matvec(scale, v) if dense else scale * v)

    started = np.float32((u[:num_chains] - loc) / (1.0 if dense else spread))
    if dense:
        started = np.linalg.solve(np.float64(scale), started.T).T.astype("float32")

    # XLA is left out, as in the optimizer: an AutoBatched joint compiles anew at every draw.
    @tf.function(autograph=False)
    def run() -> Any:
        kernel = tfp.mcmc.DualAveragingStepSizeAdaptation(
            tfp.mcmc.NoUTurnSampler(lambda v: target.log_density(to_u(v)), 0.5),
            num_adaptation_steps=int(0.8 * num_burnin),
            target_accept_prob=TARGET_ACCEPTANCE,
        )
        return tfp.mcmc.sample_chain(
            num_draws,
            tf.constant(started),
            kernel=kernel,
            num_burnin_steps=num_burnin,
            trace_fn=lambda _, results: results.inner_results.has_divergence,
            seed=seed_pair(seed, "vi/nuts/chains"),
        )

    v, diverged = run()  # [draws, chains, D]
    flat = to_u(tf.reshape(tf.transpose(v, [1, 0, 2]), [-1, target.size]))
    draws = {
        n: x.numpy().reshape(num_chains, num_draws, *x.shape[1:])
        for n, x in target.constrain(flat).items()
    }
    r_hat = {
        n: tfp.mcmc.potential_scale_reduction(
            np.swapaxes(x, 0, 1).astype("float64"), split_chains=True
        ).numpy()
        for n, x in draws.items()
    }
    return Chains(draws, r_hat, float(np.mean(diverged)))
