"""Families of distributions: which parameters they take, of which shape, from the whole real line.

Names, shapes and constraints come from TFP's `parameter_properties`; there is no list of families
here.
"""

import inspect
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae import checks, distributions
from tfvae.errors import did_you_mean

tfd, tfb = tfp.distributions, tfp.bijectors

SCALE_FLOOR = 1e-3  # below it a density of data that repeat is unbounded, and so is the ELBO
POSITIVE_FLOOR = 1e-6
CEILING = 1e6
LOG_RATE_BOUND = 15.0  # exp(15) = 3.3e6 events
DEGREES_FLOOR = 2.01  # at 2 and below a StudentT has no variance, and soon no mean


class Parameter(NamedTuple):
    """A free parameter of a family.

    Attributes:
        constrain: Bijector from the reals to the parameter's domain.
        unconstrained_shape: Shape on the side of the reals.
        event_ndims: Rank of the parameter for a single event of the TFP family.
    """

    constrain: Any
    unconstrained_shape: tuple[int, ...]
    event_ndims: int


def positive(floor: float, ceiling: float = CEILING) -> Any:
    """Returns the smooth bijector from the reals to (floor, ceiling) that maps 0 to about 1.

    It is `exp` of a softly clipped number: no output of a network, however large, gives 0, infinity
    or a gradient that is not finite.
    """
    return tfb.Chain([tfb.Exp(), tfb.SoftClip(math.log(floor), math.log(ceiling))])


def family_class(family: str | type) -> type:
    """Returns the distribution class of that name: TFP's, ours, or one registered with Keras.

    Raises:
        ValueError: If there is none.
        TypeError: If `family` is neither a name nor a distribution class.
    """
    if inspect.isclass(family) and issubclass(family, tfd.Distribution):
        return family
    if not isinstance(family, str):
        raise TypeError(
            "`family` must be the name of a TFP distribution or a `tfd.Distribution` class. "
            f"Received: family={family!r} of type {type(family).__name__}."
        )
    for found in (
        getattr(distributions, family, None),  # ours come first: some are TFP's, mended
        getattr(tfd, family, None),
        keras.saving.get_registered_object(family),
    ):
        if inspect.isclass(found) and issubclass(found, tfd.Distribution):
            return found
    known = [n for n in dir(tfd) + dir(distributions) if n[0].isupper()]
    raise ValueError(
        f"`family` must be the name of a distribution in `tfp.distributions`. Received: "
        f"family={family!r}.{did_you_mean(family, known)}"
    )


def family_name(family: str | type) -> str:
    """Returns the name that `family_class` finds again, also in a new process.

    Raises:
        ValueError: If `family` is a class that no other process would know.
    """
    cls = family_class(family)
    if getattr(tfd, cls.__name__, None) is cls:
        return cls.__name__
    name = (
        cls.__name__
        if hasattr(distributions, cls.__name__)
        else keras.saving.get_registered_name(cls)
    )
    try:
        found = family_class(name)
    except ValueError:
        found = None
    if found is not cls:
        raise ValueError(
            f"`family` must be a class that can be found again when a model is loaded. Received: "
            f"family={cls.__name__}. Fix: decorate it with "
            "`@keras.saving.register_keras_serializable('mine')`."
        )
    return name


