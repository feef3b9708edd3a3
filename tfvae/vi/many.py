"""Fits of many data sets of one shape at once: one program takes the steps of all."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae.random import seed_pair
from tfvae.vi.feed import MOST_NUMBERS
from tfvae.vi.fitting import Fitter
from tfvae.vi.inference import Inference
from tfvae.vi.optimisation import (
    NUM_CHECK,
    Adam,
    Moments,
    Progress,
)
from tfvae.vi.program import Program
from tfvae.vi.surrogates import rate_of


class ManyFits:
    """Surrogates of M data sets, their weights stacked along a leading axis.

    The steps, the rule of their rates and the rule of their end are those of `Optimizer`, for each
    data set its own; the noise of a step is the same for all. One that has come to rest stands
    still while the others go on.

    Args:
        fitter: A fitter of one data set of the same shape, which finds the starts.
        num: M.
    """

    def __init__(self, fitter: Fitter, num: int):
        self._fitter, self._inference, self.num = fitter, fitter.sampler.inference, num
        surrogate, feed = self._inference.surrogate, fitter.sampler.feed
        self._keys = list(surrogate.variables)
        self._trained = [i for i, v in enumerate(self._keys) if v.trainable]
        self._weights = [_zeros(num, v.shape, v.dtype) for v in self._keys]
        self._data = {n: _zeros(num, v.shape, v.dtype) for n, v in feed.values.items()}
        self._adam = Adam(
            [self._weights[i] for i in self._trained],
            [rate_of(surrogate, self._keys[i]) for i in self._trained],
            (num,),
        )
        self._stage = Program(self._run_stage)
        self._moments = Program(lambda seed: self._map(self._one_moments, seed))
        self._recentre = Program(self._recentre_all)

    def run(self, data: Sequence[Mapping[str, Any]], num_steps: int, seed: int) -> None:
        """Fits M data sets; `load` then puts one of the results into the fitter."""
        self._start(data, seed)
        progress = [Progress() for _ in data]
        before, taken = self._all_moments(seed), 0
        while taken < num_steps and (running := [p for p in progress if not p.is_over]):
            length = int(min(max(p.length for p in running), num_steps - taken))
            rates = tf.constant([0.0 if p.is_over else p.rate for p in progress], tf.float32)
            self._stage(tf.constant(length), rates, seed_pair(seed, "vi/steps"), tf.constant(taken))
            self._recentre()
            now, taken = self._all_moments(seed), taken + length
            for one, old, new in zip(progress, before, now, strict=True):
                one.advance(old, new)
            before = now

    def load(self, index: int) -> None:
        """Puts one fit's weights and data into the fitter's surrogate and feed."""
        for variable, values in zip(self._keys, self._weights, strict=True):
            variable.assign(values[index])
        self._fitter.sampler.feed.put({n: v[index] for n, v in self._data.items()})

    def _start(self, data: Sequence[Mapping[str, Any]], seed: int) -> None:
        starts = []
        for i, values in enumerate(data):
            self._fitter.sampler.feed.put(values)
            self._fitter.start(seed, i)
            starts.append([v.numpy() for v in self._keys])
        for weight, values in zip(self._weights, zip(*starts, strict=True), strict=True):
            weight.assign(np.stack(values))
        for name, variable in self._data.items():
            variable.assign(tf.cast(np.stack([d[name] for d in data]), variable.dtype))

    def _all_moments(self, seed: int) -> list[Moments]:
        parts = [t.numpy() for t in self._moments(seed_pair(seed, "vi/moments"))]
        return [Moments(*one) for one in zip(*parts, strict=True)]

    def _map(self, function: Any, *arguments: Any) -> Any:
        """Maps a function of an inference and its weights over the data sets."""

        def one(slices: tuple) -> Any:
            weights, data = slices
            target = self._inference.target.at(data)
            with keras.StatelessScope(list(zip(self._keys, weights, strict=True))) as scope:
                inference = Inference(target, self._inference.surrogate, self._inference.objectives)
                return function(inference, scope, weights, *arguments)

        stacked = [tf.convert_to_tensor(w) for w in self._weights]
        data = {n: tf.convert_to_tensor(v) for n, v in self._data.items()}
        return tf.vectorized_map(one, (stacked, data), fallback_to_while_loop=False)

    def _one_moments(
        self, inference: Inference, scope: Any, weights: list, seed: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        draws = inference(seed, num_samples=NUM_CHECK)
        u = draws.z[:, 0]
        return tf.reduce_mean(u, 0), tf.math.reduce_std(u, 0), draws.log_weight[:, 0]

    def _one_gradient(
        self, inference: Inference, scope: Any, weights: list, seed: tf.Tensor
    ) -> list[tf.Tensor]:
        trained = [weights[i] for i in self._trained]
        with tf.GradientTape() as tape:
            tape.watch(trained)
            for i, value in zip(self._trained, trained, strict=True):
                scope.add_update((self._keys[i], value))
            loss = inference.loss(inference(seed), tf.constant(0, tf.int64))
        return tape.gradient(loss, trained, unconnected_gradients="zero")

    def _recentre_all(self) -> tuple:
        def one(inference: Inference, scope: Any, weights: list) -> list[tf.Tensor]:
            inference.surrogate.recentre()
            return [tf.convert_to_tensor(scope.get_current_value(v)) for v in self._keys]

        for weight, value in zip(self._weights, self._map(one), strict=True):
            weight.assign(value)
        return ()

    def _run_stage(
        self, length: tf.Tensor, rates: tf.Tensor, seed: tf.Tensor, taken: tf.Tensor
    ) -> None:
        def gradients(i: tf.Tensor) -> list[tf.Tensor]:
            return self._map(self._one_gradient, tf.stack([seed[0], taken + i]))

        self._adam.run_stage(length, rates, gradients)


def group_size(data: Mapping[str, np.ndarray], num: int) -> int:
    """Returns how many of `num` data sets fit at once: all, unless they are too large together."""
    largest = max([1, *(np.size(v) for v in data.values())])
    return int(np.clip(MOST_NUMBERS // (NUM_CHECK * largest), 1, num))


def _zeros(num: int, shape: Any, dtype: Any) -> tf.Variable:
    return tf.Variable(tf.zeros([num, *shape], dtype), trainable=False)
