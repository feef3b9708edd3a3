"""Compiled functions that serve one fit."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


class Program:
    """A function of tensors of fixed types, traced at its first call.

    A plain `tf.function` warns of retracing when a process makes several fits, each of which has
    its own.

    Args:
        function: From tensors to a structure of them.
        signature: Specs of its arguments; by default those of the first call.
    """

    def __init__(self, function: Callable, signature: Sequence[tf.TensorSpec] | None = None):
        self._function = tf.function(function, autograph=False)
        self._signature, self._program = signature, None

    def __call__(self, *arguments: tf.Tensor) -> Any:
        if self._program is None:
            self._program = self._function.get_concrete_function(*(self._signature or arguments))
        return self._program(*arguments)
