"""What the page of a model says: its latent dimensions, the range of its values, its card."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
LISTED_FAMILIES = {"posterior": "q(z|x)", "prior": "p(z)", "likelihood": "p(x|z)"}


def latents_of(model: Any, rows: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns the shape of z and, of each of its numbers, where it lies and how much it says.

    `center` and `scale` are mean and standard deviation of the prior, or of the rows' z where the
    prior's are not known. `activity` is the variance over the rows of the posterior's mean (Burda,
    Grosse and Salakhutdinov, 2016, arXiv:1509.00519), and `order` sorts by it.

    Args:
        model: A built `tfvae.VAE`.
        rows: Inputs and z by name, [N, ...].
    """
    z = rows["z"].reshape(len(rows["z"]), -1)
    inputs = {name: rows[name] for name in ("x", "condition") if name in rows}
    codes = np.float64(model.encode(inputs).mean()).reshape(len(z), -1)
    activity = codes.var(axis=0)
    center, scale = _prior_moments(model, inputs.get("condition"), z.shape[1])
    if center is None:
        center, scale = z.mean(axis=0), z.std(axis=0)
    scale = np.maximum(scale, 1e-3)  # a constant has a slider too
    return {
        "shape": list(model.latent_shape),
        "center": _listed(center),
        "scale": _listed(scale),
        "activity": _listed(activity),
        "order": np.argsort(-activity, kind="stable").tolist(),
    }


def display_of(model: Any, x: np.ndarray) -> dict[str, Any]:
    """Returns whether examples are images, and between which values they are drawn.

    Those are the ends of the support of an image's likelihood or, where it has none, the usual ones
    that the values lie between; of other examples, the ends of the values.
    """
    shape = model.event_shape
    is_image = len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 3))
    low, high = float(x.min()), float(x.max())
    high = max(high, low + 1e-6)
    if is_image:
        support = model.support
        ends = float(np.min(support.low)), float(np.max(support.high))
        slack = 0.05 * (high - low)  # means of a Gaussian overshoot a little
        near = (r for r in RANGES if r[0] - slack <= low and high <= r[1] + slack)
        low, high = ends if np.isfinite(ends).all() else next(near, (low, high))
    return {"is_image": is_image, "low": low, "high": high}


def card_of(model: Any) -> dict[str, str]:
    """Returns what is known of any model, by name."""
    shapes = model.get_build_config()["input_shape"]
    row = {name: tf.zeros((1, *shape[1:])) for name, shape in shapes.items()}
    condition = row.get("condition")
    z = tf.zeros((1, *model.latent_shape))
    families = {
        "posterior": model.encode(row),
        "prior": model.prior(condition),
        "likelihood": model.decode(z, condition),
    }
    return {
        "Model": f"{type(model).__name__}, {model.count_params():,} weights, "
        f"{int(model.batches_seen.numpy()):,} training batches",
        "Example": " × ".join(map(str, model.event_shape)),
        "Latents": " × ".join(map(str, model.latent_shape)),
        **{
            f"{key.capitalize()} {LISTED_FAMILIES[key]}": _family(value)
            for key, value in families.items()
        },
    }


def _family(distribution: Any) -> str:
    inner = getattr(distribution, "distribution", None)
    name = type(distribution).__name__.lstrip("_")
    if name == "Independent" and inner is not None:
        return _family(inner)
    return name


def _prior_moments(model: Any, condition: Any, size: int) -> tuple[Any, Any]:
    prior = model.prior(None if condition is None else tf.constant(condition))
    try:
        mean, stddev = np.float64(prior.mean()), np.float64(prior.stddev())
    except NotImplementedError:
        return None, None
    mean, stddev = (v.reshape(-1, size).mean(axis=0) for v in (mean, stddev))
    return (mean, stddev) if np.isfinite([mean, stddev]).all() else (None, None)


def _listed(values: np.ndarray) -> list[float]:
    return [round(float(v), 6) for v in values]
