"""Mixed likelihoods of heterogeneous tables (Nazabal et al., 2020, arXiv:1807.03653)."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfvae import checks
from tfvae.distributions.column_blocks import ColumnBlocks
from tfvae.layers.building import Shape, build_once
from tfvae.serialization import serializable
from tfvae.stochastic.stochastic_layer import StochasticLayer


@serializable
class Columns(StochasticLayer):
    """Features -> distribution over rows [D], with a family for each block of columns.

    Use it as the head of a decoder where some columns are real, some counts, some classes. Given z
    the columns are independent, so that log-densities add up, and a mask takes out the missing
    ones. The mean puts each block's mean into its columns; for a `Categorical` block, whose class
    numbers have no mean, the most probable class.

    Args:
        heads: Stochastic layers, one a block, with event shape (k,).
        columns: The k column numbers of each block; together they must be 0, ..., D - 1.

    Raises:
        TypeError: If a head is no stochastic layer, or a column no integer.
        ValueError: If heads and columns do not fit each other.

    Example: two real columns, a count, and one of five classes.
    >>> Columns(
    ...     [Head("Normal", (2,)), Head("Poisson", (1,)),
    ...      Head("Categorical", (1,), fixed={"num_classes": 5})],
    ...     columns=[[0, 2], [1], [3]],
    ... )
    """

    def __init__(
        self,
        heads: Sequence[StochasticLayer],
        columns: Sequence[Sequence[int]],
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.heads, self.columns = list(_checked_heads(heads)), _checked_columns(columns)
        sizes = [head.event_shape for head in self.heads]
        if sizes != [(len(block),) for block in self.columns]:
            raise ValueError(
                "`columns` must have as many numbers in each block as its head has entries. "
                f"Received: heads over {sizes} with blocks of "
                f"{[len(block) for block in self.columns]} columns."
            )
        self.event_shape = (sum(len(block) for block in self.columns),)

    def build(self, features_shape: Shape) -> None:
        if len(features_shape) != 2:
            raise ValueError(
                "`features` must be flat for `Columns`. Received: features of shape "
                f"{tuple(features_shape[1:])}. Fix: end the network with "
                "`keras.layers.Flatten()`."
            )
        for head in self.heads:
            build_once(head, features_shape)
        self.built = True

    def call(self, features: tf.Tensor) -> Any:
        return ColumnBlocks([head(features) for head in self.heads], self.columns)


def _checked_heads(heads: Any) -> Sequence[StochasticLayer]:
    if not isinstance(heads, list | tuple) or not heads:
        raise TypeError(
            "`heads` must be a list of stochastic layers. "
            f"Received: heads={heads!r} of type {type(heads).__name__}."
        )
    for i, head in enumerate(heads):
        if not isinstance(head, StochasticLayer):
            raise TypeError(
                f"`heads[{i}]` must be a stochastic layer. Received: heads[{i}]={head!r} of type "
                f'{type(head).__name__}. Fix: use `tfvae.Head("Normal", (k,))`.'
            )
    return heads


def _checked_columns(columns: Any) -> tuple[tuple[int, ...], ...]:
    if not isinstance(columns, list | tuple):
        raise TypeError(
            "`columns` must be a list of column numbers for each head. "
            f"Received: columns={columns!r} of type {type(columns).__name__}."
        )
    blocks = []
    for i, block in enumerate(columns):
        if not isinstance(block, list | tuple):
            raise TypeError(
                f"`columns[{i}]` must be a list of column numbers. Received: columns[{i}]="
                f"{block!r} of type {type(block).__name__}."
            )
        blocks.append(tuple(checks.integer(f"columns[{i}]", c, 0) for c in block))
    numbers = sorted(c for block in blocks for c in block)
    if numbers != list(range(len(numbers))):
        raise ValueError(
            "`columns` must hold each of 0, ..., D - 1 once. "
            f"Received: columns={[list(b) for b in blocks]}."
        )
    return tuple(blocks)
