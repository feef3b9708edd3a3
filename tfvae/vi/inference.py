"""Variational inference as a model: q(u), a joint distribution, and their `Draws`."""

from typing import Any

import keras
import tensorflow as tf

from tfvae.draws import Draws
from tfvae.gradients import stopped, weighted_path
from tfvae.objectives import (
    DIP,
    MMD,
    CriticTotalCorrelation,
    Objective,
    StickingTheLanding,
    TotalCorrelation,
)
from tfvae.objectives.together import as_list, check_reparameterized
from tfvae.schedules import Schedule, is_over
from tfvae.vi.surrogates import Surrogate
from tfvae.vi.target import Target

NUM_SAMPLES = 16  # draws a step, unless an objective asks for another number


class Inference(keras.layers.Layer):
    """The draws of q(u) with their densities under a joint distribution; one "example", B = 1.

    The latent is u, the unconstrained vector: its prior density holds the Jacobian of the
    constraints, and the likelihood does not.

    Args:
        target: The pinned joint over u.
        surrogate: q(u).
        objective: An `Objective` or a list of them; `StickingTheLanding` by default.

    Raises:
        TypeError, ValueError: If the objectives do not fit each other or q.
    """

    def __init__(self, target: Target, surrogate: Surrogate, objective: Any = None):
        super().__init__(dtype="float32")
        self.target, self.surrogate = target, surrogate
        self.objectives = checked_objectives(objective)
        check_reparameterized(self.objectives, surrogate(None))
        self.num_samples = max(o.num_samples for o in self.objectives)
        self.built = True

    @property
    def path_weight(self) -> Any:
        """The one path weight among the objectives, or None."""
        return next((o.path_weight for o in self.objectives if o.path_weight is not None), None)

    def call(self, seed: tf.Tensor, num_samples: int | None = None) -> Draws:
        posterior = self.surrogate(None)
        u, log_posterior = posterior.experimental_sample_and_log_prob(
            num_samples or self.num_samples, seed=seed
        )
        z, log_posterior = u[:, None], log_posterior[:, None]  # [S, B, D], [S, B]
        if self.path_weight is not None:
            z = weighted_path(z, lambda: self.path_weight(draws))
            log_posterior = stopped(posterior).log_prob(z)
        density = self.target(z[:, 0])
        draws = Draws(
            z, density.log_likelihood[:, None], density.log_prior[:, None], log_posterior, posterior
        )
        return draws

    def schedules_over(self, step: int) -> bool:
        """Returns whether the objectives' schedules have come to their ends."""
        found = [v for o in self.objectives for v in vars(o).values() if isinstance(v, Schedule)]
        return all(is_over(schedule, step) for schedule in found)

    def loss(self, draws: Draws, step: tf.Tensor) -> tf.Tensor:
        """Returns the sum of the objectives' losses in nats, a scalar."""
        return tf.reduce_sum(tf.add_n([o.loss(draws, step) for o in self.objectives]))


def checked_objectives(objective: Any) -> list[Objective]:
    """Returns the objectives as a list, after the checks that need no draws."""
    if objective is None:
        return [StickingTheLanding(NUM_SAMPLES)]
    objectives = as_list(objective)
    for o in objectives:
        if isinstance(o, DIP | MMD | TotalCorrelation | CriticTotalCorrelation):
            raise ValueError(
                "`objective` must be a bound on one posterior; this one compares the posteriors of "
                f"many examples. Received: objective={type(o).__name__}. Fix: use `ELBO`, "
                "`StickingTheLanding`, `DReG` or `Renyi`."
            )
        if type(o).update is not Objective.update:
            raise ValueError(
                "`objective` must have no state of its own. "
                f"Received: objective={type(o).__name__}. Fix: use `ELBO` with a schedule as beta."
            )
    return objectives
