"""The variational auto-encoder (Kingma and Welling, 2013; Rezende et al., 2014)."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfvae import checks
from tfvae.distributions import center, exact_kl, observed_log_prob, with_exposure
from tfvae.distributions.support import REALS, Support, support_of
from tfvae.draws import Draws
from tfvae.gradients import stopped, weighted_path
from tfvae.layers.building import build_once
from tfvae.models.inputs import Inputs, check_condition_shape, check_shape, unpack
from tfvae.models.latent_variable_model import LatentVariableModel
from tfvae.models.observation import check_mask_is_as_built, check_observation
from tfvae.models.rows import over_rows
from tfvae.models.value_checks import check_values
from tfvae.objectives.together import check_reparameterized
from tfvae.random import fresh_seed, seed_pair
from tfvae.serialization import serializable
from tfvae.stochastic import StandardNormal, StochasticLayer


@serializable
class VAE(LatentVariableModel):
    """Any posterior, likelihood, prior and objective.

    Inputs are an array of examples, or a dictionary with `x` and any of `condition` [B, C], `mask`
    (1 where x is observed; what is missing may be NaN, and counts for nothing), `exposure` [B]
    (multiplies the mean of counts; 1 where it is left out) and `sample_weight` [B]. A model that
    was built with a condition or a mask needs one ever after.

    Args:
        encoder: x -> q(z | x), a stochastic layer such as `Conditional(network, Head("Normal",
            (32,)))`.
        decoder: z -> p(x | z), a stochastic layer whose event shape is that of an example.
        prior: p(z), a stochastic layer over the encoder's event shape; `StandardNormal` by default.
        objective: An `Objective` or a list of them, whose losses add up; `ELBO()` by default.
        seed: Seed of all noise; None draws one, which the config keeps.

    Raises:
        TypeError: If a part is no stochastic layer.
        ValueError: If the parts do not fit together.

    Example:
    >>> vae = tfvae.VAE(
    ...     encoder=tfvae.Conditional(networks.mlp([512]), tfvae.Head("Normal", (32,))),
    ...     decoder=tfvae.Conditional(networks.mlp([512]), tfvae.Head("Bernoulli", (28, 28, 1))),
    ... )
    >>> vae.compile("adam")
    >>> vae.fit(x_train, batch_size=128, epochs=20)
    """

    def __init__(
        self,
        encoder: StochasticLayer,
        decoder: StochasticLayer,
        prior: StochasticLayer | None = None,
        objective: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(objective, seed, **kwargs)
        _check_stochastic("encoder", encoder)
        _check_stochastic("decoder", decoder)
        prior = StandardNormal(encoder.event_shape) if prior is None else prior
        _check_stochastic("prior", prior)
        if prior.event_shape != encoder.event_shape:
            raise ValueError(
                f"`prior` must have the encoder's event_shape {encoder.event_shape}. Received: "
                "prior with "
                f"event_shape {prior.event_shape}."
            )
        if not decoder.event_shape:
            raise ValueError(
                "`decoder` must have an event_shape like (784,). Received: event_shape=()."
            )
        self.encoder, self.decoder, self.prior = encoder, decoder, prior

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of an example."""
        return self.decoder.event_shape

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of the latents of an example."""
        return self.encoder.event_shape

    @property
    def support(self) -> Support:
        """What x may be: the support of the likelihood."""
        z, shape = tf.zeros((1, *self.latent_shape)), self._input_shape.get("condition")
        return support_of(self.decoder(z, None if shape is None else tf.zeros((1, *shape[1:]))))

    @property
    def numbers_per_draw(self) -> int:
        return max(self.decoder.numbers_per_draw, self.prior.numbers_per_draw)

    @property
    def has_exact_kl(self) -> bool:
        """Whether KL[q(z | x) || p(z)] is in closed form; else it is estimated from the draws."""
        self._require_built("has_exact_kl")
        zeros = self._zeros()
        return exact_kl(self.encode(zeros), self.prior(zeros.get("condition"))) is not None

    def build(self, input_shape: Any) -> None:
        if self.built:
            return
        shapes = input_shape if isinstance(input_shape, dict) else {"x": input_shape}
        check_shape(shapes["x"], self.event_shape)
        x, condition = (None, *self.event_shape), shapes.get("condition")
        has_mask, has_exposure = (shapes.get(k) is not None for k in ("mask", "exposure"))
        if condition is not None:
            check_condition_shape(condition)
        build_once(self.decoder, (None, *(self.latent_shape or (1,))), condition)
        self._check_observable(condition, has_mask, has_exposure)
        # The encoder sees the mask beside x, on the last axis.
        seen = (*x[:-1], 2 * x[-1]) if has_mask else x
        build_once(self.encoder, seen, condition)
        build_once(self.prior, condition)
        for objective in self.objectives:
            build_once(objective, (None, *self.latent_shape))
        shapes = {"x": x, "condition": condition, "mask": x if has_mask else None}
        self._input_shape = {k: s for k, s in shapes.items() if s is not None}
        zeros = Inputs(**self._zeros())
        check_reparameterized(self.objectives, self.encoder(zeros.seen, zeros.condition))
        self.built = True

    def call(
        self, inputs: Any, num_samples: int | None = None, training: bool | None = None
    ) -> Draws:
        x, condition, mask, exposure, _ = batch = unpack(inputs, self.event_shape)
        posterior, prior = self.encoder(batch.seen, condition), self.prior(condition)
        z, log_posterior = posterior.experimental_sample_and_log_prob(
            num_samples or self.num_samples, seed=self.next_seed()
        )
        if self.path_weight is not None:
            z = weighted_path(z, lambda: self.path_weight(draws))
            log_posterior = stopped(posterior).log_prob(z)
        likelihood = with_exposure(self.decoder(z, condition), exposure)
        log_likelihood = observed_log_prob(likelihood, x, mask)
        draws = Draws(z, log_likelihood, prior.log_prob(z), log_posterior, posterior, prior)
        return draws

    def encode(self, inputs: Any) -> Any:
        """Returns q(z | x), a `tfd.Distribution` [B].

        Args:
            inputs: Examples [B, *event_shape], or a dictionary with `x`, `condition` and `mask`.

        Raises:
            DataError: If they do not fit the model.
        """
        batch = unpack(inputs, self.event_shape)
        self._build_from_tensors(batch)
        if self.check_data and tf.executing_eagerly():
            check_values({k: v for k, v in batch._asdict().items() if v is not None}, REALS)
        return self.encoder(batch.seen, batch.condition)

    def decode(self, z: Any, condition: Any = None) -> Any:
        """Returns p(x | z), a `tfd.Distribution` of the leading shape of `z`.

        Args:
            z: Latents [..., *latent_shape].
            condition: [B, C] for a conditional model.

        Raises:
            ValueError: If the model is not built yet or shapes do not fit.
        """
        self._require_built("decode")
        z = tf.cast(z, tf.float32)
        if z.shape.rank <= len(self.latent_shape) or not z.shape[
            z.shape.rank - len(self.latent_shape) :
        ].is_compatible_with(self.latent_shape):
            raise ValueError(
                f"`z` must have shape [B{''.join(f', {d}' for d in self.latent_shape)}]. "
                f"Received: z of shape {tuple(z.shape)}."
            )
        condition = self._checked_condition(condition)
        rows = z.shape[z.shape.rank - len(self.latent_shape) - 1]
        if condition is not None and None not in (rows, condition.shape[0]):
            if condition.shape[0] not in (1, rows):
                raise ValueError(
                    f"`condition` must have {rows} rows, as z, or 1. "
                    f"Received: condition of shape {tuple(condition.shape)}."
                )
        return self.decoder(z, condition)

    def reconstruct(self, inputs: Any) -> tf.Tensor:
        """Returns the mean of p(x | z) at the mean of q(z | x), [B, *event_shape]; never random.

        Missing entries are imputed; counts are those of the row's exposure. Where no mean of q is
        known, as behind a flow, its center stands for it; see `tfvae.distributions.center`.
        """
        batch = unpack(inputs)
        likelihood = self.decode(center(self.encode(inputs)), batch.condition)
        return with_exposure(likelihood, batch.exposure).mean()

    def generate(
        self, num_samples: int, condition: Any = None, seed: int | None = None, draw: bool = False
    ) -> tf.Tensor:
        """Returns new examples: means of p(x | z), or draws from it, with z from the prior.

        Args:
            num_samples: Number N of examples.
            condition: [N, C], or [1, C] or [C] for all; conditional models need it.
            seed: Seed of the draws; None draws a fresh one.
            draw: Whether to draw x instead of returning the mean.

        Returns:
            float32 [N, *event_shape].

        Raises:
            ValueError: If the model is not built yet or an argument does not fit.
        """
        self._require_built("generate")
        checks.positive_integer("num_samples", num_samples)
        numbers = num_samples * int(np.prod(self.event_shape))
        if numbers > np.iinfo(np.int32).max:
            raise ValueError(
                f"`num_samples` must be smaller. Received: num_samples={num_samples}, which need "
                f"{4 * numbers / 2**30:,.0f} GiB. "
                "Fix: call `generate` in parts, with another `seed` each."
            )
        if condition is not None:
            condition = tf.cast(condition, tf.float32)
            condition = condition[None] if condition.shape.rank == 1 else condition
            if condition.shape[0] not in (1, num_samples):
                raise ValueError(
                    f"`condition` must have {num_samples} rows, or 1. "
                    f"Received: condition of shape {tuple(condition.shape)}."
                )
            condition = tf.repeat(condition, num_samples // condition.shape[0], axis=0)
        condition = self._checked_condition(condition)
        seed = fresh_seed() if seed is None else checks.seed(seed)
        prior = self.prior(condition)
        shape = [] if prior.batch_shape.rank else [num_samples]
        z = prior.sample(shape, seed=seed_pair(seed, "generate/z"))
        likelihood = self.decoder(z, condition)
        return likelihood.sample(seed=seed_pair(seed, "generate/x")) if draw else likelihood.mean()

    def embed(self, inputs: Any, batch_size: int | None = None) -> np.ndarray:
        """Returns the posterior means of any amount of data, float32 [N, *latent_shape].

        Args:
            inputs: Examples [N, *event_shape], sparse ones of scipy too, or a dictionary of arrays.
            batch_size: Examples at a time; 1024 by default.

        Raises:
            DataError: If they do not fit the model.
        """
        size = checks.positive_integer("batch_size", 1024 if batch_size is None else batch_size)
        return over_rows(self, "embed", lambda batch, _: center(self.encode(batch)), inputs, size)

    def check_shapes(self, inputs: Any) -> None:
        parts = inputs if isinstance(inputs, dict) else {"x": inputs}
        if hasattr(parts["x"], "shape"):
            check_shape(parts["x"].shape, self.event_shape)
            check_observation(parts)
        if self.built:
            self._check_condition_size(parts.get("condition"))
            check_mask_is_as_built(self._input_shape, parts.get("mask"))
            has_exposure = parts.get("exposure") is not None
            self._check_observable(self._input_shape.get("condition"), False, has_exposure)

    def _build_from_tensors(self, batch: Inputs) -> None:
        self.build_from_data({k: v for k, v in batch._asdict().items() if v is not None})
        self._check_condition_size(batch.condition)
        check_mask_is_as_built(self._input_shape, batch.mask)

    def _check_observable(self, condition: Any, has_mask: bool, has_exposure: bool) -> None:
        """Refuses a likelihood without single entries or rates, before anything is trained."""
        if not (has_mask or has_exposure):
            return
        z, x = tf.zeros((1, *self.latent_shape)), tf.zeros((1, *self.event_shape))
        condition = None if condition is None else tf.zeros((1, *condition[1:]))
        likelihood = with_exposure(
            self.decoder(z, condition), tf.ones([1]) if has_exposure else None
        )
        observed_log_prob(likelihood, x, tf.ones_like(x) if has_mask else None)

    def _zeros(self) -> dict[str, tf.Tensor]:
        """Returns an input of one row, to see which distributions the model is made of."""
        return {k: tf.zeros((1, *s[1:])) for k, s in self._input_shape.items()}

    def _require_built(self, method: str) -> None:
        if not self.built:
            raise ValueError(
                f"`{method}` must come after the model has seen the shape of its data. "
                "Fix: call `fit`, or `encode` on a batch, or `build((None, *event_shape))`."
            )

    def _checked_condition(self, condition: Any) -> tf.Tensor | None:
        self._check_condition_size(condition)
        return None if condition is None else tf.cast(condition, tf.float32)

    def _check_condition_size(self, condition: Any) -> None:
        """Refuses a condition that is missing, unexpected or of another width than at `build`."""
        expected = (self._input_shape or {}).get("condition")
        shape = (
            None
            if condition is None
            else tuple(
                tf.TensorShape(
                    np.shape(condition) if not hasattr(condition, "shape") else condition.shape
                )
            )
        )
        if (expected is None) != (shape is None) or (expected and shape[-1] != expected[-1]):
            rule = "be left out" if expected is None else f"have shape [B, {expected[-1]}]"
            raise ValueError(
                f"`condition` must {rule}, as when the model was built. Received: "
                f"{'no condition' if shape is None else f'condition of shape {shape}'}."
            )


def _check_stochastic(name: str, layer: Any) -> None:
    if not isinstance(layer, StochasticLayer):
        raise TypeError(
            f"`{name}` must be a stochastic layer, which returns a distribution. "
            f"Received: {name} of type {type(layer).__module__}.{type(layer).__name__}. "
            'Fix: wrap a network, `tfvae.Conditional(network, tfvae.Head("Normal", event_shape))`.'
        )
