"""Laws of what a model says about data."""

import hashlib
import io
import random as python_random
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae import evaluation
from tfvae.distributions import observed_log_prob
from tfvae.evaluation.evidence import is_point_mass
from tfvae.models import LadderVAE
from tfvae.models.value_checks import check_values
from tfvae.testing.law_tools import (
    batch_of,
    centers_of,
    condition_of,
    flat,
    forward,
    require,
    rows_of,
    same_bits,
    with_x,
    x_of,
)


def parts(model: Any, data: Any) -> dict[str, Any]:
    """Deterministic numbers of a forward pass: nothing in them depends on the generator."""
    points, condition = centers_of(model, data), condition_of(data)
    numbers = {f"z {level}": z for level, z in enumerate(points)}
    if isinstance(model, LadderVAE):
        return numbers | {"log_likelihood": model.decode(points).log_prob(x_of(data))}
    [z] = points
    mask = data.get("mask") if isinstance(data, dict) else None
    likelihood = model.decode(z, condition)
    return numbers | {
        "log_likelihood": observed_log_prob(likelihood, x_of(data), mask),
        "log_prior": model.prior(condition).log_prob(z),
        "log_posterior": model.encode(data).log_prob(z),
    }


def eager_equals_graph_and_xla(model: Any, data: Any) -> None:
    """Without noise, the three ways to run give the same numbers."""
    batch = tf.nest.map_structure(tf.constant, batch_of(data, 16))
    eager = parts(model, batch)
    for jit_compile in (False, True):
        compiled = tf.function(lambda b: parts(model, b), jit_compile=jit_compile)(batch)
        for name, value in eager.items():
            np.testing.assert_allclose(value, compiled[name], rtol=2e-4, atol=2e-4, err_msg=name)


def batching_does_not_bend_the_metrics(model: Any, data: Any) -> None:
    """The exact KL and the evaluation's mean are the same however the rows are split."""
    sizes = (7, 64, rows_of(data))
    results = [model.evaluate(data, batch_size=b, verbose=0, return_dict=True) for b in sizes]
    if model.has_exact_kl and not isinstance(model, LadderVAE):  # its levels depend on draws
        exact = [r["kl"] for r in results]
        # A small KL is what terms of about one leave: atol is the rounding of those.
        np.testing.assert_allclose(exact, exact[0], rtol=1e-6, atol=1e-6)
    spread = np.ptp([r["log_likelihood"] for r in results])
    require(spread < 0.2 * abs(results[0]["log_likelihood"]), f"log_likelihood moves by {spread}")


def evaluating_changes_nothing(model: Any, data: Any) -> None:
    """Neither `evaluate` nor `predict` moves a variable, and two evaluations agree."""
    before = [v.numpy() for v in model.variables]
    first = model.evaluate(data, batch_size=40, verbose=0)
    model.predict(data, verbose=0)
    again = model.evaluate(data, batch_size=40, verbose=0)
    require(again == first, f"two evaluations give {first} and {again}")
    same_bits([v.numpy() for v in model.variables], before, "variables after an evaluation")


def predictions_are_never_random(model: Any, data: Any) -> None:
    """Two calls of `predict` give the same bits, one prediction a row."""
    first, again = model.predict(data, verbose=0), model.predict(data, verbose=0)
    same_bits([again], [first], "the second prediction")
    shape = (rows_of(data), *model.event_shape)
    require(first.shape == shape, f"predictions of shape {first.shape}, not {shape}")


def predictions_are_reconstructions(model: Any, data: Any) -> None:
    """`predict` gives the mean of p(x|z) at the mean of q."""
    batch = batch_of(data, 8)
    predicted = model.predict_on_batch(batch)
    np.testing.assert_allclose(predicted, model.reconstruct(batch), rtol=2e-4, atol=2e-4)


def embeddings_are_posterior_means(model: Any, data: Any) -> None:
    """`embed` gives the centers of q, however the rows are split."""
    batch = batch_of(data, 9)
    levels = [tf.reshape(z, [9, -1]) for z in centers_of(model, batch)]
    embedded = np.reshape(model.embed(batch, batch_size=4), [9, -1])
    np.testing.assert_allclose(embedded, tf.concat(levels, 1), rtol=2e-4, atol=2e-4)


def generated_examples_follow_the_seed(model: Any, data: Any) -> None:
    """The same seed generates the same examples, another one others."""
    condition = condition_of(batch_of(data, 4))
    for draw in (False, True):
        first, again, other = (
            model.generate(4, condition, seed=s, draw=draw).numpy() for s in (1, 1, 2)
        )
        require(first.shape == (4, *model.event_shape), f"examples of shape {first.shape}")
        same_bits([again], [first], "examples of the same seed")
        require(not np.array_equal(first, other), "two seeds give the same examples")


def generated_examples_lie_in_the_support(model: Any, data: Any) -> None:
    """What is drawn from the likelihood could be trained on."""
    x = model.generate(16, condition_of(batch_of(data, 16)), seed=0, draw=True)
    check_values(x, model.support)


