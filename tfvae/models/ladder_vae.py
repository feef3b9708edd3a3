"""The ladder VAE (Sonderby et al., 2016, arXiv:1602.02282)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae import checks
from tfvae.distributions import Normal, center
from tfvae.distributions.support import REALS, Support, support_of
from tfvae.draws import Draws
from tfvae.errors import DataError
from tfvae.layers.building import build_network, build_once
from tfvae.models.inputs import check_shape, unpack
from tfvae.models.latent_variable_model import LatentVariableModel
from tfvae.models.rows import over_rows
from tfvae.models.value_checks import check_values
from tfvae.objectives.together import check_hierarchical, check_reparameterized
from tfvae.random import fresh_seed, seed_pair
from tfvae.serialization import serializable
from tfvae.stochastic import Conditional, StochasticLayer

tfd = tfp.distributions


@serializable
class LadderVAE(LatentVariableModel):
    """A hierarchy of latents, z_L -> ... -> z_1 -> x, of any depth.

    Features climb from x through one network a level. On the way down, the posterior of a level is
    the product of two Gaussians: what the features say about it, and its prior given the level
    above. All lists are top level first, as z is.

    Its draws have the KL of each level, `kl_parts` [B, L]: in closed form given the levels above,
    averaged over the draws of those.

    Args:
        encoders: A `Conditional` with a "Normal" head for each level. The last takes x, each other
            one the features of the network below it.
        priors: First p(z_L), any stochastic layer; then for each level below p(z_l | z_(l+1)), a
            stochastic layer such as a `Conditional` with a "Normal" head.
        decoder: z_1 -> p(x | z_1), a stochastic layer whose event shape is that of an example.
        objective: An `Objective` or a list of them, whose losses add up; `ELBO()` by default.
        seed: Seed of all noise; None draws one, which the config keeps.

    Raises:
        TypeError: If a part is of the wrong kind.
        ValueError: If the parts do not fit together, or an objective weights the path gradient,
            takes one level of latents, or needs a gradient through draws that have none.

    Example: two levels.
    >>> ladder = tfvae.LadderVAE(
    ...     encoders=[
    ...         tfvae.Conditional(networks.mlp([256]), tfvae.Head("Normal", (16,))),
    ...         tfvae.Conditional(networks.mlp([512]), tfvae.Head("Normal", (32,))),
    ...     ],
    ...     priors=[
    ...         tfvae.StandardNormal((16,)),
    ...         tfvae.Conditional(networks.mlp([256]), tfvae.Head("Normal", (32,))),
    ...     ],
    ...     decoder=tfvae.Conditional(networks.mlp([512]), tfvae.Head("Bernoulli", (784,))),
    ... )
    """

    def __init__(
        self,
        encoders: Sequence[Conditional],
        priors: Sequence[StochasticLayer],
        decoder: StochasticLayer,
        objective: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(objective, seed, **kwargs)
        _check_kind("encoders", encoders, Conditional)
        _check_kind("priors", priors, StochasticLayer)
        _check_kind("decoder", [decoder], StochasticLayer)
        shapes = [[layer.event_shape for layer in layers] for layers in (encoders, priors)]
        if shapes[0] != shapes[1] or len(encoders) < 2:
            raise ValueError(
                "`encoders` and `priors` must have the same event shapes, of two levels or more, "
                f"top level first. Received: event shapes {shapes[0]} and {shapes[1]}. "
                "Fix: use `tfvae.VAE` for a single level."
            )
        check_hierarchical(self.objectives)
        if self.path_weight is not None:
            raise ValueError(
                "`objective` must not weight the path gradient, which in a hierarchy also passes "
                "through the posteriors of the levels below. Received: "
                f"objective={type(self.objective).__name__}. Fix: use `objectives.ELBO()`."
            )
        self.encoders, self.priors, self.decoder = list(encoders), list(priors), decoder

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of an example."""
        return self.decoder.event_shape

    @property
    def latent_shape(self) -> tuple[tuple[int, ...], ...]:
        """Shape of the latents of an example, level by level, top first."""
        return tuple(encoder.event_shape for encoder in self.encoders)

    @property
    def support(self) -> Support:
        """What x may be: the support of the likelihood."""
        return support_of(self.decoder(tf.zeros((1, *self.latent_shape[-1]))))

    @property
    def numbers_per_draw(self) -> int:
        return max(part.numbers_per_draw for part in (self.decoder, *self.priors))

    @property
    def has_exact_kl(self) -> bool:
        """Whether each level's KL is in closed form, given the levels above."""
        self._require_built("has_exact_kl")
        return self(tf.zeros((1, *self.event_shape))).exact_kl is not None

    def build(self, input_shape: Any) -> None:
        if self.built:
            return
        shapes = input_shape if isinstance(input_shape, dict) else {"x": input_shape}
        check_shape(shapes["x"], self.event_shape)
        x = features = (None, *self.event_shape)
        for encoder in reversed(self.encoders):
            build_once(encoder, features)
            features = build_network(encoder.network, features)
        build_once(self.priors[0], None)
        for prior, above in zip(self.priors[1:], self.latent_shape, strict=False):
            build_once(prior, (None, *above))
        build_once(self.decoder, (None, *self.latent_shape[-1]))
        for objective in self.objectives:
            build_once(objective, (None, sum(int(np.prod(s)) for s in self.latent_shape)))
        for posterior in self._posteriors(tf.zeros((1, *self.event_shape))):
            check_reparameterized(self.objectives, posterior)
        self._input_shape = {"x": x}
        self.built = True

    def call(
        self, inputs: Any, num_samples: int | None = None, training: bool | None = None
    ) -> Draws:
        x = self._unpack(inputs)
        z, posteriors, priors, log_posterior, log_prior = (), (), (), 0.0, 0.0
        for estimate, prior_layer in zip(self._estimates(x), self.priors, strict=True):
            above = z[-1] if z else None
            prior = prior_layer(above)
            posterior = estimate if above is None else product(estimate, prior)
            shape = (num_samples or self.num_samples) if above is None else []
            z_level, log_q = posterior.experimental_sample_and_log_prob(
                shape, seed=self.next_seed()
            )
            log_posterior, log_prior = log_posterior + log_q, log_prior + prior.log_prob(z_level)
            z, posteriors, priors = (*z, z_level), (*posteriors, posterior), (*priors, prior)
        log_likelihood = self.decoder(z[-1]).log_prob(x)
        return Draws(z, log_likelihood, log_prior, log_posterior, posteriors, priors)

    def encode(self, inputs: Any) -> tuple[Any, ...]:
        """Returns q(z_l | x, z_(l+1)) for each level, top first, at the means of those above.

        Args:
            inputs: Examples [B, *event_shape].

        Raises:
            DataError: If they do not fit the model.
        """
        x = self._unpack(inputs)
        self.build_from_data({"x": x})
        if self.check_data and tf.executing_eagerly():
            check_values(x, REALS)
        return self._posteriors(x)

    def decode(self, z: Sequence[tf.Tensor]) -> Any:
        """Returns p(x | z), a `tfd.Distribution` of the leading shape of the latents.

        Args:
            z: Latents of each level, top first; x depends on those of the last alone.

        Raises:
            ValueError: If the model is not built yet or `z` has another number of levels.
        """
        self._require_built("decode")
        if not isinstance(z, list | tuple) or len(z) != len(self.encoders):
            raise ValueError(
                f"`z` must be a tuple of {len(self.encoders)} levels, top first. "
                f"Received: z of type {type(z).__name__}."
            )
        return self.decoder(tf.cast(z[-1], tf.float32))

    def reconstruct(self, inputs: Any) -> tf.Tensor:
        """Returns the mean of p(x | z) at the means of q, [B, *event_shape]; never random."""
        return self.decode([center(q) for q in self.encode(inputs)]).mean()

    def generate(
        self, num_samples: int, condition: Any = None, seed: int | None = None, draw: bool = False
    ) -> tf.Tensor:
        """Returns new examples: means of p(x | z), or draws from it, with z drawn level by level.

        Args:
            num_samples: Number N of examples.
            condition: To be left out.
            seed: Seed of the draws; None draws a fresh one.
            draw: Whether to draw x instead of returning the mean.

        Returns:
            float32 [N, *event_shape].

        Raises:
            ValueError: If the model is not built yet or an argument does not fit.
        """
        self._require_built("generate")
        _refuse_more({"condition": condition})
        seed = fresh_seed() if seed is None else checks.seed(seed)
        checks.positive_integer("num_samples", num_samples)
        z = self.priors[0](None).sample(num_samples, seed=seed_pair(seed, "generate/z"))
        for level, prior in enumerate(self.priors[1:], 1):
            z = prior(z).sample(seed=seed_pair(seed, "generate/z", level))
        likelihood = self.decoder(z)
        return likelihood.sample(seed=seed_pair(seed, "generate/x")) if draw else likelihood.mean()

    def embed(self, inputs: Any, batch_size: int | None = None) -> np.ndarray:
        """Returns the posterior means of all levels, top first, side by side, float32 [N, sum D].

        Args:
            inputs: Examples [N, *event_shape].
            batch_size: Examples at a time; 1024 by default.

        Raises:
            DataError: If they do not fit the model.
        """
        size = checks.positive_integer("batch_size", 1024 if batch_size is None else batch_size)

        def means(batch: dict[str, tf.Tensor], _: tf.Tensor) -> tf.Tensor:
            levels = [center(q) for q in self.encode(batch)]
            return tf.concat([tf.reshape(z, [tf.shape(z)[0], -1]) for z in levels], axis=-1)

        return over_rows(self, "embed", means, inputs, size)

    def check_shapes(self, inputs: Any) -> None:
        parts = inputs if isinstance(inputs, dict) else {"x": inputs}
        if hasattr(parts["x"], "shape"):
            check_shape(parts["x"].shape, self.event_shape)
        _refuse_more(parts)

    def _unpack(self, inputs: Any) -> tf.Tensor:
        batch = unpack(inputs, self.event_shape)
        _refuse_more(batch._asdict())
        return batch.x

    def _posteriors(self, x: tf.Tensor) -> tuple[Any, ...]:
        """Returns q(z_l | x, z_(l+1)) of each level at the centers of those above."""
        posteriors: tuple[Any, ...] = ()
        for estimate, prior in zip(self._estimates(x), self.priors, strict=True):
            if posteriors:
                estimate = product(estimate, prior(center(posteriors[-1])))
            posteriors = (*posteriors, estimate)
        return posteriors

    def _estimates(self, x: tf.Tensor) -> list[Any]:
        """Returns what the features of each level say about its latents, top first."""
        estimates, features = [], x
        for encoder in reversed(self.encoders):
            features = encoder.network(features)
            estimates.append(encoder.head(features))
        return estimates[::-1]

    def _require_built(self, method: str) -> None:
        if not self.built:
            raise ValueError(
                f"`{method}` must come after the model has seen the shape of its data. "
                "Fix: call `fit`, or `encode` on a batch, or `build((None, *event_shape))`."
            )


