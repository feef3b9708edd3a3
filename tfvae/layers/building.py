"""Building layers inside layers."""

import re

import keras

Shape = tuple[int | None, ...]


def build_once(layer: keras.layers.Layer, *shapes: Shape | None) -> None:
    """Builds `layer` unless it is built.

    When a model is loaded Keras builds each inner layer, then the outer one's `build` runs again; a
    second build fails with "You cannot add new elements of state".
    """
    if not layer.built:
        layer.build(*shapes)


def build_network(
    network: keras.layers.Layer, shape: tuple[int | None, ...]
) -> tuple[int | None, ...]:
    """Builds a network of any kind for inputs of `shape` and returns the shape of its outputs.

    The network is called on a symbolic tensor, as Keras does in functional models: this builds
    lazily built `Sequential`s and subclassed models that have no `build` of their own.

    Raises:
        ValueError: If the network does not take such inputs, or returns anything but one tensor.
    """
    symbolic = keras.KerasTensor(shape, "float32")
    try:
        outputs = network(symbolic)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"`network` must take inputs of shape {shape}. Received: network={network.name!r} of "
            "type "
            f"{type(network).__name__}, which refuses them: {_reason(error)}"
        ) from error
    if not isinstance(outputs, keras.KerasTensor):
        raise ValueError(
            "`network` must return one tensor. Received: "
            f"network={network.name!r}, which returns {type(outputs).__name__}. "
            "Fix: return the features; the head makes a distribution of them."
        )
    return tuple(outputs.shape)


def _reason(error: Exception) -> str:
    """Returns the sentence of a Keras error that says what is wrong, without its frame."""
    text = re.sub(r"\x1b\[\d*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith("Exception encountered when calling")]
    return next(iter(said or lines), type(error).__name__)
