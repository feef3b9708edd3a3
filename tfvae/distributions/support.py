"""Which values a distribution gives: what data are held against before anything is trained."""

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow_probability as tfp

tfd, tfb = tfp.distributions, tfp.bijectors


class Support(NamedTuple):
    """Values an event may have. Each attribute is one for all or an array over the event.

    A distribution of one's own may have an attribute `support`; it goes before all that is known
    here.

    Attributes:
        low: Smallest value.
        high: Largest value.
        is_open: Whether `low` and `high` themselves are left out.
        is_integer: Whether values are whole numbers.
        is_binary: Whether values between 0 and 1 are taken although they have no probability.
        total: What the last axis adds up to; None: anything.

    Example:
    >>> support_of(tfd.Poisson(3.0)).describe()
    'integers >= 0'
    """

    low: Any = -math.inf
    high: Any = math.inf
    is_open: Any = False
    is_integer: Any = False
    is_binary: Any = False
    total: float | None = None

    @property
    def is_by_column(self) -> bool:
        """Whether cells of an event differ."""
        return any(not isinstance(f, bool | float | int) and np.ndim(f) for f in self[:5])

    def describe(self) -> str:
        """Returns the rule in words, such as "in [0, 1]"."""
        if self.is_by_column:
            return "in the range of their columns"
        noun, low, high = ("integers " if self.is_integer else ""), self.low, self.high
        if math.isinf(low) and math.isinf(high):
            rule = noun.strip() or "finite"
        elif math.isinf(high):
            rule = f"{noun}{'>' if self.is_open else '>='} {low:g}"
        elif self.is_open:
            rule = f"{noun}in ({low:g}, {high:g})"
        else:
            rule = f"{noun}in [{low:g}, {high:g}]"
        return rule if self.total is None else f"{rule}, with rows that add up to {self.total:g}"

    def at(self, index: tuple[int, ...]) -> "Support":
        """Returns the support of one cell of an event."""

        def pick(field: Any) -> Any:
            field = np.asarray(field)
            index_ = index[len(index) - field.ndim :]
            return field[
                tuple(0 if n == 1 else i for i, n in zip(index_, field.shape, strict=True))
            ]

        return Support(*(pick(field).item() for field in self[:5]), self.total)


REALS = Support()
POSITIVE = Support(low=0.0, is_open=True)
NON_NEGATIVE = Support(low=0.0)
COUNTS = Support(low=0.0, is_integer=True)
OPEN_UNIT = Support(low=0.0, high=1.0, is_open=True)

# What TFP does not say by a bijector, or says of the interior alone. The first that fits counts.
_DECLARED: list[tuple[tuple[type, ...], Any]] = [
    ((tfd.Bernoulli, tfd.ProbitBernoulli), Support(low=0.0, high=1.0, is_binary=True)),
    ((tfd.ContinuousBernoulli,), Support(low=0.0, high=1.0)),
    ((tfd.Exponential, tfd.HalfNormal, tfd.HalfCauchy, tfd.HalfStudentT), NON_NEGATIVE),
    ((tfd.Poisson, tfd.NegativeBinomial, tfd.Geometric), COUNTS),
    ((tfd.InverseGamma,), POSITIVE),
    ((tfd.Skellam,), Support(is_integer=True)),
    ((tfd.Binomial, tfd.BetaBinomial), lambda d: COUNTS._replace(high=_largest(d.total_count))),
    (
        (tfd.Multinomial, tfd.DirichletMultinomial),
        lambda d: COUNTS._replace(total=_largest(d.total_count)),
    ),
    ((tfd.OneHotCategorical,), Support(0.0, 1.0, is_integer=True, total=1.0)),
    ((tfd.Dirichlet, tfd.RelaxedOneHotCategorical), OPEN_UNIT._replace(total=1.0)),
    ((tfd.Categorical,), lambda d: COUNTS._replace(high=float(_num_categories(d) - 1))),
    ((tfd.OrderedLogistic,), lambda d: COUNTS._replace(high=float(d.cutpoints.shape[-1]))),
    ((tfd.VonMises,), REALS),
]
_WRAPPERS = (tfd.Independent, tfd.Masked, tfd.Sample, tfd.BatchBroadcast, tfd.BatchReshape)


def support_of(distribution: Any) -> Support:
    """Returns the support of a distribution; all finite numbers where nothing is known of it.

    Bounds that are parameters, such as those of `tfd.Uniform`, may be learned and do not count.

    Args:
        distribution: A `tfd.Distribution`.
    """
    declared = getattr(distribution, "support", None)
    if isinstance(declared, Support):
        return declared
    # `tfd.Independent` around a distribution that is no composite tensor is of another class.
    if isinstance(distribution, _WRAPPERS) or hasattr(distribution, "reinterpreted_batch_ndims"):
        return support_of(distribution.distribution)
    if isinstance(distribution, tfd.Inflated):
        return support_of(distribution.distribution)
    if isinstance(distribution, tfd.MixtureSameFamily):
        return support_of(distribution.components_distribution)
    if isinstance(distribution, tfd.Mixture):
        return support_of(distribution.components[0])
    for classes, support in _DECLARED:
        if isinstance(distribution, classes):
            return support(distribution) if callable(support) else support
    try:
        bijector = distribution.experimental_default_event_space_bijector()
    except (NotImplementedError, TypeError):  # TypeError: TFP 0.25's own, with numpy 2.4
        return REALS
    while isinstance(bijector, tfb.Chain) and bijector.bijectors:
        bijector = bijector.bijectors[0]  # the outermost
    if isinstance(bijector, tfb.Softplus | tfb.Exp):
        return POSITIVE
    if isinstance(bijector, tfb.Sigmoid) and bijector.low is None:
        return OPEN_UNIT
    return REALS


def _largest(total_count: Any) -> float:
    return float(np.max(total_count))


def _num_categories(distribution: Any) -> int:
    parameter = distribution.logits if distribution.logits is not None else distribution.probs
    return parameter.shape[-1]
