"""A Dirichlet prior on the simplex as a normal one before the softmax."""

from typing import Any

import numpy as np

from tfvae.stochastic.fixed import Fixed


def dirichlet_laplace(concentration: Any) -> Fixed:
    """Returns the Laplace approximation to a Dirichlet in the softmax basis (MacKay, 1998).

    If theta ~ Dirichlet(a) over K topics, softmax(z) has about that distribution with z normal, of
    mean log a_k - mean(log a) and variance (1 - 2 / K) / a_k + mean(1 / a) / K, as Srivastava and
    Sutton (2017, arXiv:1703.01488) use it. Its KL from a diagonal Gaussian is exact.

    Args:
        concentration: a, K >= 2 positive numbers.

    Raises:
        ValueError: If it is not.

    Example: 50 topics.
    >>> prior = dirichlet_laplace([0.02] * 50)
    """
    try:
        a = np.asarray(concentration, "float64")
    except (TypeError, ValueError):
        a = np.zeros(0)
    if a.ndim != 1 or len(a) < 2 or not (np.isfinite(a).all() and (a > 0).all()):
        raise ValueError(
            "`concentration` must be at least two positive numbers, one a topic. "
            f"Received: concentration={concentration!r}. Fix: pass [1.0] * num_topics."
        )
    loc = np.log(a) - np.log(a).mean()
    variance = (1.0 - 2.0 / len(a)) / a + (1.0 / a).mean() / len(a)
    return Fixed("Normal", (len(a),), {"loc": loc.tolist(), "scale": np.sqrt(variance).tolist()})
