"""The interface of all objectives."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfvae.draws import Draws


class Objective(keras.layers.Layer):
    """Turns draws into a loss per example. Abstract: subclasses implement `loss`.

    Lists of objectives add up. One with weights of its own (a critic) is trained by the model's
    optimizer.

    Attributes:
        num_samples: S, the number of draws per example that it needs.
        path_weight: None, or a function from draws to [S, B] that multiplies the gradient which
            reaches the posterior through `z`; `log_posterior` is then evaluated at the posterior's
            stopped parameters.
        shares_path: Whether other objectives of a list still get their own gradient through `z`;
            False where `path_weight` gives anything but ones.
        needs_reparameterization: Whether the gradient must flow through `z`.
        weights_draws: Whether it is a bound that weights the draws by their importance.
        weights_kl: Whether it weights the KL by anything but 1, and so bounds nothing.
        takes_hierarchy: Whether `z`, `posterior` and `prior` of draws may be tuples, level by
            level.

    Example:
    >>> @keras.saving.register_keras_serializable("mine")
    ... class Reconstruction(Objective):
    ...     def loss(self, draws: Draws, step: tf.Tensor) -> tf.Tensor:
    ...         return -tf.reduce_mean(draws.log_likelihood, axis=0)
    """

    num_samples: int = 1
    path_weight: Callable[[Draws], tf.Tensor] | None = None
    shares_path: bool = True
    needs_reparameterization: bool = True
    takes_hierarchy: bool = True
    weights_draws: bool = False
    weights_kl: bool = False

    def __init__(self, dtype: Any = "float32", **kwargs: Any):
        for name in ("beta", "free_bits"):
            if self.weights_draws and name in kwargs:
                raise ValueError(
                    f"`{name}` must be left out of {type(self).__name__}, which would bound "
                    f"nothing with it. Received: {name}={kwargs[name]!r}. Fix: use "
                    f"`objectives.ELBO({name}=...)` in its place."
                )
        super().__init__(dtype="float32", **kwargs)

    def loss(self, draws: Draws, step: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each example in nats, [B].

        Args:
            draws: Draws of shape [S, B], S at least `num_samples`.
            step: Number of optimizer updates so far, a scalar; schedules follow it.
        """
        raise NotImplementedError

    def update(self, draws: Draws, weight: tf.Tensor) -> None:
        """Moves the objective's own state after a training batch; by default there is none.

        The model puts non-trainable weights back where the batch's update is skipped.

        Args:
            draws: What `loss` was given.
            weight: Weight of each example, [B].
        """
