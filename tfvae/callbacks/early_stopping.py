"""Early stopping on the evidence lower bound."""

from typing import Any

import keras

from tfvae.schedules import Schedule, is_over


class EarlyStopping(keras.callbacks.EarlyStopping):
    """Stops when the ELBO of the validation data no longer rises.

    The ELBO that it looks at has beta = 1, whatever the objective. While a schedule of the
    objective, such as a KL warm-up, is on its way to its end value, epochs count for nothing:
    neither as the best, nor as waiting.

    Args:
        monitor: Name of a metric.
        mode: "max" or "min".
        **arguments: Those of `keras.callbacks.EarlyStopping`, such as patience.

    Example:
    >>> stop = tfvae.callbacks.EarlyStopping(patience=10, restore_best_weights=True)
    >>> vae.fit(x, validation_data=x_valid, epochs=1_000, callbacks=[stop])
    """

    def __init__(self, monitor: str = "val_elbo", mode: str = "max", **arguments: Any):
        super().__init__(monitor=monitor, mode=mode, **arguments)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not self._is_warming_up():
            super().on_epoch_end(epoch, logs)

    def _is_warming_up(self) -> bool:
        step = int(self.model.optimizer.iterations)
        schedules = [
            value
            for objective in getattr(self.model, "objectives", ())
            for value in vars(objective).values()
            if isinstance(value, Schedule)
        ]
        return not all(is_over(schedule, step) for schedule in schedules)