def the_bound_lies_below_the_evidence(model: Any, data: Any) -> None:
    """E[ELBO] <= E[IWAE_50], within Monte Carlo error; codes that x determines have no evidence."""
    if is_point_mass(forward(model, batch_of(data, 2)).posterior):
        return
    elbo = np.mean(evaluation.elbo(model, data, num_samples=50))
    evidence = np.mean(evaluation.log_evidence(model, data, num_samples=50).log_evidence)
    require(evidence >= elbo - 0.05, f"the ELBO, {elbo}, is above the evidence, {evidence}")


def draws_have_their_shapes_and_are_finite(model: Any, data: Any) -> None:
    """Log-densities are finite float32 [S, B]."""
    draws = forward(model, batch_of(data, 6))
    for name in ("log_likelihood", "log_prior", "log_posterior"):
        value = getattr(draws, name)
        shape = (model.num_samples, 6)
        require(value.dtype == tf.float32, f"{name} is {value.dtype.name}")
        require(tuple(value.shape) == shape, f"{name} has shape {tuple(value.shape)}, not {shape}")
        require(np.isfinite(value).all(), f"{name} is not finite")


def more_draws_are_more_rows(model: Any, data: Any) -> None:
    """`num_samples` sets S."""
    draws = forward(model, batch_of(data, 5), num_samples=3)
    require(tuple(draws.log_weight.shape) == (3, 5), f"S, B is {tuple(draws.log_weight.shape)}")


def noise_is_a_function_of_seed_and_counter(model: Any, data: Any) -> None:
    """A pass repeats itself, and the pass of another batch has other noise, if there is any."""
    batch = batch_of(data, 6)
    two = tf.nest.flatten(forward(model, batch, num_samples=2).z)
    if all(np.array_equal(z[0], z[1]) for z in two):
        return  # the posterior is a point, as that of quantised codes is
    first, again, other = (flat(forward(model, batch, counter=c).z) for c in (0, 0, 1))
    same_bits([again], [first], "the same pass")
    require(not np.array_equal(first, other), "two batches have the same noise")


def rows_do_not_see_each_other(model: Any, data: Any) -> None:
    """At inference a row's posterior is the same alone as among others."""
    whole = centers_of(model, batch_of(data, 6))
    alone = [centers_of(model, batch_of(data, 1, i)) for i in range(6)]
    for level, z in enumerate(whole):
        joined = tf.concat([points[level] for points in alone], axis=0)
        np.testing.assert_allclose(z, joined, rtol=2e-4, atol=2e-4)


def a_single_row_is_a_batch(model: Any, data: Any) -> None:
    """A batch of one row gives finite densities."""
    require(np.isfinite(forward(model, batch_of(data, 1)).log_weight).all(), "not finite")


def the_kl_is_never_negative(model: Any, data: Any) -> None:
    """Where it is in closed form; an estimate may be."""
    draws = forward(model, batch_of(data, 16))
    if draws.exact_kl is not None:
        smallest = float(np.min(draws.exact_kl))
        require(smallest >= -1e-4, f"the smallest KL is {smallest}")


def all_number_types_are_the_same_numbers(model: Any, data: Any) -> None:
    """float64, float16 and integers, where they hold the values, encode as float32."""
    batch = batch_of(data, 6)
    x, expected = np.asarray(x_of(batch), "float32"), flat(centers_of(model, batch))
    for dtype in ("float64", "float16", "int64"):
        other = x.astype(dtype)
        if np.array_equal(other.astype("float32"), x):
            found = flat(centers_of(model, with_x(batch, other)))
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6, err_msg=dtype)


def inputs_are_left_alone(model: Any, data: Any) -> None:
    """No method writes to the data."""
    batch = tf.nest.map_structure(np.array, batch_of(data, 8))
    before = _digest(batch)
    model.encode(batch)
    model.check_values(batch)
    model.predict_on_batch(batch)
    require(_digest(batch) == before, "the data have changed")


def random_states_are_left_alone(model: Any, data: Any) -> None:
    """No global generator is drawn from: the caller's own draws stay as they are."""
    states = python_random.getstate(), np.random.get_state()[1].tolist()
    forward(model, batch_of(data, 4))
    model.generate(2, condition_of(batch_of(data, 2)), seed=0)
    after = python_random.getstate(), np.random.get_state()[1].tolist()
    require(after == states, "a global random state has moved")


def the_summary_says_what_it_is(model: Any, data: Any) -> None:
    """`summary` prints how many weights are trained."""
    text = io.StringIO()
    model.summary(print_fn=lambda line, **_: text.write(str(line)))
    trained = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    require(f"{trained:,}" in text.getvalue(), f"the {trained:,} weights are not counted")


def _digest(data: Any) -> list[str]:
    return [hashlib.sha256(np.asarray(a).tobytes()).hexdigest() for a in tf.nest.flatten(data)]