class Family:
    """A TFP family over an event, with some of its parameters constant and the others free.

    Args:
        name: Name of the family; see `family_class`.
        event_shape: Shape of one event; scalar families are repeated over it.
        fixed: Values of the constant parameters, by name; each broadcasts over the event. Here too
            is the size that some families need, {"num_classes": 5} or {"num_components": 5}.

    Raises:
        ValueError: If the family, a constant or the event shape does not fit.

    Example:
    >>> family = Family("Normal", (2,), fixed={"scale": 0.1})
    >>> family.free["loc"].unconstrained_shape
    (2,)
    >>> family.distribution({"loc": tf.zeros([5, 2])}).batch_shape
    TensorShape([5])
    """

    def __init__(
        self, name: str, event_shape: tuple[int, ...], fixed: Mapping[str, Any] | None = None
    ):
        self.name, self.event_shape = name, checks.shape("event_shape", event_shape)
        self._class = family_class(name)
        dtype = inspect.signature(self._class.__init__).parameters.get("dtype")
        self._is_integer = dtype is not None and dtype.default == tf.int32  # unless told otherwise
        constants = dict(fixed or {})
        size = self._size(constants)
        properties = self._properties(size)
        for key in constants:
            if key not in properties:
                raise ValueError(
                    f"`fixed` must name parameters of {name}: {', '.join(properties)}. "
                    f"Received: fixed={{{key!r}: ...}}.{did_you_mean(key, properties)}"
                )
        self.free: dict[str, Parameter] = {}
        for key, p in properties.items():
            if key not in constants and p.is_tensor and p.is_preferred is True:
                self.free[key] = self._free_parameter(key, p)
        if not self.free:
            raise ValueError(
                f"`fixed` must leave a free parameter of {name}: {', '.join(properties)}. "
                f"Received: fixed={constants}. Fix: leave one out."
            )
        self.fixed = {k: self._constant(k, v, properties[k]) for k, v in constants.items()}
        self._check()

    def distribution(self, unconstrained: Mapping[str, tf.Tensor]) -> Any:
        """Returns the distribution whose free parameters are `constrain(unconstrained)`.

        Args:
            unconstrained: Real tensors [..., *unconstrained_shape], by parameter.
        """
        return self._independent(
            {k: self.free[k].constrain.forward(v) for k, v in unconstrained.items()}
        )

    def shape(self, key: str, lead: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Returns the shape of a free parameter on its own scale, after leading axes."""
        p = self.free[key]
        return tuple(p.constrain.forward_event_shape(tf.TensorShape(lead + p.unconstrained_shape)))

    def _independent(self, parameters: Mapping[str, Any], validate_args: bool = False) -> Any:
        options = {"dtype": tf.float32} if self._is_integer else {}
        d = self._class(**parameters, **self.fixed, **options, validate_args=validate_args)
        rest = len(self.event_shape) - len(d.event_shape)
        return tfd.Independent(d, rest) if rest else d

    def _size(self, constants: dict[str, Any]) -> int | None:
        """Takes the size out of the constants, if there is one and the family wants it."""
        key = self._size_name
        if key in constants and self._wants_size():
            return checks.integer(f"fixed[{key!r}]", constants.pop(key), 2)
        return None

    @property
    def _size_name(self) -> str:
        return getattr(self._class, "size_name", "num_classes")

    def _wants_size(self) -> bool:
        """Whether a free parameter has an axis whose length the event's shape does not give."""
        return any(
            _shape_of(p, self.event_shape) is None
            and _shape_of(self._properties(2)[key], self.event_shape) is not None
            for key, p in self._properties(None).items()
            if p.is_tensor and p.is_preferred is True
        )

    def _properties(self, size: int | None) -> dict[str, Any]:
        try:
            return dict(self._class.parameter_properties(dtype=tf.float32, num_classes=size))
        except NotImplementedError:
            raise ValueError(
                f"`family` must declare its parameters (`parameter_properties`), which {self.name} "
                "does "
                f"not. Received: family={self.name!r}. Fix: write a stochastic layer that returns "
                "it."
            ) from None

    def _free_parameter(self, key: str, p: Any) -> Parameter:
        try:
            shape = tf.TensorShape(p.shape_fn(tf.TensorShape(self.event_shape)))
            constrain = _smooth(key, p.default_constraining_bijector_fn())
            unconstrained = constrain.inverse_event_shape(shape)
            return Parameter(constrain, tuple(int(d) for d in unconstrained), p.event_ndims)
        except (NotImplementedError, TypeError, ValueError, IndexError):
            missing = self._size_name if self._wants_size() else key
            hint = f"Fix: give it as a constant, fixed={{{missing!r}: ...}}."
            raise ValueError(
                f"`family` must have parameters that an event shape determines; `{key}` of "
                f"{self.name} "
                f"is not. Received: family={self.name!r}, event_shape={self.event_shape}. {hint}"
            ) from None

    def _constant(self, key: str, value: Any, p: Any) -> tf.Tensor:
        try:
            if value is None or isinstance(value, str):  # numpy takes None for NaN
                raise TypeError
            constant = tf.convert_to_tensor(np.asarray(value, "float32"))
        except (TypeError, ValueError):
            raise TypeError(
                f"`fixed[{key!r}]` must be a number or an array of numbers. Received: "
                f"fixed={{{key!r}: {value!r}}} of type {type(value).__name__}."
            ) from None
        if p.event_ndims == 0:
            return constant
        return tf.broadcast_to(constant, p.shape_fn(tf.TensorShape(self.event_shape)))

    def _check(self) -> None:
        """Builds the distribution once, with TFP's own checks of its arguments switched on."""
        with tf.init_scope():
            zeros = {k: tf.zeros(p.unconstrained_shape) for k, p in self.free.items()}
            received = f"Received: family={self.name!r}, event_shape={self.event_shape}" + (
                f", fixed={ {k: np.asarray(v).tolist() for k, v in self.fixed.items()} }."
                if self.fixed
                else "."
            )
            try:
                values = {k: self.free[k].constrain.forward(v) for k, v in zeros.items()}
                d = self._independent(values, validate_args=True)
            except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
                reason = str(getattr(error, "message", error)).split("\n")[0].strip(" .")
                raise ValueError(
                    f"`fixed` must be valid for {self.name}: {reason}. {received}"
                ) from None
            if tuple(d.event_shape) != self.event_shape or d.batch_shape.rank != 0:
                raise ValueError(
                    f"`event_shape` must fit {self.name}, whose event comes out as "
                    f"{tuple(d.event_shape)}"
                    f" in a batch {tuple(d.batch_shape)}. {received}"
                )


def _shape_of(p: Any, event_shape: tuple[int, ...]) -> tf.TensorShape | None:
    """Returns a parameter's shape for an event shape, None if that does not give it."""
    try:
        shape = tf.TensorShape(p.shape_fn(tf.TensorShape(event_shape)))
    except (NotImplementedError, TypeError, ValueError, IndexError):
        return None
    return shape if shape.is_fully_defined() else None


def _smooth(key: str, bijector: Any) -> Any:
    """Puts bounded maps in place of TFP's defaults, some of which reach 0 or infinity."""
    floor = SCALE_FLOOR if "scale" in key else POSITIVE_FLOOR
    floor = DEGREES_FLOOR if key == "df" else floor
    if isinstance(bijector, tfb.Softplus):
        return positive(floor)
    if isinstance(bijector, tfb.FillScaleTriL):
        return tfb.FillScaleTriL(diag_bijector=positive(floor), diag_shift=None)
    if isinstance(bijector, tfb.Identity) and key.startswith("log_"):
        return tfb.SoftClip(-LOG_RATE_BOUND, LOG_RATE_BOUND)
    return bijector
