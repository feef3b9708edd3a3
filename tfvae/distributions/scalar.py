"""What our families over single numbers share."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


class ScalarDistribution(tfd.AutoCompositeTensorDistribution):
    """A distribution over single numbers. Abstract: subclasses keep their parameters as attributes.

    It is a composite tensor as TFP's own are: a `tf.function` returns it, and `tfd.Independent`
    around it is a `tfd.Independent`.

    Args:
        parameters: The constructor's arguments, by name, as TFP wants them for `copy`.
        tensors: The names of those that are tensors; all get one floating type.
        positive: The names of those that must be positive; checked with `validate_args`.
    """

    def __init__(
        self, parameters: dict[str, Any], tensors: tuple[str, ...], positive: tuple[str, ...]
    ):
        given = [parameters[t] for t in tensors]
        dtype = next((v.dtype for v in given if tf.is_tensor(v)), tf.float32)
        with tf.name_scope(parameters["name"]) as name:
            for key in tensors:
                setattr(self, key, tf.convert_to_tensor(parameters[key], dtype, name=key))
            self._positive = positive
            super().__init__(
                dtype=dtype,
                reparameterization_type=tfd.NOT_REPARAMETERIZED,
                validate_args=parameters["validate_args"],
                allow_nan_stats=parameters["allow_nan_stats"],
                parameters={k: v for k, v in parameters.items() if k in self._arguments()},
                name=name,
            )

    @classmethod
    def _arguments(cls) -> set[str]:
        return {*cls._parameter_properties(tf.float32), "validate_args", "allow_nan_stats", "name"}

    def _event_shape(self) -> tf.TensorShape:
        return tf.TensorShape([])

    def _event_shape_tensor(self) -> tf.Tensor:
        return tf.constant([], tf.int32)

    def _default_event_space_bijector(self) -> None:
        return None  # all of them are over integers

    def _parameter_control_dependencies(self, is_init: bool) -> list[Any]:
        if not (is_init and self.validate_args):
            return []
        return [
            tf.debugging.assert_positive(
                getattr(self, key), message=f"Argument `{key}` must be positive."
            )
            for key in self._positive
        ]
