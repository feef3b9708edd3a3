"""Likelihoods of what was observed: some of the entries, over some exposure."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.errors import DataError

tfd = tfp.distributions

# Families of TFP: the parameter to which the log of an exposure is added, and its alternative. Ours
# name theirs as `exposure_parameter`.
LOG_RATES = {tfd.Poisson: ("log_rate", "rate"), tfd.NegativeBinomial: ("logits", "probs")}


def observed_log_prob(likelihood: Any, x: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
    """Returns the log-density of the observed entries of x, [..., B].

    Entries that are independent given z drop out of the product one by one. A missing entry may
    hold anything, NaN included: neither the density nor its gradient knows it.

    Args:
        likelihood: p(x | z), a `tfd.Distribution` [..., B]. One with a method `masked_log_prob(x,
            mask)` is asked itself.
        x: Data, [B, *event_shape].
        mask: 1 (or true) where x is observed, of the shape of x; None where all of it is.

    Raises:
        DataError: If a mask is given and the entries are not independent given z.

    Example:
    >>> d = tfd.Independent(tfd.Normal([0.0, 0.0], 1.0), 1)
    >>> observed_log_prob(d, [0.0, math.nan], [1.0, 0.0])  # = log N(0 | 0, 1)
    """
    if mask is None:
        return likelihood.log_prob(x)
    x, mask = tf.convert_to_tensor(x), tf.cast(mask, tf.bool)
    if hasattr(likelihood, "masked_log_prob"):
        return likelihood.masked_log_prob(x, mask)
    entry, ndims = entry_of(likelihood)
    if entry.event_shape.rank != 0:
        raise DataError(
            "`mask` must be left out for a likelihood whose entries depend on each other given z: "
            f"no entry drops out of its density alone. Received: a mask with {entry.name}. Fix: "
            "use a family of single numbers (Normal, Poisson, Categorical, ...), or impute x."
        )
    # Not zero, which may lie outside of the support: where(mask, log_prob, 0) has a NaN gradient
    # if the branch that is not taken is infinite.
    log_prob = entry.log_prob(tf.where(mask, x, tf.cast(_possible_value(entry), x.dtype)))
    return tf.reduce_sum(
        tf.where(mask, log_prob, tf.zeros_like(log_prob)), axis=list(range(-ndims, 0))
    )


def with_exposure(likelihood: Any, exposure: tf.Tensor | None = None) -> Any:
    """Returns the likelihood of counts whose means are `exposure` times as large.

    Exposure is the time, the area or the depth of sequencing over which events were counted.

    Args:
        likelihood: p(x | z) of counts over one unit of exposure, a `tfd.Distribution` [..., B]. One
            with a method `with_exposure(exposure)` is asked itself.
        exposure: [B], positive; None is 1.

    Raises:
        DataError: If the family has no rate.

    Example:
    >>> float(with_exposure(tfd.Independent(tfd.Poisson([3.0]), 1), [2.0]).mean())
    6.0
    """
    if exposure is None:
        return likelihood
    if hasattr(likelihood, "with_exposure"):
        return likelihood.with_exposure(exposure)
    entry, ndims = entry_of(likelihood)
    declared = getattr(type(entry), "exposure_parameter", None)
    names = (
        (declared,)
        if declared
        else next((n for family, n in LOG_RATES.items() if isinstance(entry, family)), None)
    )
    if names is None:
        raise DataError(
            "`exposure` must be left out for a likelihood without a rate. Received: an exposure "
            f"with {entry.name}. Fix: use Poisson, NegativeBinomialByMean or "
            "ZeroInflatedNegativeBinomialByMean."
        )
    log_exposure = tf.reshape(tf.math.log(exposure), [-1, *[1] * ndims])
    log_rate = getattr(entry, names[0]) if declared else getattr(entry, f"{names[0]}_parameter")()
    changed = dict.fromkeys(names) | {names[0]: log_rate + log_exposure}
    entry = entry.copy(**changed)
    return tfd.Independent(entry, ndims) if ndims else entry


def entry_of(likelihood: Any) -> tuple[Any, int]:
    """Returns the distribution of one entry, and how many axes of it are the event's."""
    ndims = 0
    # Not `isinstance`: around a distribution that is no composite tensor, `tfd.Independent` makes
    # an object of another class.
    while hasattr(likelihood, "reinterpreted_batch_ndims"):
        ndims += len(likelihood.event_shape) - len(likelihood.distribution.event_shape)
        likelihood = likelihood.distribution
    return likelihood, ndims


def _possible_value(entry: Any) -> tf.Tensor:
    """Returns a value inside of the support: of counts and classes, 0."""
    try:
        bijector = entry.experimental_default_event_space_bijector()
    except NotImplementedError:
        bijector = None
    zero = tf.zeros([], entry.dtype)
    return zero if bijector is None else bijector.forward(zero)
