"""Bayesian inference in a model of your own: eight schools, by full-rank VI, checked by NUTS.

    python examples/eight_schools.py [--surrogate flow] [--seed 0] [--num-draws 500]

It prints the table of the posterior with its verdict, what to expect of a new school, the means
corrected by importance sampling, and those of Markov chains that start from the fit.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
import tensorflow_probability as tfp  # noqa: E402

from tfvae import vi  # noqa: E402

tfd = tfp.distributions

# Effects of coaching on test scores, with their standard errors (Rubin, 1981).
EFFECTS = np.array([28, 8, -3, 7, -1, 1, 18, 12], "float32")
ERRORS = np.array([15, 10, 16, 11, 9, 11, 10, 18], "float32")


@tfd.JointDistributionCoroutineAutoBatched
def schools():
    """The joint distribution of the effects and what was seen of them, in its non-centred form."""
    mu = yield tfd.Normal(0.0, 5.0, name="mu")
    tau = yield tfd.HalfCauchy(0.0, 5.0, name="tau")
    raw = yield tfd.Sample(tfd.Normal(0.0, 1.0), 8, name="raw")
    yield tfd.Normal(mu + tau * raw, ERRORS, name="y")


def main():
    """Fits, prints and checks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--surrogate", default="full_rank", help="mean_field, full_rank, ...")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num-draws", type=int, default=500, help="draws of each of four chains")
    options = parser.parse_args()

    fit = vi.fit(schools, {"y": EFFECTS}, surrogate=options.surrogate, seed=options.seed)
    print(fit.summary())

    draws = fit.sample(4_000)
    new = np.random.default_rng(0).normal(draws["mu"], draws["tau"])
    low, high = np.quantile(new, [0.05, 0.95])
    print(f"\neffect in a new school: {new.mean():.1f}, 90 % between {low:.1f} and {high:.1f}")

    corrected = fit.expectation()
    chains = vi.nuts(fit, options.num_draws)
    print("\nmean of      q   corrected   NUTS (r-hat)")
    for name in ("mu", "tau"):
        print(
            f"{name:4s} {fit.mean()[name]:10.2f} {corrected[name]:10.2f} "
            f"{chains.draws[name].mean():8.2f} ({chains.r_hat[name]:.2f})"
        )


if __name__ == "__main__":
    main()
