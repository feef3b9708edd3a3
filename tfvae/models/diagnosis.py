"""Which term or layer left the finite numbers first: a batch is run again, eagerly, layer by layer.

Only ever called when training has failed; it changes nothing.
"""

import contextlib
import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tfvae.models.inputs import split_batch

BATCHES = 50  # looked at before one gives up


def describe_first(model: Any, batches: Iterable[Any]) -> str:
    """Returns what is first not finite in the first batch where anything is not.

    Args:
        model: A built `LatentVariableModel`; its state is as before afterwards.
        batches: Batches as the train step takes them.
    """
    rate = float(tf.convert_to_tensor(model.optimizer.learning_rate))
    if not math.isfinite(rate):
        return f"the learning rate, {rate}"
    with contextlib.suppress(tf.errors.OpError):
        for batch in itertools.islice(batches, BATCHES):
            if found := first_non_finite(model, batch):
                return found
    return "unknown, for other batches are finite: look for extreme values in x"


def rows_in_order(feed: Any) -> Iterator[Any]:
    """Yields a feed's batches from the first row on."""
    for start in range(0, feed.num_rows, feed.batch_size):
        yield feed.rows(start, start + feed.batch_size)


def first_non_finite(model: Any, batch: Any) -> str | None:
    """Returns the name of what is first not finite in a train step on a batch, or None.

    The order is that of the computation: outputs of layers, densities, KL, losses, gradients.
    """
    inputs = split_batch(batch)
    variables = model.variables
    before = [tf.identity(v.value) for v in variables]
    try:
        with _recording(model) as outputs, tf.GradientTape() as tape:
            with model.noise.stream("train", model.batches_seen.value):
                draws = model(inputs, training=True)
            losses = [o.loss(draws, model._schedule_step()) for o in model.objectives]
            extra = sum(model.losses, tf.constant(0.0))
            loss = sum(tf.reduce_mean(value) for value in losses) + extra
        gradients = tape.gradient(loss, model.trainable_variables)
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
    if not _is_finite(inputs):
        return "the data"
    names = _paths(model)
    for layer, output in outputs:
        if not _is_finite(output):
            kind = type(layer).__name__
            return f"the output of {names.get(id(layer), layer.name)} ({kind})"
    terms = {
        "the log-likelihood, log p(x|z)": draws.log_likelihood,
        "the posterior, log q(z|x)": draws.log_posterior,
        "the prior, log p(z)": draws.log_prior,
        "the KL": draws.kl,
        **{
            f"the loss of {type(o).__name__}": value
            for o, value in zip(model.objectives, losses, strict=True)
        },
        "the extra losses of the layers": extra,
    }
    for name, value in terms.items():
        if not _is_finite(value):
            return name
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        if gradient is not None and not _is_finite(tf.convert_to_tensor(gradient)):
            return f"the gradient of {variable.path}"
    norm = float(tf.linalg.global_norm([g for g in gradients if g is not None]))
    limit = math.inf if model.skip_above_norm is None else model.skip_above_norm
    if not math.isfinite(norm) or norm > limit:  # squares overflow before the numbers do
        return f"the gradient's norm, {norm:g}"
    return None


@contextlib.contextmanager
def _recording(model: Any) -> Iterator[list[tuple[Any, Any]]]:
    """Gives a list of (layer, output), in the order in which the layers inside have finished."""
    outputs: list[tuple[Any, Any]] = []
    layers = [layer for layer in model._flatten_layers() if layer is not model]

    def recorded(layer: Any, call: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            output = call(*args, **kwargs)
            outputs.append((layer, output))
            return output

        return run

    for layer in layers:
        vars(layer)["call"] = recorded(layer, layer.call)
    try:
        yield outputs
    finally:
        for layer in layers:
            del vars(layer)["call"]


def _is_finite(values: Any) -> bool:
    """Whether all real numbers in a structure, or in a distribution's parameters, are finite."""
    flat = tf.nest.flatten(values, expand_composites=True)
    return all(
        bool(tf.reduce_all(tf.math.is_finite(v)))
        for v in flat
        if hasattr(v, "dtype") and tf.as_dtype(v.dtype).is_floating
    )


def _paths(layer: Any, prefix: str = "") -> dict[int, str]:
    """Returns names by attributes, such as "encoder.network.layers[1]"; Keras' own are numbered."""
    found: dict[int, str] = {}
    members = {k: v for k, v in vars(layer).items() if not k.startswith("_")}
    if isinstance(layer, keras.Sequential) or hasattr(layer, "operations"):
        members = {"layers": layer.layers}
    for key, value in members.items():
        children = value if isinstance(value, list | tuple) else [value]
        for i, child in enumerate(children):
            if isinstance(child, keras.layers.Layer) and id(child) not in found:
                path = f"{prefix}{key}" + (f"[{i}]" if child is not value else "")
                found[id(child)] = path
                found |= {k: v for k, v in _paths(child, f"{path}.").items() if k not in found}
    return found
