"""The Keras side of a model that learns from x alone: compile, fit, evaluate, build and save."""

from collections.abc import Callable, Mapping
from types import GeneratorType
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfvae import checks
from tfvae.distributions.support import REALS, Support
from tfvae.models import automatic
from tfvae.models.data import check_passes, peek, prepare
from tfvae.models.execution import Blocks
from tfvae.models.feed import Feed, Stream, are_arrays, split_rows
from tfvae.models.inputs import split_batch
from tfvae.models.oddities import note_oddities
from tfvae.models.progress import Progress
from tfvae.models.saving import check_reloads, checked_path, written_whole
from tfvae.models.sparse import dense_batches
from tfvae.models.value_checks import Watch, check_values, raises_data_errors


class Run(NamedTuple):
    """How a running `fit` or `evaluate` gets and runs its batches."""

    feed: Feed | Stream
    steps: int  # of a program
    with_xla: bool


class UnsupervisedModel(keras.Model):
    """A Keras model that refuses what it would ignore: targets, losses and metrics from outside.

    Abstract: `LatentVariableModel` is its subclass. Data are checked, and the model is built from
    their shapes, before anything is trained.

    Attributes:
        check_data: Whether values are looked at too: arrays are scanned once a call, streams batch
            by batch. True.
    """

    check_data: bool = True
    skip_above_norm: float | None = None
    unsaved_state: Any = ()

    _input_shape: Any = None
    _reloads: bool = False  # whether a saved file was found to load as the same model
    _asked_steps: int | str = "auto"  # what `compile` was given
    _asked_xla: bool | str = "auto"
    _training: Run | None = None  # the running `fit`
    _validation: Run | None = None
    _testing: Run | None = None  # the running `evaluate`
    _progress: Progress | None = None  # of the running `fit`
    _evaluating: bool = False

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self._watch, self._noted = Watch(), frozenset()

    @property
    def support(self) -> Support:
        """What x may be; all finite numbers where the model does not know."""
        return REALS

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int | str = "auto",
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
        skip_above_norm: float | None = None,
    ) -> None:
        """Configures training, as `keras.Model.compile`; the objective is the loss.

        Args:
            optimizer: Keras optimizer or its name. Its `global_clipnorm` clips.
            loss: To be left out, as `loss_weights`, `metrics` and `weighted_metrics`.
            loss_weights: To be left out.
            metrics: To be left out.
            weighted_metrics: To be left out.
            run_eagerly: Whether to run every step in Python.
            steps_per_execution: Steps K that run as one program; callbacks of batches are called
                once a program. The numbers are those of K = 1, bit for bit. "auto": as many as take
                a fraction of a second, or 1 if a callback of yours looks at batches.
            jit_compile: Whether XLA compiles the program. "auto": on an accelerator, and on a CPU
                where the network has no convolutions and `fit` is long enough to repay the
                compilation; the logger "tfvae" says what was chosen, at level INFO.
            auto_scale_loss: Whether networks in float16 get a `LossScaleOptimizer`.
            skip_above_norm: Norm of the gradient, before clipping, above which a batch's update is
                left out, as one that is not finite is. It costs about a tenth of a step's time
                where several steps are run at a time, for then each is tested; None: no limit.

        Raises:
            ValueError: If `loss`, `metrics` or their weights are given, or if accumulation, several
                steps an execution or XLA are asked for under a distribution strategy.
        """
        for name, value in {
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
        }.items():
            if value is not None:
                raise ValueError(
                    f"`{name}` must be left out: the objective is the loss, and ELBO, "
                    "log-likelihood and KL "
                    f"are always reported. Received: {name}={value!r}. "
                    "Fix: pass `objective=` to the model, or write a callback."
                )
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
        if auto_scale_loss and any(
            layer.dtype_policy.name == "mixed_float16" for layer in self._flatten_layers()
        ):
            # Keras looks at the model's policy alone, which is float32 here; gradients of the
            # float16 networks would underflow.
            optimizer = keras.optimizers.get(optimizer)
            if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
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

    def compile_from_config(self, config: dict[str, Any]) -> None:
        # Keras compiles no loaded model whose `compile` is overridden.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def build_from_data(self, inputs: Any) -> None:
        """Builds the model from the shapes of a batch of inputs, if it is not built."""
        if not self.built:
            self.build(tf.nest.map_structure(_rows_of, inputs))

    def get_build_config(self) -> dict[str, Any] | None:
        return None if self._input_shape is None else {"input_shape": self._input_shape}

    def build_from_config(self, config: dict[str, Any]) -> None:
        self.build(_as_shapes(config["input_shape"]))

    @raises_data_errors
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> keras.callbacks.History:
        """Trains the model, as `keras.Model.fit`; x alone is learned from.

        Args:
            x: Array [N, ...], dictionary of arrays, `tf.data.Dataset`, generator or
                `keras.utils.PyDataset`.
            y: To be left out.
            batch_size: As in Keras, as are the other arguments.
            epochs: Number of passes over the data.
            verbose: "auto", 0, 1 or 2.
            callbacks: Keras callbacks.
            validation_split: Share of the arrays' last rows to validate on.
            validation_data: Like `x`, or a tuple (x, None, sample_weight).
            shuffle: Whether to shuffle arrays before each epoch.
            class_weight: To be left out.
            sample_weight: Weight of each row, [N].
            initial_epoch: Epoch to start from.
            steps_per_epoch: Batches per epoch; needed for endless data.
            validation_steps: Batches of validation.
            validation_batch_size: Batch size of validation.
            validation_freq: Epochs between validations.

        Returns:
            A `History` with loss, elbo, log_likelihood, kl, and val_* of each.

        Raises:
            ValueError: If labels are given or an argument is out of range.
            DataError: If the data do not fit the model.
        """
        if class_weight is not None:
            raise ValueError(
                "`class_weight` must be left out: there are no classes. Fix: `sample_weight`."
            )
        _check_sizes(
            batch_size=batch_size,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
        )
        checks.integer("epochs", epochs, 0)
        if not 0.0 <= checks.finite_number("validation_split", validation_split) < 1.0:
            raise ValueError(
                "`validation_split` must be in [0, 1). Received: "
                f"validation_split={validation_split}."
            )
        passes = epochs - initial_epoch
        check_passes("x", x, steps_per_epoch, passes)
        check_passes("validation_data", validation_data, validation_steps, passes)
        x = self._prepare("x", x, y, sample_weight, steps_per_epoch)
        if validation_data is not None:
            if isinstance(validation_data, tuple):
                val_x, val_y, val_weight = keras.utils.unpack_x_y_sample_weight(validation_data)
            else:
                val_x, val_y, val_weight = validation_data, None, None
            validation_data = (
                self._prepare("validation_data", val_x, val_y, val_weight, validation_steps),
            )
        if validation_split and validation_data is None:
            x, validation_data = split_rows(x, validation_split)
        size = batch_size or 32
        x, validation_data = self._checked_fit(
            x, validation_data, size, validation_batch_size, steps_per_epoch, shuffle
        )
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
                verbose=verbose,
                callbacks=progress.arranged(callbacks),
                validation_data=(validation.feed.stand_in(),) if val_arrays else validation_data,
                shuffle=False if arrays else shuffle,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch,
                validation_steps=validation_steps,
                validation_batch_size=None if val_arrays else validation_batch_size,
                validation_freq=validation_freq,
            )
        except KeyboardInterrupt:
            progress.interrupted()
            raise
        finally:
            self._training, self._validation, self._progress, self.steps_per_execution = outer
            self._initial_epoch = None
            progress.close()

    @raises_data_errors
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Returns loss, elbo, log_likelihood and kl of data, as `keras.Model.evaluate`.

        Two calls give the same numbers, and the model is as before.

        Raises:
            ValueError: If labels are given.
            DataError: If the data do not fit the model.
        """
        _check_sizes(batch_size=batch_size, steps=steps)
        if kwargs.get("_use_cached_eval_dataset"):  # `fit` has checked its validation data
            run = self._validation
        else:
            x = self._prepare("x", x, y, sample_weight, steps)
            x = dense_batches(x, batch_size or 32, steps)
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
            return super().evaluate(
                x=x,
                batch_size=batch_size,
                verbose=verbose,
                steps=steps,
                callbacks=callbacks,
                return_dict=return_dict,
                **kwargs,
            )
        finally:
            self._testing, self._evaluating, self.steps_per_execution = outer

    @raises_data_errors
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Returns the reconstructions of data, as `keras.Model.predict`; they are never random.

        Args:
            x: Array, dictionary of arrays, dataset or generator.
            batch_size: Rows of arrays at a time; by default as many as make a few megabytes, for
                no row depends on another.
            verbose: As in Keras, as are the other arguments.
            steps: Batches, or None for all.
            callbacks: Keras callbacks.

        Raises:
            DataError: If the data do not fit the model.
        """
        _check_sizes(batch_size=batch_size, steps=steps)
        if isinstance(x, GeneratorType):
            x = self._checked(peek("x", x)[1])
        elif isinstance(x, Mapping | list) or hasattr(x, "shape"):
            x = self._prepare("x", x, None, None, steps)
            if batch_size is None and steps is None:
                batch_size = int(np.clip(2**20 // np.prod(self.event_shape), 32, 1024))
        else:
            x = self._checked(x)
        x = dense_batches(x, batch_size or 32, steps)
        outer = self.steps_per_execution
        try:
            # Keras unrolls the steps of a prediction, and traces them again for a shorter rest.
            self.steps_per_execution = 1
            return super().predict(
                x, batch_size=batch_size, verbose=verbose, steps=steps, callbacks=callbacks
            )
        finally:
            self.steps_per_execution = outer

    def _prepare(self, name: str, x: Any, y: Any, sample_weight: Any, steps: int | None) -> Any:
        """Checks data and builds the model from them; returns them with their weights inside."""
        data, example = prepare(name, x, y, sample_weight, steps)
        if example is not None:
            self._check_and_build(example)
        return self._checked(data)

    def check_values(self, inputs: Any) -> None:
        """Refuses arrays with a value that is not finite, or that the likelihood never gives.

        `fit`, `evaluate`, `predict` and `evaluation` call it. It reads the arrays once.

        Raises:
            DataError: If there is one; it names the first and how many there are.
        """
        if self.check_data:
            check_values(inputs, self.support if self.built else REALS)

    def _checked(self, data: Any) -> Any:
        """Returns data of which the values have been looked at, or will be as they pass."""
        if not self.check_data or not self.built:
            return data
        if isinstance(data, Mapping) or hasattr(data, "shape"):
            self.check_values(data)
            return data
        return self._watch.over(data, self.support)

    def _checked_fit(
        self,
        x: Any,
        validation: Any,
        size: int,
        validation_size: int | None,
        steps: int | None,
        shuffle: bool,
    ) -> tuple[Any, Any]:
        """Returns data to train and validate on, with sparse arrays as streams of dense batches."""
        if validation is not None and isinstance(validation[0], tf.data.Dataset):
            for _ in validation[0].take(1):  # shows its faults before the first epoch
                pass
        if self.check_data and self.built:
            note_oddities(self, x, None if validation is None else validation[0])
        seed = self.seed if shuffle else None
        x = dense_batches(x, size, steps, seed, lambda: int(self.batches_seen.numpy()))
        if validation is not None:
            validation = (dense_batches(validation[0], validation_size or size),)
        return x, validation

    def _check_and_build(self, inputs: Any) -> None:
        self.check_shapes(inputs)
        if not self.built:
            with self.distribute_strategy.scope():
                self.build_from_data(inputs)

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

    def _runs_blocks(self) -> bool:
        return not self.run_eagerly and self.distribute_strategy.num_replicas_in_sync == 1

    def _feed_of(self, x: Any, size: int, steps: int | None, shuffle: bool) -> Any:
        """Returns a feed of data that have been checked, None where Keras reads them."""
        if not self._runs_blocks():
            return None
        if not are_arrays(x):
            return Stream(x, steps)
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

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        # Keras builds from a batch that it makes of the replicas' parts. That fails where they
        # differ in size, the batch is lost to a generator, and no model of distributions is built
        # symbolically.
        if self._progress is not None and iterator is not None:
            self._progress.watch(iterator)
        if data_batch is not None:  # of `train_on_batch` and `test_on_batch`
            inputs = split_batch(data_batch)
            self._check_and_build(inputs)
            self.check_values(inputs)
        elif not self.built:
            super()._maybe_symbolic_build(iterator)

    def _get_metrics_result_or_logs(self, logs: Any) -> Any:
        # Keras calls this once an epoch, when its batches are done.
        if self._progress is not None and not self._evaluating:
            if self._progress.listener is not None:
                self._progress.listener.after_batches()
            # Of an epoch that was done when it was resumed there are no logs.
            logs = logs or self.get_metrics_result()
        return super()._get_metrics_result_or_logs(logs)

    def predict_on_batch(self, x: Any) -> Any:
        """Returns the reconstructions of a batch, as `keras.Model.predict_on_batch`."""
        self.check_values(x)
        return super().predict_on_batch(x)

    def check_shapes(self, inputs: Any) -> None:
        """Raises a `DataError` if a batch of inputs, or of their specs, does not fit the model."""

    def save(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Saves the model as a `.keras` file: written whole beside the target, then renamed.

        Raises:
            ValueError: If a class or function inside could not be found when the file is loaded, or
                the file does not load as the same model.
            ArtifactError: If the file cannot be written; an earlier one is as it was.
        """
        path = checked_path(self, filepath, overwrite)
        with written_whole(path) as partial:
            super().save(partial, overwrite=True, **kwargs)
            if self._input_shape and not self._reloads:  # once, for the structure stays
                check_reloads(self, partial, self._input_shape)
                self._reloads = True


def _check_sizes(**sizes: Any) -> None:
    """Refuses numbers of rows or batches that are given and below 1; Keras takes 0 for unset."""
    for name, value in sizes.items():
        if value is not None:
            checks.positive_integer(name, value)


def _owner(model: keras.Model, method: str) -> type | None:
    """Returns the class that a model has a method from, None if it has none."""
    return next((cls for cls in type(model).__mro__ if method in vars(cls)), None)


def _rows_of(array: Any) -> tuple[int | None, ...] | None:
    """Returns the shape of any number of an array's rows; None if its rank is not known."""
    shape = tf.TensorShape(array.shape)
    return None if shape.rank is None else (None, *shape[1:])


def _as_shapes(shape: Any) -> Any:
    """Turns the lists of a JSON file into tuples again."""
    if isinstance(shape, Mapping):
        return {k: _as_shapes(v) for k, v in shape.items()}
    return tuple(shape)
