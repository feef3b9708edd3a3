"""Which objectives go together, and with which posterior."""

from collections.abc import Sequence
from typing import Any

import tensorflow_probability as tfp

from tfvae.objectives.objective import Objective

tfd = tfp.distributions


def as_list(objective: Any) -> list[Objective]:
    """Returns an objective or a list of them as a list that may be added up.

    Raises:
        TypeError: If one of them is no objective.
        ValueError: If there is none, or they do not go together.
    """
    objectives = list(objective) if isinstance(objective, list | tuple) else [objective]
    for o in objectives:
        if not isinstance(o, Objective):
            raise TypeError(
                "`objective` must be an Objective or a list of them. "
                f"Received: objective={objective!r} of type {type(o).__name__}. "
                "Fix: use one of `tfvae.objectives`."
            )
    if not objectives:
        raise ValueError(
            "`objective` must not be empty. Received: objective=[]. Fix: leave it out."
        )
    check_together(objectives)
    return objectives


def check_together(objectives: Sequence[Objective]) -> None:
    """Refuses a list of which one objective would get a gradient that another has weighted.

    Raises:
        ValueError: If more than one weights the path gradient, or one does by other than ones and
            another needs that gradient; or if a KL is weighted beside importance weights.
    """
    _check_bounds(objectives)
    weighting = [o for o in objectives if o.path_weight is not None]
    if len(weighting) > 1:
        raise ValueError(
            "`objective` must have at most one member that weights the path gradient. "
            f"Received: {_names(weighting)}. Fix: train them in separate models."
        )
    for alone in (o for o in objectives if not o.shares_path):
        misled = [o for o in objectives if o is not alone and o.needs_reparameterization]
        if misled:
            raise ValueError(
                f"`objective` must leave {_names([alone])} alone with objectives that need no "
                "gradient through z: theirs would be weighted too. "
                f"Received: {_names(misled)} beside it. Fix: use `ImportanceWeighted` in its place."
            )


def _check_bounds(objectives: Sequence[Objective]) -> None:
    """Refuses a bound by importance weights beside one that is none."""
    bounds = [o for o in objectives if o.weights_draws]
    bent = [o for o in objectives if o.weights_kl]
    if bounds and bent:
        raise ValueError(
            f"`objective` must have no weighted KL beside {_names(bounds)}: their sum bounds "
            f"nothing. Received: {_names(bent)} with a weight, free bits or a capacity. "
            "Fix: leave it out, or use `ELBO()`."
        )


def check_reparameterized(objectives: Sequence[Objective], posterior: Any) -> None:
    """Refuses objectives whose gradient cannot reach a posterior through its draws.

    Raises:
        ValueError: If an objective needs a reparameterised posterior and this is none.
    """
    unable = [o for o in objectives if o.needs_reparameterization]
    kind = getattr(posterior, "reparameterization_type", tfd.FULLY_REPARAMETERIZED)
    if unable and kind != tfd.FULLY_REPARAMETERIZED:
        raise ValueError(
            "`objective` must need no gradient through z, for the posterior "
            f"{posterior.name.rstrip('_')} is not reparameterised and gives none. "
            f"Received: {_names(unable)}. "
            "Fix: use `objectives.VIMCO`, alone or with `DIP`, or a relaxed posterior."
        )


def check_hierarchical(objectives: Sequence[Objective]) -> None:
    """Refuses objectives that take a posterior for one distribution, for a model of several levels.

    Raises:
        ValueError: If there is one.
    """
    unable = [o for o in objectives if not o.takes_hierarchy]
    if unable:
        raise ValueError(
            "`objective` must take a posterior of several levels. "
            f"Received: {_names(unable)}, which takes one of a single level. "
            "Fix: use `objectives.ELBO`, or a `tfvae.VAE`."
        )


def _names(objectives: Sequence[Objective]) -> str:
    return ", ".join(type(o).__name__ for o in objectives)
