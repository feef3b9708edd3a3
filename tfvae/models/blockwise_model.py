"""A Keras model whose steps run in blocks, several as one program, on one device."""

import math
from collections.abc import Callable
from types import GeneratorType
from typing import Any, NamedTuple

import keras

from tfvae import checks
from tfvae.models import automatic
from tfvae.models.execution import Blocks
from tfvae.models.feed import Feed, Stream, are_arrays
from tfvae.models.progress import Progress


class Run(NamedTuple):
    """How a running `fit` or `evaluate` gets and runs its batches."""

    feed: Feed | Stream
    steps: int  # of a program
    with_xla: bool


class BlockwiseModel(keras.Model):
    """Puts `Blocks` in the place of Keras' train and test functions. Abstract.

    Under a distribution strategy, and where steps run in Python, Keras' own loops remain.
    Subclasses have a `seed`, the counter `batches_seen`, and `bare_train_step`, the unguarded form
    of `train_step`.
    """

    skip_above_norm: float | None = None

    _asked_steps: int | str = "auto"  # what `compile` was given
    _asked_xla: bool | str = "auto"
    _training: Run | None = None  # the running `fit`
    _validation: Run | None = None
    _testing: Run | None = None  # the running `evaluate`
    _progress: Progress | None = None  # of the running `fit`
    _evaluating: bool = False

    def compile(
        self,
        optimizer: Any = "adam",
        run_eagerly: bool = False,
        steps_per_execution: int | str = "auto",
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
        skip_above_norm: float | None = None,
    ) -> None:
        """Configures how steps run; see `UnsupervisedModel.compile`."""
        if steps_per_execution != "auto":
            checks.positive_integer("steps_per_execution", steps_per_execution)
        if not isinstance(jit_compile, bool) and jit_compile != "auto":
            raise ValueError(
                f'`jit_compile` must be True, False or "auto". Received: {jit_compile!r}.'
            )
        if skip_above_norm is not None and not checks.finite_number(
            "skip_above_norm", skip_above_norm, minimum=0.0
        ):
            raise ValueError("`skip_above_norm` must be positive. Received: skip_above_norm=0.")
        optimizer = _checked_optimizer(optimizer)
        replicas = self.distribute_strategy.num_replicas_in_sync
        asked = steps_per_execution, jit_compile
        if steps_per_execution == "auto":
            steps_per_execution = 1  # until `fit` chooses
        if jit_compile == "auto":  # Keras' own calls, such as `predict`'s
            alone = replicas == 1 and not run_eagerly
            jit_compile = alone and automatic.has_accelerator()
        if steps_per_execution > 1 and replicas > 1:
            # keras#19246: the loop's body loses its inputs under a strategy, or half of the steps.
            raise ValueError(
                "`steps_per_execution` must be 1 under a distribution strategy, where Keras loses "
                "steps. "
                f"Received: steps_per_execution={steps_per_execution} with {replicas} replicas."
            )
        if jit_compile is True and replicas > 1:
            # XLA: "Trying to access resource located in device CPU:1 from device CPU:0"
            raise ValueError(
                "`jit_compile` must be left out under a distribution strategy, which XLA cannot "
                "compile. "
                f"Received: jit_compile=True with {replicas} replicas."
            )
        accumulated = getattr(optimizer, "gradient_accumulation_steps", None)
        if accumulated and replicas > 1:
            # Keras updates inside a `cond` there: "merge_call called while defining a new graph"
            raise ValueError(
                "`optimizer` must not accumulate gradients under a distribution strategy. "
                f"Received: gradient_accumulation_steps={accumulated} with {replicas} replicas. "
                "Fix: use larger batches."
            )
        super().compile(
            optimizer=optimizer,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
        )
        self._asked_steps, self._asked_xla = asked
        self.skip_above_norm = skip_above_norm

    def get_compile_config(self) -> dict[str, Any]:
        """Returns the arguments of `compile`; "auto" stays "auto"."""
        config = super().get_compile_config()
        asked = {"steps_per_execution": self._asked_steps, "jit_compile": self._asked_xla}
        if self.skip_above_norm is not None:
            asked["skip_above_norm"] = self.skip_above_norm
        return config | asked if config else config

    def fit(
        self,
        x: Any,
        batch_size: int | None,
        epochs: int,
        callbacks: Any,
        validation_data: Any,
        shuffle: bool,
        initial_epoch: int,
        steps_per_epoch: int | None,
        validation_steps: int | None,
        validation_batch_size: int | None,
        validation_freq: int,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains on data that have been checked, in blocks; arguments as in `keras.Model.fit`."""
        size, passes = batch_size or 32, max(epochs - initial_epoch, 0)
        feed = self._feed_of(x, size, steps_per_epoch, shuffle)
        training = self._run_of(feed, passes, callbacks)
        validation = None
        if validation_data is not None:
            val_size = validation_batch_size or size
            feed = self._feed_of(validation_data[0], val_size, validation_steps, False)
            # Keras reads both by the same number of steps.
            validation = self._run_of(feed, passes / automatic.TESTS_PER_STEP, None, training)
        arrays = training is not None and isinstance(training.feed, Feed)
        val_arrays = validation is not None and isinstance(validation.feed, Feed)
        progress = Progress(
            self,
            training,
            {
                "x": x,
                "validation_data": validation_data and validation_data[0],
                "batch_size": size,
                "validation_batch_size": validation_batch_size or size,
                "shuffle": shuffle,
                "steps_per_epoch": steps_per_epoch,
                "validation_steps": validation_steps,
                "validation_freq": validation_freq,
                "initial_epoch": initial_epoch,
            },
        )
        outer = self._training, self._validation, self._progress, self.steps_per_execution
        try:
            self._training, self._validation, self._progress = training, validation, progress
            if training is not None:
                self.steps_per_execution = training.steps
            return super().fit(
                x=training.feed.stand_in() if arrays else x,
                batch_size=None if arrays else batch_size,
                epochs=epochs,
                callbacks=progress.arranged(callbacks),
                validation_data=(validation.feed.stand_in(),) if val_arrays else validation_data,
                shuffle=False if arrays else shuffle,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch,
                validation_steps=validation_steps,
                validation_batch_size=None if val_arrays else validation_batch_size,
                validation_freq=validation_freq,
                **kwargs,
            )
        except KeyboardInterrupt:
            progress.interrupted()
            raise
        finally:
            self._training, self._validation, self._progress, self.steps_per_execution = outer
            self._initial_epoch = None
            progress.close()

    def evaluate(self, x: Any, batch_size: int | None, steps: int | None, **kwargs: Any) -> Any:
        """Evaluates data that have been checked, in blocks; arguments as in Keras."""
        if kwargs.get("_use_cached_eval_dataset"):
            run = self._validation
        else:
            feed = self._feed_of(x, batch_size or 32, steps, False)
            run = self._run_of(feed, 1 / automatic.TESTS_PER_STEP, None)
        outer = self._testing, self._evaluating, self.steps_per_execution
        try:
            self._testing, self._evaluating = run, True
            if run is not None:
                run.feed.restart()
                self.steps_per_execution = run.steps
                if isinstance(run.feed, Feed):
                    x, batch_size = run.feed.stand_in(), None
            return super().evaluate(x=x, batch_size=batch_size, steps=steps, **kwargs)
        finally:
            self._testing, self._evaluating, self.steps_per_execution = outer

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Predicts batch by batch, as `keras.Model.predict`."""
        outer = self.steps_per_execution
        try:
            # Keras unrolls the steps of a prediction, and traces them again for a shorter rest.
            self.steps_per_execution = 1
            return super().predict(*args, **kwargs)
        finally:
            self.steps_per_execution = outer

    def make_train_function(self, force: bool = False) -> Any:
        """Makes the function that `fit` calls, as `keras.Model.make_train_function`."""
        # The step applies the optimizer inside a `tf.cond`. Built there, it fails under a strategy:
        # "You must feed a value for placeholder tensor".
        if self.optimizer is None:
            raise ValueError(
                "`optimizer` must be given to `compile` before a model is trained. "
                "Received: optimizer=None."
            )
        if self.built and not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)
        if self.train_function is None or force:
            super().make_train_function(force)
            # A subclass that overrides `train_step` alone has no unguarded form of it.
            has_bare_form = self._has_own_step() and self.skip_above_norm is None
            blocks = Blocks(self, self.train_step, self.bare_train_step if has_bare_form else None)
            function = self._either(self.train_function, blocks, lambda: self._training)

            def counted(iterator: Any) -> Any:
                if self._progress is not None and isinstance(iterator, GeneratorType):
                    self._progress.extra += 1  # `train_on_batch`, which a callback has called
                return function(iterator)

            self.train_function = counted
        return self.train_function

    def make_test_function(self, force: bool = False) -> Any:
        """Makes the function that `evaluate` calls, as `keras.Model.make_test_function`."""
        if self.test_function is None or force:
            super().make_test_function(force)
            blocks = Blocks(self, self.test_step)
            self.test_function = self._either(self.test_function, blocks, lambda: self._testing)
        return self.test_function

    def _get_metrics_result_or_logs(self, logs: Any) -> Any:
        # Keras calls this once an epoch, when its batches are done.
        if self._progress is not None and not self._evaluating:
            if self._progress.listener is not None:
                self._progress.listener.after_batches()
            # Of an epoch that was done when it was resumed there are no logs.
            logs = logs or self.get_metrics_result()
        return super()._get_metrics_result_or_logs(logs)

    def _has_own_step(self) -> bool:
        """Whether the train step is the one whose unguarded form is known."""
        return _owner(self, "train_step") is _owner(self, "bare_train_step")

    def _either(self, streamed: Callable, blocks: Callable, run: Callable) -> Callable:
        """Returns a train or test function: of Keras under a strategy or in Python, else ours.

        `train_on_batch`, which a callback may call within `fit`, gives a generator of its own
        batch.
        """
        batches = Stream()  # of `train_on_batch`

        def function(iterator: Any) -> Any:
            if not self._runs_blocks():
                return streamed(iterator)
            running = run()
            if running is None or isinstance(iterator, GeneratorType):
                running = Run(batches, 1, bool(self.jit_compile))
            feed, steps, with_xla = running
            return blocks(feed.blocks(steps, iterator), steps, with_xla)

        return function

    def _looks_at_batches(self) -> Callable[[Any, int], Any] | None:
        """Returns a function of a batch and its number that raises what is wrong, or None."""
        return None

    def _runs_blocks(self) -> bool:
        return not self.run_eagerly and self.distribute_strategy.num_replicas_in_sync == 1

    def _feed_of(self, x: Any, size: int, steps: int | None, shuffle: bool) -> Any:
        """Returns a feed of data that have been checked, None where Keras reads them."""
        if not self._runs_blocks():
            return None
        if not are_arrays(x):
            is_made_here = isinstance(x, GeneratorType | keras.utils.PyDataset)
            return Stream(x, steps, None if is_made_here else self._looks_at_batches())
        seed = self.seed if shuffle else None
        return Feed(x, size, steps, seed, lambda: int(self.batches_seen.numpy()))

    def _run_of(
        self, feed: Any, passes: float, callbacks: Any, like: Run | None = None
    ) -> Run | None:
        """Returns how a feed is run.

        Args:
            feed: The feed, or None.
            passes: Over the feed, in passes of training.
            callbacks: Those of `fit`.
            like: A run whose number of steps in a program is to be taken.
        """
        if feed is None:
            return None
        number = feed.steps or feed.num_batches
        steps, jit_compile = self._asked_steps, self._asked_xla
        if like is not None:
            steps = like.steps
        elif steps == "auto":
            # The logs of a user's own step are those of its last batch.
            steps = automatic.steps(self, feed.batch_size, number, callbacks)
            steps = steps if self._has_own_step() else 1
        if jit_compile == "auto":
            jit_compile = automatic.with_xla(self, None if number is None else number * passes)
        return Run(feed, steps, jit_compile)


def _checked_optimizer(optimizer: Any) -> Any:
    """Returns an optimizer whose rate makes training go down, or None."""
    optimizer = keras.optimizers.get(optimizer)
    rate = getattr(getattr(optimizer, "inner_optimizer", optimizer), "_learning_rate", None)
    if isinstance(rate, keras.Variable):
        rate = float(keras.ops.convert_to_numpy(rate))
        if not (math.isfinite(rate) and rate >= 0.0):
            raise ValueError(
                "`optimizer` must have a learning rate that is a finite number >= 0. "
                f"Received: learning_rate={rate:g}."
            )
    return optimizer


def _owner(model: keras.Model, method: str) -> type | None:
    """Returns the class that a model has a method from, None if it has none."""
    return next((cls for cls in type(model).__mro__ if method in vars(cls)), None)
