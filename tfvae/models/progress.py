"""Where a running `fit` is: enough to go on from there in another process."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tfvae.errors import ResumeMismatch
from tfvae.models.feed import Feed, Stream


class Progress:
    """The position of a `fit`, between two blocks of batches.

    It stands between Keras' loop and the batches: a callback with `comes_last = True` may listen to
    it. The listener's `before_batches()` is called when the callbacks have begun an epoch,
    `after_block(steps)` when all of them have seen a block and none the next one, `after_batches()`
    when an epoch's batches are done, `interrupted()` at a `KeyboardInterrupt`, and `closed()` at
    the end, whatever happened.

    Args:
        model: The model that is trained; its `batches_seen` advances by one a batch.
        run: How the batches are run; None where Keras runs them.
        setup: The arguments of `fit` that the numbers depend on, with the data under "x" and
            "validation_data".
    """

    def __init__(self, model: keras.Model, run: Any, setup: dict[str, Any]):
        self.model, self.setup = model, setup
        self.with_xla = bool(model.jit_compile if run is None else run.with_xla)
        feed = None if run is None else run.feed
        self.feed = feed if isinstance(feed, Feed) else None
        self.stream = feed if isinstance(feed, Stream) else None
        self.callbacks: list[Any] = []
        self.listener: Any = None
        self.extra = 0  # batches that callbacks trained on in this epoch
        self._epoch_start = int(model.batches_seen.numpy())  # `batches_seen` by then
        self._iterator: Any = None  # of Keras
        self._iterations = 0  # times that the data were begun
        self._drawn = 0  # batches drawn from the current iteration before this epoch
        self._is_renewed = False  # whether an iteration began at the end of this epoch
        self._has_begun = False  # whether this epoch has had a block
        # Batches of this epoch in the blocks that are over, and Keras' own count by then.
        self._over, self._steps_seen = 0, 0
        self._target: dict[str, Any] | None = None

    def arranged(self, callbacks: Any) -> Any:
        """Returns callbacks with those last that must see what the others have done."""
        if callbacks is None:
            return None
        if isinstance(callbacks, keras.callbacks.CallbackList):  # whose order is the user's
            every = callbacks.callbacks
            self.callbacks = [c for c in every if not getattr(c, "comes_last", False)]
            return callbacks
        callbacks = tf.nest.flatten(callbacks)
        last = [c for c in callbacks if getattr(c, "comes_last", False)]
        first = [c for c in callbacks if c not in last]
        if last and not any(isinstance(c, keras.callbacks.History) for c in first):
            first.append(keras.callbacks.History())  # which Keras would put after them
        self.callbacks = first
        return [*first, *last]

    def watch(self, iterator: Any) -> None:
        """Takes part in Keras' iterator over the batches of this `fit`, the first to be seen."""
        if self._iterator is not None:  # that of an evaluation
            return
        self._iterator = iterator
        begin, enumerate_all = iterator._get_iterator, iterator._enumerate_iterator

        def counted() -> Any:
            self._iterations, self._drawn = self._iterations + 1, 0
            self._is_renewed = self._has_begun
            return begin()

        iterator._get_iterator = counted
        iterator._enumerate_iterator = lambda: self._blocks(enumerate_all)

    def position(self, epoch: int, within: bool) -> dict[str, Any]:
        """Returns where training is, as JSON.

        Args:
            epoch: Number of the epoch.
            within: Whether it has begun; else it is about to.

        Raises:
            ValueError: If the train step does not count its batches.
        """
        iterator, done = self._iterator, self._batches_done()
        missing = 0
        if within and self.feed is not None:
            missing = self.feed.batches - done
            if not 0 <= missing <= self.model.steps_per_execution:
                raise ValueError(
                    "`train_step` must advance `batches_seen` by one a batch for a run to be "
                    f"resumed. Received: {done} of {self.feed.batches} batches counted. "
                    "Fix: call `super().train_step(data)`."
                )
        goes_on = within or (
            iterator.steps_per_epoch is not None and iterator._current_iterator is not None
        )
        return {
            "epoch": epoch,
            "done": done if within else 0,
            "epoch_start": self._epoch_start,
            "extra": self.extra,
            "iterations": self._iterations - (1 if goes_on else 0),
            "drawn": self._drawn + done if goes_on and not self._is_renewed else 0,
            "steps_seen": (
                self._steps_seen + max(done - self._over, 0) if within else iterator._steps_seen
            ),
            "feed": None if self.feed is None else self.feed.position(missing),
            "stream": None if self.stream is None else self.stream.position(),
            "stopped": bool(self.model.stop_training),
        }

    def go_to(self, position: dict[str, Any]) -> None:
        """Makes the next epoch of the loop the rest of the one that a position is in."""
        self._target = position
        if self.feed is not None:
            self.feed.seek(position["feed"], position["done"])
        if self.stream is not None:
            self.stream.seek(position["stream"], position["done"], position["drawn"])

    def interrupted(self) -> None:
        """Tells the listener that the user wants to stop."""
        if self.listener is not None:
            self.listener.interrupted()

    def close(self) -> None:
        """Tells the listener that `fit` is over."""
        if self.listener is not None:
            self.listener.closed()

    def _blocks(self, enumerate_all: Callable[[], Iterator]) -> Iterator[tuple[int, int, Any]]:
        """Yields what Keras' loop takes: numbers of a block's first and last batch, and data."""
        target, self._target = self._target, None
        if target is None:
            self._drawn = 0 if self._is_renewed else self._drawn + self._batches_done()
        if target is None or target["done"] == 0:
            self._epoch_start, self.extra = int(self.model.batches_seen.numpy()), 0
            if self.feed is not None:
                self.feed.batches = 0
        else:
            self._epoch_start, self.extra = target["epoch_start"], target["extra"]
        self._has_begun = self._is_renewed = False
        self._over = 0 if target is None else target["done"]
        goes_on = self._iterator.steps_per_epoch is not None
        if target is None:
            goes_on = goes_on and self._iterator._current_iterator is not None
        seen = self._iterator._steps_seen if target is None else target["steps_seen"]
        self._steps_seen = seen if goes_on or self._over else 0
        if self.listener is not None:
            self.listener.before_batches()
        for block in enumerate_all() if target is None else self._rest(target):
            self._has_begun = True
            yield block
            self._over += block[1] - block[0] + 1
            self._steps_seen = self._iterator._steps_seen
            if self.listener is not None:
                self.listener.after_block(block[1] - block[0] + 1)

    def _batches_done(self) -> int:
        """Returns how many batches of this epoch have been trained on."""
        return int(self.model.batches_seen.numpy()) - self._epoch_start - self.extra

    def _rest(self, target: dict[str, Any]) -> Iterator[tuple[int, int, Any]]:
        """Does what Keras' `_enumerate_iterator` does, from the middle of an epoch on."""
        it = self._iterator
        it.data_adapter.on_epoch_begin()
        steps = it.steps_per_epoch or it._num_batches
        it._current_iterator = self._advanced(target)
        it._steps_seen, step = target["steps_seen"], target["done"]
        if it.steps_per_epoch is None and step == 0:
            it._steps_seen = 0
        while (steps is None or step < steps) and not self.model.stop_training:
            if it._num_batches and it._steps_seen >= it._num_batches:
                break
            it._steps_seen += it.steps_per_execution
            yield step, step + it.steps_per_execution - 1, it._current_iterator
            step += it.steps_per_execution
        if it._num_batches and it._steps_seen >= it._num_batches:
            it._current_iterator, it._steps_seen = iter(it._get_iterator()), 0
        it.data_adapter.on_epoch_end()

    def _advanced(self, target: dict[str, Any]) -> Iterator[Any]:
        """Returns an iterator that has given all batches that were seen."""
        data, begin = self.setup["x"], self._iterator._get_iterator
        if self.feed is not None:
            return iter(begin())
        if isinstance(data, keras.utils.PyDataset):
            for _ in range(target["epoch"] - self.setup["initial_epoch"]):
                data.on_epoch_begin()
                data.on_epoch_end()
        else:
            # A dataset that shuffles anew at each iteration does so by the number of iterations.
            for _ in range(target["iterations"]):
                next(iter(begin()), None)
        self._iterations, self._has_begun = target["iterations"], False
        iterator = iter(begin())
        try:
            for _ in range(target["drawn"]):
                next(iterator)
        except (StopIteration, tf.errors.OutOfRangeError):
            raise ResumeMismatch(
                "`x` must be the data of the run that is resumed. Received: fewer batches than the "
                f"{target['drawn']} that it has seen of them."
            ) from None
        self._drawn = target["drawn"] - target["done"]
        return iterator