def product(a: Any, b: Any) -> Any:
    """Returns the normalised product of two factorised Gaussians: precisions add up.

    Args:
        a: A `tfd.Independent` of `tfd.Normal`.
        b: Another, whose batch shape broadcasts with a's.

    Raises:
        TypeError: If one is something else.
    """
    for d in (a, b):
        if not (isinstance(d, tfd.Independent) and isinstance(d.distribution, tfd.Normal)):
            raise TypeError(
                "`encoders`, and `priors` below the top, must give factorised Gaussians. "
                f"Received: {type(d).__name__} {d.name!r}. "
                'Fix: use `tfvae.Head("Normal", event_shape)`.'
            )
    (a_mean, a_scale), (b_mean, b_scale) = (
        (d.distribution.loc, d.distribution.scale) for d in (a, b)
    )
    both = tf.square(a_scale) + tf.square(b_scale)
    share = tf.square(b_scale) / both  # of a
    mean = share * a_mean + (1.0 - share) * b_mean
    return tfd.Independent(
        Normal(mean, a_scale * b_scale * tf.math.rsqrt(both)), len(a.event_shape)
    )


def _check_kind(name: str, layers: Any, kind: type) -> None:
    if not isinstance(layers, list | tuple):
        raise TypeError(
            f"`{name}` must be a list, one layer a level. Received: {name} of type "
            f"{type(layers).__name__}."
        )
    for layer in layers:
        if not isinstance(layer, kind):
            raise TypeError(
                f"`{name}` must be `{kind.__name__}`. Received: {name} of type "
                f"{type(layer).__module__}.{type(layer).__name__}. "
                'Fix: wrap a network, `tfvae.Conditional(network, tfvae.Head("Normal", (32,)))`.'
            )


def _refuse_more(parts: Mapping[str, Any]) -> None:
    """Refuses what the levels would ignore."""
    for name in ("condition", "mask", "exposure"):
        if parts.get(name) is not None:
            raise DataError(
                f"`{name}` must be left out, for a LadderVAE takes none. "
                f"Received: {name} of shape {tuple(np.shape(parts[name]))}. "
                "Fix: use `tfvae.VAE`."
            )
