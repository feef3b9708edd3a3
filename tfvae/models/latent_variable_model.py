"""How every model is trained, evaluated and saved."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae import checks
from tfvae.draws import Draws
from tfvae.errors import DataError, NumericalError, did_you_mean
from tfvae.metrics import BatchCounter, ExampleMean
from tfvae.models import guard
from tfvae.models.diagnosis import describe_first, rows_in_order
from tfvae.models.execution import compiled
from tfvae.models.feed import Feed
from tfvae.models.inputs import split_batch
from tfvae.models.unsupervised_model import UnsupervisedModel
from tfvae.objectives import ELBO, Objective
from tfvae.objectives.together import as_list
from tfvae.random import Noise, fresh_seed

log = logging.getLogger("tfvae")
LOOK_EVERY = 16  # executions between two looks at the count of skipped updates


class LatentVariableModel(UnsupervisedModel):
    """A Keras model whose forward pass is a set of `Draws`. Abstract: subclasses implement `call`.

    The loss is the objective; metrics are `elbo`, `log_likelihood` and `kl` in nats per example,
    true means over examples. Its densities are float32 under every precision policy.

    Args:
        objective: An `Objective` or a list of them, whose losses add up; `ELBO()` by default.
        seed: Seed of all noise; None draws one, which the config keeps.

    Attributes:
        max_skipped: Updates skipped in a row after which `fit` raises a `NumericalError`; None:
            never.

    Raises:
        TypeError, ValueError: If objectives or seed do not fit.
    """

    max_skipped: int | None = 10

    def __init__(self, objective: Any = None, seed: int | None = None, **kwargs: Any):
        kwargs.pop("dtype", None)
        super().__init__(dtype="float32", **kwargs)
        self.objective = _checked_objectives(objective)
        self.is_seed_drawn = seed is None
        self.seed = fresh_seed() if seed is None else checks.seed(seed)
        self.noise = Noise(self.seed)
        self.num_samples = max(o.num_samples for o in self.objectives)
        self.batches_seen = self._counter("batches_seen")
        self.updates_skipped = self._counter("updates_skipped")
        self._streak, self._executions = guard.Streak(), 0
        self._means = [ExampleMean(n) for n in ("loss", "elbo", "log_likelihood", "kl")]
        self._evaluated = BatchCounter()
        self.graphs = Graphs()

    def call(
        self, inputs: Any, num_samples: int | None = None, training: bool | None = None
    ) -> Draws:
        """Returns draws for a batch, `num_samples` or as many as the objectives need."""
        raise NotImplementedError

    def reconstruct(self, inputs: Any) -> tf.Tensor:
        """Returns what `predict` returns for a batch."""
        raise NotImplementedError

    @property
    def num_latents(self) -> int:
        """Number of latent dimensions, those of all levels."""
        levels = [s for s in self.latent_shape if isinstance(s, tuple)] or [self.latent_shape]
        return sum(map(math.prod, levels))

    @property
    def numbers_per_draw(self) -> int:
        """Numbers that a forward pass holds at a time for each draw, to a factor: those of x."""
        return math.prod(self.event_shape)

    @property
    def objectives(self) -> list[Objective]:
        """The objectives whose losses add up."""
        return (
            list(self.objective) if isinstance(self.objective, list | tuple) else [self.objective]
        )

    def summary(self, *args: Any, print_fn: Any = None, **kwargs: Any) -> None:
        """Prints Keras' summary, then shapes and objectives and whether the KL is exact."""
        super().summary(*args, print_fn=print_fn, **kwargs)
        names = " + ".join(type(o).__name__ for o in self.objectives)
        kl = "not known before the model is built"
        if self.built:
            kl = "in closed form" if self.has_exact_kl else "estimated from the draws"
        (print_fn or print)(
            f" x: {self.event_shape}; z: {self.latent_shape}; objective: {names}; KL: {kl}"
        )

    @property
    def path_weight(self) -> Any:
        """The one path weight among the objectives, or None."""
        return next((o.path_weight for o in self.objectives if o.path_weight is not None), None)

    def next_seed(self) -> tf.Tensor:
        """Returns the seed of the next draw of this forward pass, int32 [2]."""
        return self.noise.next_seed()

    def adopt_seed(self, seed: int) -> None:
        """Takes the seed of another run, which this one continues."""
        self.seed, self.noise, self.graphs = seed, Noise(seed), Graphs()
        self.make_train_function(force=True)
        self.make_test_function(force=True)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Updates the model on a batch, or leaves all but two counters as they are.

        An update whose loss or gradient is not finite changes no weight, optimizer slot or metric.
        """
        layer_state = self._layer_state()
        before = [tf.identity(v.value) for v in layer_state]
        loss, gradients, results = self._differentiate(data)

        def update(gradients: Any, _: Any) -> None:
            self.optimizer.apply(gradients, self.trainable_variables)
            self._streak.end()

        def undo(_: Any, before: Any) -> None:
            for variable, value in zip(layer_state, before, strict=True):
                variable.assign(value)
            self.updates_skipped.assign_add(1)
            self._streak.add()

        largest = self.skip_above_norm
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            # It handles the overflow of its own scale.
            gradients, ok = guard.share_overflow(gradients), guard.all_finite(loss, [])
            if largest is not None:
                scale = self.optimizer.dynamic_scale
                ok &= guard.small_or_overflown(gradients, largest, scale)
        else:
            ok = guard.all_finite(loss, gradients, largest)
        ok &= tf.math.is_finite(tf.convert_to_tensor(self.optimizer.learning_rate))
        guard.either(ok, update, undo, gradients, before)
        # The step that finds a dataset of unknown length at its end runs all that does not depend
        # on data: without this, it counts a batch that never was.
        with tf.control_dependencies([ok]):
            self.batches_seen.assign_add(1)
        return self._update_metrics(results, ok)

    def bare_train_step(self, data: Any) -> dict[str, Any]:
        """Updates the model on a batch without a guard; the caller looks at the state."""
        _, gradients, results = self._differentiate(data)
        self.optimizer.apply(gradients, self.trainable_variables)
        self._streak.end()
        self.batches_seen.assign_add(1)
        return self._update_metrics(results)

    def _differentiate(self, data: Any) -> tuple[tf.Tensor, list[Any], tuple]:
        """Returns the loss, its gradients as the optimizer wants them, and the results."""
        inputs = split_batch(data)
        self._seed_layers()
        with tf.GradientTape() as tape:
            with self.noise.stream("train", self.batches_seen.value):
                draws = self(inputs, training=True)
            loss, results = self._results(draws, inputs)
            scaled = self.optimizer.scale_loss(loss)
        for objective in self.objectives:
            objective.update(draws, results[-1])
        return loss, tape.gradient(scaled, self.trainable_variables), results

    def test_step(self, data: Any) -> dict[str, Any]:
        inputs = split_batch(data)
        with self.noise.stream("evaluate", self._evaluated.result()):
            draws = self(inputs, training=False)
        _, results = self._results(draws, inputs)
        self._evaluated.update_state()
        return self._update_metrics(results)

    def predict_step(self, data: Any) -> tf.Tensor:
        return self.reconstruct(keras.utils.unpack_x_y_sample_weight(data)[0])

    def _results(self, draws: Draws, inputs: Any) -> tuple[tf.Tensor, tuple]:
        """Returns this replica's share of the batch's mean loss, and what the metrics need.

        The share is the sum over the replica's examples divided by the size of the whole batch, so
        that neither the number of replicas nor an uneven split of the last batch changes the
        gradient.
        """
        losses = sum(o.loss(draws, self._schedule_step()) for o in self.objectives)
        extra = sum(self.losses, tf.constant(0.0))
        weight = inputs.get("sample_weight") if isinstance(inputs, Mapping) else None
        weight = tf.ones_like(losses) if weight is None else tf.cast(weight, losses.dtype)
        size, replicas = tf.cast(tf.shape(losses)[0], losses.dtype), 1
        context = tf.distribute.get_replica_context()
        whole = size
        if context is not None and context.num_replicas_in_sync > 1:
            replicas = context.num_replicas_in_sync
            whole = context.all_reduce(tf.distribute.ReduceOp.SUM, size)
        loss = tf.reduce_sum(weight * losses) / whole + extra / replicas
        return loss, (weight * losses + extra, draws, weight)

    def _update_metrics(self, results: tuple, applied: tf.Tensor | bool = True) -> dict[str, Any]:
        losses, draws, weight = results
        log_likelihoods, kls = tf.reduce_mean(draws.log_likelihood, axis=0), draws.kl
        values = (losses, log_likelihoods - kls, log_likelihoods, kls)
        weights = (tf.ones_like(losses), weight, weight, weight)
        for mean, value, w in zip(self._means, values, weights, strict=True):
            if applied is not True:  # 0 * NaN is NaN: both must be 0
                value, w = tf.where(applied, value, 0.0), tf.where(applied, w, 0.0)
            mean.update_state(value, w)
        return self.get_metrics_result()

    def _schedule_step(self) -> tf.Tensor:
        """Updates so far: the optimizer's count or, without an optimizer, the batches seen."""
        optimizer = getattr(self, "optimizer", None)
        step = self.batches_seen if optimizer is None else optimizer.iterations
        return tf.convert_to_tensor(getattr(step, "value", step))

    def _seed_layers(self) -> None:
        """Makes the noise of networks, such as dropout masks, a function of (seed, batch) too.

        Keras saves no state of its generators: a run that was resumed would draw other masks.
        """
        with self.noise.stream("train/layers", self.batches_seen.value):
            for layer in self._flatten_layers():
                for generator in layer._seed_generators:
                    state, seed = generator.state, self.next_seed()
                    state.assign(
                        tf.random.stateless_uniform(state.shape, seed, None, None, state.dtype)
                    )

    def _layer_state(self) -> list[Any]:
        """Non-trainable variables that a forward pass may change, such as running means."""
        own = (self.batches_seen, self.updates_skipped)
        return [v for v in self.non_trainable_variables if all(v is not o for o in own)]

    def _counter(self, name: str) -> Any:
        return self.add_weight(
            name=name,
            shape=(),
            dtype="int64",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
        )

    @property
    def metrics(self) -> list[Any]:
        # Not Keras' own: its loss tracker is not updated by this train step and would read 0.
        return [*self._means, self._evaluated]

    @property
    def metrics_names(self) -> list[str]:
        return [m.name for m in self._means]

    def get_metrics_result(self) -> dict[str, Any]:
        """Returns loss, elbo, log_likelihood and kl so far."""
        return {m.name: m.result() for m in self._means}

    @property
    def unsaved_state(self) -> list[Any]:
        """Variables that training changes beside weights, optimizer and metrics."""
        return [self._streak.counts]

    def make_train_function(self, force: bool = False) -> Any:
        """Makes the function that `fit` calls; it ends a training that has left the numbers."""
        if self.train_function is not None and not force:
            return self.train_function
        function = super().make_train_function(force)

        def watched(iterator: Any) -> Any:
            logs = function(iterator)
            self._executions += 1
            # Reading waits for the device; after a block the host has done so anyway.
            if self.steps_per_execution > 1 or self._executions % LOOK_EVERY == 0:
                self._check_streak(iterator)
            return logs

        self.train_function = watched
        return self.train_function

    def _check_streak(self, iterator: Any = ()) -> None:
        """Ends a training of which too many updates in a row were skipped.

        Raises:
            NumericalError: If they were, or if the scale of a float16 loss has collapsed; the
                weights are those of the last update.
        """
        guard.check_loss_scale(self.optimizer)
        longest = self._streak.longest
        if self.max_skipped is None or longest < self.max_skipped:
            return
        self._streak.restart()
        feed = self._training.feed if self._training is not None else None
        batches = rows_in_order(feed) if isinstance(feed, Feed) else iterator
        raise NumericalError(
            f"`loss`, its gradient and the gradient's norm must be finite"
            f"{'' if self.skip_above_norm is None else f' and below {self.skip_above_norm:g}'}. "
            f"Received: {longest} updates in a row that were not; first to leave the numbers: "
            f"{describe_first(self, batches)}. The model has the weights of the last update. "
            "Fix: lower the learning rate, scale x, or use another likelihood."
        )

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        skipped, seen = int(self.updates_skipped.numpy()), int(self.batches_seen.numpy())
        self._streak.restart()
        history = super().fit(*args, **kwargs)
        self._check_streak()
        if not history.epoch:
            log.warning("nothing was trained: there was no epoch to run.")
        elif seen == int(self.batches_seen.numpy()) and np.isnan(history.history["loss"][-1]):
            raise DataError(
                "`x` must have at least one batch. Received: data that ended before the first."
            )
        skipped = int(self.updates_skipped.numpy()) - skipped
        if skipped:
            log.warning(
                "%d updates were skipped: their loss, gradient or learning rate was not finite%s. "
                "The weights are those of the other updates. Look for extreme values in x, or "
                "lower the learning rate.",
                skipped,
                "" if self.skip_above_norm is None else ", or the gradient above its limit",
            )
        return history

    def export(self, path: Any, format: str = "saved_model", **options: Any) -> str:
        """Writes the model for serving; see `tfvae.export`.

        Args:
            path: Base directory of versions, a new ".tflite" file, or a new folder.
            format: "saved_model", "tflite" or "web".
            **options: Those of the format's function in `tfvae.export`.

        Returns:
            The path written.
        """
        # The one place where a model looks up: `export` is a method of every Keras model.
        from tfvae import export

        if format not in export.FORMATS:
            raise ValueError(
                f"`format` must be one of {', '.join(export.FORMATS)}. "
                f"Received: format={format!r}.{did_you_mean(format, export.FORMATS)}"
            )
        return export.FORMATS[format](self, path, **options)


class Graphs:
    """Compiled functions of a model, by key, so that a second call traces nothing."""

    def __init__(self):
        self._functions: dict[Any, Any] = {}

    def __iter__(self) -> Iterator[tuple[Any, bool]]:
        """Iterates over the keys, and whether XLA compiled their functions."""
        return iter(self._functions)

    def get(self, key: Any, function: Callable, with_xla: bool = False) -> Any:
        """Returns the graph, or XLA program, of that key; `function` is traced if there is none.

        The program draws other numbers than the graph.
        """
        key = key, with_xla
        if key not in self._functions:
            self._functions[key] = (
                compiled(function, "threefry")
                if with_xla
                else tf.function(function, autograph=False)
            )
        return self._functions[key]


def _checked_objectives(objective: Any) -> Any:
    """Returns an objective or a list of them that may be added up."""
    if objective is None:
        return ELBO()
    objectives = as_list(objective)
    return objectives if isinstance(objective, list | tuple) else objective
