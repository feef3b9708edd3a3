"""The Keras side of a model that learns from x alone: compile, fit, evaluate, build and save."""

from collections.abc import Callable, Collection, Mapping
from types import GeneratorType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae import checks
from tfvae.distributions.support import REALS, Support
from tfvae.models.blockwise_model import BlockwiseModel
from tfvae.models.data import (
    check_callbacks,
    check_ends,
    check_passes,
    one_batch,
    peek,
    prepare,
)
from tfvae.models.feed import split_rows
from tfvae.models.inputs import parts_of, split_batch
from tfvae.models.oddities import note_oddities
from tfvae.models.saving import check_reloads, checked_path, written_whole
from tfvae.models.sparse import dense_batches
from tfvae.models.value_checks import (
    Watch,
    batch_of_arrays,
    check_batch,
    check_values,
    raises_data_errors,
)


class UnsupervisedModel(BlockwiseModel):
    """A Keras model that refuses what it would ignore: targets, losses and metrics from outside.

    Abstract: `LatentVariableModel` is its subclass. Data are checked, and the model is built from
    their shapes, before anything is trained.

    Attributes:
        check_data: Whether values are looked at too: arrays are scanned once a call, streams batch
            by batch. True.
    """

    check_data: bool = True
    unsaved_state: Any = ()

    _input_shape: Any = None
    _reloads: bool = False  # whether a saved file was found to load as the same model

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
                once a program. The numbers are those of K = 1; bit for bit, but for the last digit
                where TensorFlow simplifies the two programs differently, as with a Poisson
                likelihood. "auto": as many as take a fraction of a second, or 1 if a callback of
                yours looks at batches.
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
            skip_above_norm=skip_above_norm,
        )

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
        _refuse_classes(class_weight)
        _check_sizes(
            batch_size=batch_size,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
        )
        checks.integer("epochs", epochs, 0)
        checks.integer("initial_epoch", initial_epoch, 0)
        if not isinstance(validation_freq, Collection):
            checks.positive_integer("validation_freq", validation_freq)
        if not 0.0 <= checks.finite_number("validation_split", validation_split) < 1.0:
            raise ValueError(
                "`validation_split` must be in [0, 1). Received: "
                f"validation_split={validation_split}."
            )
        check_callbacks(callbacks)
        passes = epochs - initial_epoch
        check_passes("x", x, steps_per_epoch, passes)
        check_passes("validation_data", validation_data, validation_steps, passes)
        x = self._prepare("x", x, y, sample_weight, steps_per_epoch)
        if validation_data is not None:
            if isinstance(validation_data, tuple):
                val_x, val_y, val_weight = parts_of(validation_data)
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
        return super().fit(
            x,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=validation_data,
            shuffle=shuffle,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
        )

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
        if not kwargs.get("_use_cached_eval_dataset"):  # `fit` has checked its validation data
            x = self._prepare("x", x, y, sample_weight, steps)
            x = dense_batches(x, batch_size or 32, steps)
        return super().evaluate(
            x,
            batch_size=batch_size,
            verbose=verbose,
            steps=steps,
            callbacks=callbacks,
            return_dict=return_dict,
            **kwargs,
        )

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
        if isinstance(x, GeneratorType | keras.utils.PyDataset):
            check_ends("x", x, steps)
            first, x = peek("x", x) if isinstance(x, GeneratorType) else (x[0], x)
            self._check_and_build(batch_of_arrays(first))
            x = self._checked(x)
        elif isinstance(x, tf.data.Dataset):
            check_ends("x", x, steps)
            x = self._checked(x)
        else:
            x = self._prepare("x", x, None, None, steps)
            if batch_size is None and steps is None:
                batch_size = int(np.clip(2**20 // np.prod(self.event_shape), 32, 1024))
        x = dense_batches(x, batch_size or 32, steps)
        return super().predict(
            x, batch_size=batch_size, verbose=verbose, steps=steps, callbacks=callbacks
        )

    def _prepare(self, name: str, x: Any, y: Any, sample_weight: Any, steps: int | None) -> Any:
        """Checks data and builds the model from them; returns them with their weights inside."""
        data, example = prepare(name, x, y, sample_weight, steps)
        if example is not None:
            self._check_and_build(example)
        is_dataset = isinstance(data, tf.data.Dataset)
        return data if is_dataset and self._runs_blocks() else self._checked(data)

    def _looks_at_batches(self) -> Callable[[Any, int], Any] | None:
        if not self.check_data:
            return None
        support, known = None, set()

        def look(batch: Any, number: int) -> None:
            nonlocal support
            batch = batch if isinstance(batch, Mapping) else {"x": batch}
            shapes = tuple((k, tuple(v.shape)) for k, v in batch.items())
            if shapes not in known:  # a dataset may not know them
                self._check_and_build(batch)
                known.add(shapes)
            if support is None:  # it takes a distribution to know
                support = self.support
            check_batch(batch, support, number)

        return look

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
        return self._watch.over(data, self.support, self.check_shapes)

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
        look = self._looks_at_batches()
        if validation is not None and isinstance(validation[0], tf.data.Dataset):
            for batch in validation[0].take(1):  # shows its faults before the first epoch
                if look is not None:
                    look(split_batch(batch), 0)
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

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Updates the model on a batch, as `keras.Model.train_on_batch`; returns its metrics."""
        _refuse_classes(class_weight)
        batch = one_batch(x, y, sample_weight)
        return super().train_on_batch(batch, return_dict=return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Returns the metrics of a batch, as `keras.Model.test_on_batch`."""
        return super().test_on_batch(one_batch(x, y, sample_weight), return_dict=return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """Returns the reconstructions of a batch, as `keras.Model.predict_on_batch`."""
        batch = one_batch(x)
        self._check_and_build(batch)
        self.check_values(batch)
        return super().predict_on_batch(batch)

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


def _refuse_classes(class_weight: Any) -> None:
    if class_weight is not None:
        raise ValueError(
            "`class_weight` must be left out: there are no classes. "
            f"Received: class_weight={class_weight!r}. Fix: `sample_weight`."
        )


def _check_sizes(**sizes: Any) -> None:
    """Refuses numbers of rows or batches that are given and below 1; Keras takes 0 for unset."""
    for name, value in sizes.items():
        if value is not None:
            checks.positive_integer(name, value)


def _rows_of(array: Any) -> tuple[int | None, ...] | None:
    """Returns the shape of any number of an array's rows; None if its rank is not known."""
    shape = tf.TensorShape(array.shape)
    return None if shape.rank is None else (None, *shape[1:])


def _as_shapes(shape: Any) -> Any:
    """Turns the lists of a JSON file into tuples again."""
    if isinstance(shape, Mapping):
        return {k: _as_shapes(v) for k, v in shape.items()}
    return tuple(shape)
