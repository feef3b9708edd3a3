"""Operations that LiteRT lacks, as compositions of those that it has.

In a SavedModel's functions, each such node becomes a call of a function of the same inputs, which
the converter puts in its place. This file is also run where nothing but TensorFlow is imported.
"""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

Tensor = tf.Tensor


def _eye(size: Tensor, dtype: tf.DType) -> Tensor:
    index = tf.range(size)
    return tf.cast(tf.equal(tf.expand_dims(index, 0), tf.expand_dims(index, 1)), dtype)


def _diag_part(matrix: Tensor, k: Tensor, padding: Tensor) -> Tensor:
    return tf.reduce_sum(matrix * _eye(tf.shape(matrix)[-1], matrix.dtype), axis=-1)


def _diag(diagonal: Tensor, k: Tensor, rows: Tensor, columns: Tensor, padding: Tensor) -> Tensor:
    return tf.expand_dims(diagonal, -1) * _eye(tf.shape(diagonal)[-1], diagonal.dtype)


def _set_diag(matrix: Tensor, diagonal: Tensor, k: Tensor) -> Tensor:
    eye = _eye(tf.shape(matrix)[-1], matrix.dtype)
    return matrix * (1.0 - eye) + tf.expand_dims(diagonal, -1) * eye


def _lgamma(x: Tensor) -> Tensor:
    """The logarithm of the Gamma function of positive numbers (Lanczos, 1964), g = 7, n = 9."""
    # x >= 1 by the recurrence: the series loses digits near 0.
    is_small = x < 1.0
    shifted = tf.where(is_small, x, x - 1.0)
    series = tf.fill(tf.shape(x), _LANCZOS[0])
    for i, coefficient in enumerate(_LANCZOS[1:], start=1):
        series = series + coefficient / (shifted + float(i))
    base = shifted + 7.5
    log_gamma = (
        0.5 * math.log(2.0 * math.pi)
        + (shifted + 0.5) * tf.math.log(base)
        - base
        + tf.math.log(series)
    )
    return tf.where(is_small, log_gamma - tf.math.log(tf.where(is_small, x, 1.0)), log_gamma)


_LANCZOS = (
    0.99999999999980993,
    676.5203681218851,
    -1259.1392167224028,
    771.32342877765313,
    -176.61502916214059,
    12.507343278686905,
    -0.13857109526572012,
    9.9843695780195716e-6,
    1.5056327351493116e-7,
)

# Operation -> the name of its output, and a function of its inputs.
LOWERINGS: dict[str, tuple[str, Callable[..., Tensor]]] = {
    "Lgamma": ("y", _lgamma),
    "MatrixDiagPartV3": ("diagonal", _diag_part),
    "MatrixDiagV3": ("output", _diag),
    "MatrixSetDiagV3": ("output", _set_diag),
}


def lower(saved: Any) -> list[str]:
    """Rewrites the functions of a `SavedModel` message; returns the operations that it replaced."""
    library = saved.meta_graphs[0].graph_def.library
    made: dict[str, Any] = {}
    for function in library.function:
        renamed = {}
        for node in function.node_def:
            if node.op not in LOWERINGS or node.attr["T"].type != tf.float32.as_datatype_enum:
                continue
            output, lowering = LOWERINGS[node.op]
            made.setdefault(node.op, _function(node.op, lowering))
            renamed[f"{node.name}:{output}:0"] = f"{node.name}:output:0"
            _call_instead(node, made[node.op].signature)
        for node in function.node_def:
            node.input[:] = [renamed.get(name, name) for name in node.input]
        for key, name in function.ret.items():
            function.ret[key] = renamed.get(name, name)
    library.function.extend(made.values())
    return sorted(made)


def _function(op: str, lowering: Callable[..., Tensor]) -> Any:
    """Returns a `FunctionDef` that takes what the operation takes, of any rank."""
    types = [arg.type or tf.float32 for arg in op_def_registry.get(op).input_arg]
    specs = [tf.TensorSpec(None, tf.as_dtype(t)) for t in types]
    return tf.function(lowering, autograph=False).get_concrete_function(*specs).function_def


def _call_instead(node: Any, signature: Any) -> None:
    node.op = "PartitionedCall"
    node.attr.clear()
    node.attr["f"].func.name = signature.name
    node.attr["Tin"].list.type.extend(a.type for a in signature.input_arg)
    node.attr["Tout"].list.type.extend(a.type for a in signature.output_arg)
