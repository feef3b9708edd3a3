"""A model behaves like any Keras model: each promise of its methods is one test."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae import schedules
from tfvae.objectives import ELBO, Objective

RAN_OUT = "ignore:Your input ran out of data"  # Keras says so at the end of every generator
NAMES = ["loss", "elbo", "log_likelihood", "kl"]


def compiled(model, optimizer=None, **arguments):
    """Returns the model, compiled with plain gradient descent where nothing else is asked for."""
    model.compile(optimizer or keras.optimizers.SGD(0.1), **arguments)
    return model


def momentum():
    """An optimizer with state of its own, that is traced faster than Adam."""
    return keras.optimizers.SGD(0.001, momentum=0.9)


def trained(model, x, **arguments):
    model.fit(x, **{"batch_size": 16, "verbose": 0, "shuffle": False} | arguments)
    return model


def batches(x, batch_size=16):
    return [x[i : i + batch_size] for i in range(0, len(x), batch_size)]


def lasting_variables(model):
    """All that a skipped update must leave alone: everything but counters and metrics."""
    passing = [model.batches_seen, model.updates_skipped]
    passing += [v for metric in model.metrics for v in metric.variables]
    every = [*model.variables, *model.optimizer.variables]
    return [v for v in every if all(v is not p for p in passing)]


class Batches(keras.utils.PyDataset):
    """Batches as a `PyDataset`, each through a function."""

    def __init__(self, rows, function=lambda batch: batch, endless=False):
        super().__init__()
        self.batches, self.function, self.endless = batches(rows), function, endless

    @property
    def num_batches(self):
        return None if self.endless else len(self.batches)

    def __getitem__(self, index):
        return self.function(self.batches[index % len(self.batches)])


def dataset(x):
    return tf.data.Dataset.from_tensor_slices(x).batch(16)


def normalized_vae(**arguments):
    """A VAE whose encoder has noise, and a normalization that replicas take part in together."""
    with tfvae.random.seeded_initializers(0):
        layers = [
            keras.layers.BatchNormalization(**arguments),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(8),
        ]
        return tfvae.VAE(
            tfvae.Conditional(keras.Sequential(layers), tfvae.Head("Normal", (2,))),
            tfvae.Conditional(keras.layers.Dense(8), tfvae.Head("Bernoulli", (6,))),
            seed=0,
        )


# ---- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [7, 16, 61])
def test_metrics_are_means_over_examples_whatever_the_batching(
    make_exact_vae, by_hand, x, batch_size
):
    model = compiled(make_exact_vae(), keras.optimizers.SGD(0.0))
    history = model.fit(x, batch_size=batch_size, verbose=0).history
    assert sorted(history) == sorted(NAMES)
    exact = {name: values.mean() for name, values in by_hand(model, x).items()}
    exact["loss"] = -exact["elbo"]
    evaluated = model.evaluate(x, batch_size=batch_size, verbose=0, return_dict=True)
    assert model.evaluate(x, batch_size=batch_size, verbose=0) == [evaluated[n] for n in NAMES]
    for name in NAMES:
        np.testing.assert_allclose(history[name], exact[name], rtol=1e-6)
        np.testing.assert_allclose(evaluated[name], exact[name], rtol=1e-6)


def test_the_elbo_metric_has_beta_one_and_the_loss_has_the_objective(make_exact_vae, by_hand, x):
    beta = schedules.Linear(1.0, 5.0, steps=8)
    model = compiled(make_exact_vae(objective=ELBO(beta=beta)), keras.optimizers.SGD(0.0))
    history = model.fit(x, batch_size=61, epochs=3, verbose=0).history
    exact = {name: values.mean() for name, values in by_hand(model, x).items()}
    for epoch, weight in enumerate([1.0, 1.5, 2.0]):  # one update an epoch
        loss = weight * exact["kl"] - exact["log_likelihood"]
        np.testing.assert_allclose(history["loss"][epoch], loss, rtol=1e-6)
        np.testing.assert_allclose(history["elbo"][epoch], exact["elbo"], rtol=1e-6)


def test_the_log_likelihood_adds_over_the_pixels_of_an_example(x):
    """Twice the image has twice the nats: sums over the event, means over examples."""

    def log_likelihood(event_shape, x):
        blind = keras.layers.Dense(1, kernel_initializer="zeros")
        head = tfvae.Head("Normal", event_shape, fixed={"scale": 0.3})
        encoder = tfvae.Conditional(keras.layers.Flatten(), tfvae.Head("Normal", (2,)))
        model = compiled(tfvae.VAE(encoder, tfvae.Conditional(blind, head), seed=0))
        return model.evaluate(x, batch_size=16, verbose=0, return_dict=True)["log_likelihood"]

    by_formula = -0.5 * (x / 0.3) ** 2 - math.log(0.3 * math.sqrt(2.0 * math.pi))
    np.testing.assert_allclose(log_likelihood((6,), x), by_formula.sum(-1).mean(), rtol=1e-5)
    image = np.repeat(x.reshape(-1, 2, 3), 4, axis=1)
    np.testing.assert_allclose(
        log_likelihood((8, 3), image), 4.0 * by_formula.sum(-1).mean(), rtol=1e-5
    )


def weighted(x, w, form):
    """Returns the arguments that give `fit` the weights in one of the ways that it takes them."""
    zipped = tf.data.Dataset.from_tensor_slices({"x": x, "sample_weight": w})
    return {
        "argument": {"x": x, "sample_weight": w},
        "key": {"x": {"x": x, "sample_weight": w}},
        "dataset": {"x": zipped.batch(16)},
        "generator": {"x": ((a, None, b) for a, b in zip(batches(x), batches(w), strict=True))},
    }[form]


@pytest.mark.filterwarnings(RAN_OUT)
@pytest.mark.parametrize("form", ["argument", "key", "dataset", "generator"])
def test_sample_weights_enter_the_loss_as_in_keras_and_the_metrics_as_means(
    make_exact_vae, by_hand, x, form
):
    w = np.random.default_rng(1).gamma(1.0, size=len(x)).astype("float32")
    w[:5] = 0.0
    model = compiled(make_exact_vae(), keras.optimizers.SGD(0.0))
    exact = by_hand(model, x)
    expected = {name: (w * v).sum() / w.sum() for name, v in exact.items()}
    expected["loss"] = -(w * exact["elbo"]).sum() / len(x)
    seen = [
        model.fit(**weighted(x, w, form), batch_size=16, verbose=0).history,
        model.evaluate(**weighted(x, w, form), batch_size=16, verbose=0, return_dict=True),
    ]
    for numbers in seen:
        for name in NAMES:
            np.testing.assert_allclose(numbers[name], expected[name], rtol=1e-6)


def test_the_step_follows_the_weighted_loss_over_the_batch_size(make_exact_vae, by_hand, x):
    """The gradient of the bias of the decoder's head is known: sum(w (p - x)) / B."""
    w = np.linspace(0.0, 3.0, len(x), dtype="float32")
    model = compiled(make_exact_vae(), keras.optimizers.SGD(0.5))
    model.encode(x)
    bias = model.decoder.head.projection.bias
    before, p = bias.numpy(), model.decode(np.zeros((len(x), 2))).mean().numpy()
    model.fit(x, sample_weight=w, batch_size=61, verbose=0)
    gradient = (w[:, None] * (p - x)).sum(0) / len(x)
    np.testing.assert_allclose(before - bias.numpy(), 0.5 * gradient, rtol=1e-5, atol=1e-7)


def test_validation_weights_come_in_a_tuple(make_exact_vae, by_hand, x):
    w = np.linspace(0.0, 3.0, len(x), dtype="float32")
    model = compiled(make_exact_vae(), keras.optimizers.SGD(0.0))
    history = model.fit(x, validation_data=(x, None, w), verbose=0).history
    exact = by_hand(model, x)
    np.testing.assert_allclose(history["val_kl"], (w * exact["kl"]).sum() / w.sum(), rtol=1e-6)
    np.testing.assert_allclose(history["val_loss"], -(w * exact["elbo"]).sum() / len(x), rtol=1e-6)
    np.testing.assert_allclose(history["kl"], exact["kl"].mean(), rtol=1e-6)


def test_regularizers_of_networks_enter_the_loss_once(make_exact_vae, by_hand, x):
    dense = keras.layers.Dense(8, "tanh", kernel_regularizer=keras.regularizers.L2(0.01))
    model = compiled(make_exact_vae(dense), keras.optimizers.SGD(0.0))
    loss = model.fit(x, batch_size=16, verbose=0).history["loss"]
    penalty = 0.01 * (dense.kernel.numpy() ** 2).sum()
    assert penalty > 0.01
    np.testing.assert_allclose(loss, penalty - by_hand(model, x)["elbo"].mean(), rtol=1e-6)


# ---- data ---------------------------------------------------------------------------------------


def forms_of(x, folder):
    np.save(folder / "x.npy", x)
    sized = dataset(x)
    return {
        "list": x.tolist(),
        "dictionary": {"x": x},
        "tensor": tf.constant(x),
        "read-only memory map": np.load(folder / "x.npy", mmap_mode="r"),
        "dataset": sized,
        "dataset of dictionaries": sized.map(lambda batch: {"x": batch}),
        "dataset of unknown cardinality": sized.filter(lambda batch: True),
        "dataset of unknown shapes": tf.data.Dataset.from_generator(
            lambda: iter(batches(x)), output_types=tf.float32
        ),
        "endless dataset": sized.repeat(),
        "generator": (batch for batch in batches(x)),
        "generator of tuples": ((batch,) for batch in batches(x)),
        "generator of dictionaries": ({"x": batch} for batch in batches(x)),
        "PyDataset": Batches(x),
        "PyDataset of tuples": Batches(x, lambda batch: (batch,)),
        "endless PyDataset": Batches(x, endless=True),
    }


@pytest.mark.filterwarnings(RAN_OUT)
def test_all_forms_of_data_train_alike(make_vae, x, state_of, assert_same_bits, tmp_path, subtests):
    model = compiled(make_vae())
    model.encode(x)
    start = model.get_weights()
    expected = state_of(trained(model, x))
    for form, data in forms_of(x, tmp_path).items():
        with subtests.test(form):
            model.set_weights(start)
            model.optimizer.iterations.assign(0)
            steps = {"steps_per_epoch": 4} if "endless" in form else {}
            trained(model, data, batch_size=None if "endless" in form else 16, **steps)
            assert_same_bits(state_of(model), expected)


def test_arrays_of_every_dtype_are_the_same_numbers(
    make_vae, x, state_of, assert_same_bits, subtests
):
    def state(rows, **how):
        return state_of(trained(compiled(make_vae(), **how), rows[:16]))

    names = "bool int8 uint8 uint16 uint32 uint64 int64 float16 float64 >f4 >i4".split()
    expected = state(x, run_eagerly=True)
    for dtype in [*names, tf.bfloat16.as_numpy_dtype]:
        with subtests.test(str(dtype)):
            assert_same_bits(state(x.astype(dtype), run_eagerly=True), expected)
    expected = state(x)
    for dtype in ("bool", "float64", ">i4"):  # by another path than the batches of above
        with subtests.test(f"compiled {dtype}"):
            assert_same_bits(state(x.astype(dtype)), expected)


def test_large_integers_are_not_rounded_under_a_half_precision_policy(x):
    """In bfloat16 257 is 256; the data reach the likelihood as they are."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        encoder = tfvae.Conditional(keras.layers.Dense(4), tfvae.Head("Normal", (2,)))
        head = tfvae.Head("Normal", (1,), fixed={"scale": 1.0})
        model = tfvae.VAE(encoder, tfvae.Conditional(keras.layers.Dense(4), head), seed=0)
    finally:
        keras.config.set_dtype_policy("float32")
    draws = model(np.array([[257]], "int32"))
    head.projection.kernel.assign(tf.zeros_like(head.projection.kernel))
    log_likelihood = model(np.array([[257]], "int32")).log_likelihood
    assert draws.log_likelihood.dtype == tf.float32
    np.testing.assert_allclose(
        log_likelihood, [[-0.5 * 257.0**2 - 0.5 * math.log(2 * math.pi)]], rtol=1e-6
    )


@pytest.mark.parametrize(
    "labelled",
    {
        "fit(x, y)": lambda m, x, y: m.fit(x, y),
        "dataset": lambda m, x, y: m.fit(tf.data.Dataset.from_tensor_slices((x, y)).batch(16)),
        "dataset of (x, x)": lambda m, x, y: m.fit(dataset(x).map(lambda b: (b, b))),
        "generator": lambda m, x, y: m.fit((b, b) for b in batches(x)),
        "PyDataset": lambda m, x, y: m.fit(Batches(x, lambda batch: (batch, batch[:, 0]))),
        "validation_data": lambda m, x, y: m.fit(x, validation_data=(x, y)),
        "validation dataset": lambda m, x, y: m.fit(
            x, validation_data=dataset(x).map(lambda b: (b, b))
        ),
        "validation PyDataset": lambda m, x, y: m.fit(
            x, validation_data=Batches(x, lambda batch: (batch, batch))
        ),
        "evaluate(x, y)": lambda m, x, y: m.evaluate(x, y),
        "evaluate(dataset)": lambda m, x, y: m.evaluate(dataset(x).map(lambda b: (b, b))),
        "train_on_batch": lambda m, x, y: m.train_on_batch(x, y),
        "test_on_batch": lambda m, x, y: m.test_on_batch(x, y),
    }.items(),
    ids=lambda case: case[0],
)
def test_labels_are_refused_before_anything_is_trained(make_vae, x, labelled):
    model = compiled(make_vae())
    with pytest.raises(ValueError, match=r"`y` must be left out.*Fix: drop the labels"):
        labelled[1](model, x, x[:, 0])
    assert int(model.batches_seen) == 0


def test_the_rows_themselves_may_be_the_target(make_vae, x, state_of, assert_same_bits):
    """The idiom `fit(x, x)` says nothing that the model would ignore."""
    models = [compiled(make_vae(), run_eagerly=True) for _ in range(2)]
    models[0].fit(x, verbose=0, shuffle=False)
    models[1].fit(x, x, verbose=0, shuffle=False, validation_data=(x, x))
    assert_same_bits(state_of(models[1]), state_of(models[0]))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (lambda x: dataset(x).repeat(), "`x` must end.*infinite dataset.*steps_per_epoch"),
        (lambda x: Batches(x, endless=True), "`x` must end.*num_batches is None"),
        (lambda x: x[:0], "`x` must have at least one row"),
        (lambda x: (b for b in ()), "`x` must have at least one row"),
        (lambda x: Batches(x[:0]), "`x` must have at least one row"),
        (lambda x: None, "`x` must be given"),
        (lambda x: x[:, :5], r"`x` must have shape \[B, 6\].*Received: x of shape \(61, 5\)"),
        (lambda x: dataset(x[:, :5]), r"`x` must have shape \[B, 6\]"),
        (lambda x: dataset(x).unbatch(), r"`x` must have shape.*Fix: add the batch axis"),
        (lambda x: (b[:, :5] for b in batches(x)), r"`x` must have shape \[B, 6\]"),
        (lambda x: Batches(x[:, :5]), r"`x` must have shape \[B, 6\]"),
        (lambda x: x.astype(str), "`x` must be an array of real numbers.*dtype <U"),
        (lambda x: x.astype(object), "`x` must be an array of real numbers.*dtype object"),
        (lambda x: x.astype("complex64"), "`x` must be an array of real numbers.*complex64"),
        (lambda x: [[1.0, 2.0], [3.0]], "`x` must be a rectangular array of numbers"),
        (lambda x: {"x": x, "conditon": x}, "Received: key 'conditon'. Did you mean 'condition'"),
        (lambda x: {"condition": x}, "`inputs` must have the key 'x'"),
        (lambda x: {"x": x, "condition": x[:9]}, "equally many rows.*x with 61, condition with 9"),
        (lambda x: {"x": x, "condition": x[:, 0]}, r"`condition` must have shape \[B, C\]"),
        (lambda x: dataset({"x": x, "condition": x[:, 0]}), r"`condition` must have shape \[B, C"),
        (lambda x: {"x": x, "sample_weight": x}, r"`sample_weight` must have shape \[B\]"),
    ],
)
def test_data_that_do_not_fit_are_refused_before_training(make_vae, x, data, sentence):
    model = compiled(make_vae())
    with pytest.raises(ValueError, match=f"(?s){sentence}"):
        model.fit(data(x), verbose=0)
    assert int(model.batches_seen) == 0


def test_conditions_come_in_dictionaries(make_vae, x, condition, state_of, assert_same_bits):
    inputs = {"x": x, "condition": condition}
    model = trained(compiled(make_vae()), inputs)
    other = trained(compiled(make_vae()), dataset(inputs))
    assert_same_bits(state_of(other), state_of(model))
    assert model.predict(inputs, verbose=0).shape == x.shape
    kl = model.evaluate(inputs, verbose=0, return_dict=True)["kl"]
    turned = {"x": x, "condition": np.roll(condition, 1, axis=1)}
    assert model.evaluate(turned, verbose=0, return_dict=True)["kl"] != pytest.approx(kl, rel=1e-3)
    with pytest.raises(ValueError, match=r"`condition` must have shape \[B, 3\].*no condition"):
        model.fit(x, verbose=0)


# ---- validation and evaluation ------------------------------------------------------------------


def test_evaluating_repeats_itself_and_changes_nothing(make_vae, x, state_of, assert_same_bits):
    model = trained(compiled(make_vae(), momentum()), x)
    before = state_of(model)
    first, second = (model.evaluate(x, batch_size=7, verbose=0) for _ in range(2))
    assert first == second
    assert_same_bits(state_of(model), before)


def test_batches_of_an_evaluation_have_noise_of_their_own(make_vae, x):
    """Were it the same noise in each, the mean over equal batches would be that of one."""
    model = compiled(make_vae())
    same = np.repeat(x[:1], 64, axis=0)
    one, many = (
        model.evaluate(same[:n], batch_size=8, verbose=0, return_dict=True)["log_likelihood"]
        for n in (8, 64)
    )
    assert one != pytest.approx(many, rel=1e-5)


def test_validation_does_not_change_training(make_vae, x, state_of, assert_same_bits):
    plain = trained(compiled(make_vae()), x[:45], epochs=2)
    validated = compiled(make_vae())
    history = validated.fit(
        x, batch_size=16, epochs=2, verbose=0, shuffle=False, validation_split=0.25
    ).history
    assert_same_bits(state_of(validated), state_of(plain))
    last = plain.evaluate(x[45:], batch_size=16, verbose=0, return_dict=True)
    assert {name: history[f"val_{name}"][-1] for name in NAMES} == last


@pytest.mark.filterwarnings(RAN_OUT)
def test_all_forms_of_validation_data_give_the_same_numbers(make_vae, x, tmp_path, subtests):
    model = compiled(make_vae(), keras.optimizers.SGD(0.0))
    expected = model.evaluate(x, batch_size=16, verbose=0, return_dict=True)
    forms = forms_of(x, tmp_path)
    for form in ("list", "dictionary", "dataset", "endless dataset", "generator", "PyDataset"):
        data = forms[form]
        with subtests.test(form):
            steps = {"validation_steps": 4} if "endless" in form else {}
            history = model.fit(x, batch_size=16, verbose=0, validation_data=data, **steps).history
            assert {name: history[f"val_{name}"][0] for name in NAMES} == expected


@pytest.mark.filterwarnings(RAN_OUT)
def test_predictions_are_reconstructions_and_never_random(make_vae, x, tmp_path, subtests):
    model = trained(compiled(make_vae()), x)
    expected = model.predict(x, batch_size=16, verbose=0)
    np.testing.assert_allclose(expected, model.reconstruct(x), rtol=1e-6)
    np.testing.assert_array_equal(model.predict(x, batch_size=16, verbose=0), expected)
    np.testing.assert_allclose(model.predict_on_batch(x), expected, rtol=1e-6)
    for form, data in forms_of(x, tmp_path).items():
        with subtests.test(form):
            steps = {"steps": 4} if "endless" in form else {}
            size = None if "endless" in form else 16
            predicted = model.predict(data, batch_size=size, verbose=0, **steps)
            np.testing.assert_array_equal(predicted, expected)
    labelled = model.predict(dataset(x).map(lambda batch: (batch, batch[:, 0])), verbose=0)
    np.testing.assert_array_equal(labelled, expected)  # Keras predicts on labelled data, too


# ---- training -----------------------------------------------------------------------------------


def test_the_same_seed_trains_to_the_same_bits(make_vae, x, state_of, assert_same_bits):
    first, second, other = (
        trained(compiled(make_vae(seed=seed), momentum()), x) for seed in (0, 0, 1)
    )
    assert_same_bits(state_of(second), state_of(first))
    for a, b in zip(other.trainable_weights, first.trainable_weights, strict=True):
        assert not np.array_equal(a.numpy(), b.numpy())


def test_the_order_of_rows_is_a_function_of_the_seed(make_vae, x, state_of, assert_same_bits):
    first, second, ordered = (
        trained(compiled(make_vae()), x, epochs=2, shuffle=shuffle)
        for shuffle in (True, True, False)
    )
    assert_same_bits(state_of(second), state_of(first))
    a, b = (m.encoder.head.projection.kernel.numpy() for m in (first, ordered))
    assert not np.array_equal(a, b)


def test_fits_continue_each_other(make_vae, x, state_of, assert_same_bits):
    once = trained(compiled(make_vae(), momentum()), x, epochs=2)
    twice = trained(trained(compiled(make_vae(), momentum()), x), x)
    assert_same_bits(state_of(twice), state_of(once))
    assert int(once.batches_seen) == int(once.optimizer.iterations) == 8


def test_training_raises_the_elbo(make_vae, x):
    model = compiled(make_vae(), keras.optimizers.Adam(0.01))
    history = model.fit(x, batch_size=16, epochs=30, verbose=0).history
    assert history["elbo"][-1] > history["elbo"][0] + 1.0


def test_batches_one_by_one_are_a_fit(make_vae, x, state_of, assert_same_bits):
    model, expected = compiled(make_vae()), trained(compiled(make_vae()), x)
    logs = [model.train_on_batch(batch, return_dict=True) for batch in batches(x)]
    assert_same_bits(state_of(model), state_of(expected))
    assert sorted(logs[0]) == sorted(NAMES)
    model.test_on_batch(x[:16])
    assert model.test_on_batch(x[:16]) == model.evaluate(x[:16], batch_size=16, verbose=0)


def test_steps_per_epoch_ends_an_epoch(make_vae, x):
    model = compiled(make_vae(), run_eagerly=True)
    model.fit(dataset(x).repeat(), steps_per_epoch=3, epochs=2, verbose=0)
    assert int(model.batches_seen) == int(model.optimizer.iterations) == 6


def test_several_steps_an_execution_are_the_same_steps(make_vae, x, state_of, assert_same_bits):
    """Five batches: one execution of four, and one that is not full."""
    single = trained(compiled(make_vae()), x, batch_size=13)
    several = trained(compiled(make_vae(), steps_per_execution=4), x, batch_size=13)
    assert int(several.optimizer.iterations) == int(several.batches_seen) == 5
    assert_same_bits(state_of(several), state_of(single))
    assert several.evaluate(x, verbose=0) == single.evaluate(x, verbose=0)


def test_what_the_model_would_ignore_is_refused_at_compile(make_vae):
    for argument, value in {
        "loss": "mse",
        "loss_weights": [1.0],
        "metrics": ["mae"],
        "weighted_metrics": ["mae"],
    }.items():
        with pytest.raises(ValueError, match=f"`{argument}` must be left out: the objective is"):
            make_vae().compile("adam", **{argument: value})


def test_class_weights_are_refused(make_vae, x):
    with pytest.raises(ValueError, match="`class_weight` must be left out"):
        compiled(make_vae()).fit(x, class_weight={0: 1.0})


def test_networks_are_told_that_they_train(make_exact_vae, x):
    """Dropout drops, and the running mean moves, in training alone."""
    normalization = keras.layers.BatchNormalization(momentum=0.5)
    network = keras.Sequential([normalization, keras.layers.Dropout(0.5)])
    model = compiled(make_exact_vae(network), keras.optimizers.SGD(0.0))
    trained_kl = model.fit(x, batch_size=61, verbose=0).history["kl"][0]
    np.testing.assert_allclose(normalization.moving_mean.numpy(), 0.5 * x.mean(0), rtol=1e-5)
    moving = normalization.moving_mean.numpy()
    kl = model.evaluate(x, verbose=0, return_dict=True)["kl"]
    np.testing.assert_array_equal(normalization.moving_mean.numpy(), moving)
    assert trained_kl != pytest.approx(kl, rel=0.01)


def test_frozen_layers_stay_and_the_others_move(make_vae, x):
    model = make_vae()
    model.encoder.trainable = False
    trained(compiled(model), x)
    frozen = make_vae()
    frozen.encode(x)
    for after, before in zip(model.encoder.weights, frozen.encoder.weights, strict=True):
        np.testing.assert_array_equal(after.numpy(), before.numpy())
    for after, before in zip(model.decoder.weights, frozen.decoder.weights, strict=True):
        assert not np.array_equal(after.numpy(), before.numpy())


def test_a_model_without_trainable_weights_is_still_measured(make_vae, x):
    model = make_vae()
    model.trainable = False
    history = trained(compiled(model), x).history.history
    assert np.isfinite(history["elbo"]).all()


def test_gradients_accumulate_to_those_of_the_whole_batch(make_exact_vae, x):
    """Two batches of 8 are one of 16."""
    whole = trained(compiled(make_exact_vae(), keras.optimizers.SGD(0.1)), x[:48])
    halves = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    accumulated = trained(compiled(make_exact_vae(), halves), x[:48], batch_size=8)
    assert int(accumulated.batches_seen) == 6
    assert int(accumulated.optimizer.iterations) == 3
    for a, b in zip(accumulated.trainable_weights, whole.trainable_weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-7)


def test_accumulated_batches_have_noise_of_their_own(make_vae, x):
    """The optimizer's count stands still in between, the model's does not."""
    optimizer = keras.optimizers.SGD(0.0, gradient_accumulation_steps=4)
    model = compiled(make_vae(), optimizer)
    logs = [model.train_on_batch(x[:16], return_dict=True) for _ in range(4)]
    assert len({log["log_likelihood"] for log in logs}) == 4
    assert len({log["kl"] for log in logs}) == 1


def test_moving_averages_take_the_place_of_the_weights_at_the_end(make_vae, x):
    """At momentum 0 they are the last weights, at momentum 1 those after the first update."""
    last, first = (trained(compiled(make_vae()), rows) for rows in (x, x[:16]))
    for momentum, expected in ((0.0, last), (1.0, first)):
        optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=momentum)
        model = trained(compiled(make_vae(), optimizer), x)
        for a, b in zip(model.trainable_weights, expected.trainable_weights, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)


def test_clipped_gradients_bound_the_step(make_vae, x):
    model, start = make_vae(), make_vae()
    start.encode(x)
    trained(compiled(model, keras.optimizers.SGD(1.0, clipnorm=1e-3)), x, batch_size=61)
    steps = [
        np.linalg.norm(a.numpy() - b.numpy())
        for a, b in zip(model.trainable_weights, start.trainable_weights, strict=True)
    ]
    assert max(steps) == pytest.approx(1e-3, rel=1e-2)


# ---- callbacks ----------------------------------------------------------------------------------


def test_early_stopping_restores_the_best_weights(make_vae, x, state_of):
    """At a learning rate that destroys the model, the first epoch is the best one."""
    model = compiled(make_vae(), keras.optimizers.SGD(1.0))
    stop = keras.callbacks.EarlyStopping(
        "val_elbo", mode="max", patience=2, restore_best_weights=True
    )
    history = model.fit(
        x, batch_size=61, epochs=50, verbose=0, validation_data=x, callbacks=[stop]
    ).history["val_elbo"]
    assert len(history) == np.argmax(history) + 3 < 50
    best = model.evaluate(x, batch_size=61, verbose=0, return_dict=True)["elbo"]
    assert best == max(history)


def test_checkpoints_keep_the_best_model(make_vae, x, tmp_path):
    model = compiled(make_vae(), keras.optimizers.SGD(1.0))
    path = str(tmp_path / "best.keras")
    keep = keras.callbacks.ModelCheckpoint(path, "val_elbo", mode="max", save_best_only=True)
    history = model.fit(
        x, batch_size=61, epochs=6, verbose=0, validation_data=x, callbacks=[keep]
    ).history["val_elbo"]
    best = keras.saving.load_model(path).evaluate(x, batch_size=61, verbose=0, return_dict=True)
    assert best["elbo"] == max(history)


def test_learning_rates_follow_callbacks(make_vae, x):
    rates = []
    model = compiled(make_vae(), keras.optimizers.SGD(0.0))
    callbacks = [
        keras.callbacks.LearningRateScheduler(lambda epoch: 2.0 ** -(8 + epoch)),
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: rates.append(float(model.optimizer.learning_rate))
        ),
    ]
    model.fit(x, epochs=2, verbose=0, callbacks=callbacks)
    assert rates == [2.0**-8, 2.0**-9]
    reduce = keras.callbacks.ReduceLROnPlateau(
        "kl", mode="max", factor=0.5, patience=1, min_delta=1e9
    )
    model.fit(x, epochs=3, verbose=0, callbacks=[reduce])
    assert float(model.optimizer.learning_rate) == 2.0**-11


def test_an_interrupted_run_resumes_to_the_same_bits(x, tmp_path, state_of, assert_same_bits):
    """Dropout masks included: no noise hides in a generator that a backup does not keep."""

    def model():
        with tfvae.random.seeded_initializers(0):
            layers = [keras.layers.Dense(8), keras.layers.Dropout(0.5)]
            encoder = tfvae.Conditional(keras.Sequential(layers), tfvae.Head("Normal", (2,)))
            decoder = tfvae.Conditional(keras.layers.Dense(8), tfvae.Head("Bernoulli", (6,)))
            return compiled(tfvae.VAE(encoder, decoder, seed=0), momentum())

    def crash(epoch, logs):
        if epoch == 2:
            raise KeyboardInterrupt

    backup = keras.callbacks.BackupAndRestore(str(tmp_path))
    expected = trained(model(), x, epochs=4)
    crashing = [backup, keras.callbacks.LambdaCallback(on_epoch_begin=crash)]
    with pytest.raises(KeyboardInterrupt):
        trained(model(), x, epochs=4, callbacks=crashing)
    resumed = trained(model(), x, epochs=4, callbacks=[backup])
    assert len(resumed.history.epoch) == 2
    assert_same_bits(state_of(resumed), state_of(expected))


# ---- batches that are not finite ----------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"jit_compile": True}, {"steps_per_execution": 3}])
def test_a_batch_that_is_not_finite_changes_nothing(x, assert_same_bits, how, caplog):
    model = trained(compiled(normalized_vae(), momentum(), **how), x[:48])
    model.check_data = False  # the guard is under test

    def state():
        return [v.numpy() for v in lasting_variables(model)]

    names = [v.name for v in lasting_variables(model)]
    assert {"moving_mean", "moving_variance", "seed_generator_state", "iteration"} <= set(names)
    before = state()
    trained(model, np.full_like(x[:16], np.nan))
    assert_same_bits(state(), before)
    bad = np.array(x[:48])
    bad[20, 3] = np.inf
    trained(model, bad)  # its second batch
    assert (int(model.batches_seen), int(model.updates_skipped)) == (7, 2)
    assert int(model.optimizer.iterations) == 5
    assert caplog.text.count("1 updates were skipped") == 2
    assert all(np.isfinite(v).all() for v in state())


# ---- precision, compilation, replicas -----------------------------------------------------------


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_networks_in_half_precision_train_with_densities_in_float32(make_vae, x, policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = make_vae(units=(16,))
    finally:
        keras.config.set_dtype_policy("float32")
    compiled(model, keras.optimizers.SGD(0.05))
    history = model.fit(x, batch_size=16, epochs=8, verbose=0).history
    network, draws = model.encoder.network, model(x)
    assert network.layers[-1].compute_dtype == policy.removeprefix("mixed_")
    assert network(x).dtype == network.layers[-1].compute_dtype
    assert {d.dtype for d in draws[:4]} == {tf.float32}
    assert all(v.dtype == "float32" for v in model.trainable_variables)
    assert history["elbo"][-1] > history["elbo"][0]
    scales_loss = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scales_loss == (policy == "mixed_float16")  # whose gradients would underflow


def test_an_overflow_of_the_loss_scale_is_not_a_skipped_update(make_vae, x, assert_same_bits):
    inner = keras.optimizers.SGD(0.1)
    model = make_vae()
    model.encode(x)
    before = [v.numpy() for v in model.trainable_weights]
    compiled(model, keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0**127))
    model.check_data = False
    model.train_on_batch(x[:16] * 100.0)
    assert int(inner.iterations) == int(model.updates_skipped) == 0
    assert float(model.optimizer.dynamic_scale) == 2.0**126
    assert_same_bits([v.numpy() for v in model.trainable_weights], before)


def test_compiled_training_does_the_same_updates(make_exact_vae, x):
    forms = [({}, x), ({"jit_compile": True}, x), ({"jit_compile": True}, dataset(x))]
    plain, *others = (
        trained(compiled(make_exact_vae(), momentum(), **how), data, epochs=2)
        for how, data in forms
    )
    for model in others:
        for a, b in zip(model.trainable_weights, plain.trainable_weights, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-6)
        for name in NAMES:
            np.testing.assert_allclose(
                model.history.history[name], plain.history.history[name], rtol=1e-5
            )
        np.testing.assert_allclose(
            model.evaluate(x, verbose=0), plain.evaluate(x, verbose=0), rtol=1e-4
        )


def outside(value):
    """The identity, by an operation that XLA does not compile."""
    return tf.ensure_shape(tf.numpy_function(lambda v: v, [value], value.dtype), value.shape)


class OutsideLoss(Objective):
    """The negative ELBO, and nothing by way of Python."""

    def loss(self, draws, step):
        return 0.0 * outside(draws.elbo) - draws.elbo


class OutsideOptimizer(keras.optimizers.SGD):
    """Gradient descent by way of Python."""

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(outside(gradient), variable, learning_rate)


@pytest.mark.parametrize("part", ["loss", "optimizer"])
def test_the_whole_train_step_is_compiled(make_vae, x, part):
    """XLA meets what it cannot compile wherever in the step it is."""
    model = make_vae(objective=OutsideLoss() if part == "loss" else None)
    optimizer = OutsideOptimizer(0.1) if part == "optimizer" else None
    trained(compiled(model, optimizer), x[:16])
    compiled(model, optimizer, jit_compile=True)
    with pytest.raises(tf.errors.InvalidArgumentError, match="(?s)unsupported operations.*PyFunc"):
        trained(model, x[:16])


def test_replicas_train_as_one(make_exact_vae, x, replicas):
    """Also on the last batch, which has 7 rows for one replica and 6 for the other."""
    w = np.linspace(0.0, 3.0, len(x), dtype="float32")

    def make():
        regularizer = keras.regularizers.L2(0.01)
        initializer = keras.initializers.GlorotUniform(seed=0)
        dense = keras.layers.Dense(8, "tanh", True, initializer, kernel_regularizer=regularizer)
        return compiled(make_exact_vae(dense))

    with replicas.scope():
        several = make()
    one = make()
    for model in (one, several):
        trained(model, x, epochs=2, sample_weight=w, validation_data=x)
    for a, b in zip(one.weights, several.weights, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-5, atol=1e-6)
        copies = replicas.experimental_local_results(b.value)
        assert len(copies) == 2
        np.testing.assert_array_equal(*(copy.numpy() for copy in copies))
    for name in one.history.history:
        np.testing.assert_allclose(
            several.history.history[name], one.history.history[name], rtol=1e-5
        )
    assert several.batches_seen.numpy() == several.optimizer.iterations.numpy() == 8
    np.testing.assert_allclose(several.predict(x, verbose=0), one.predict(x, verbose=0), rtol=1e-5)


def test_replicas_measure_as_one(make_vae, x, replicas):
    with replicas.scope():
        several = compiled(make_vae())
    one = compiled(make_vae())
    a, b = (m.evaluate(x, batch_size=16, verbose=0, return_dict=True) for m in (one, several))
    assert b["kl"] == pytest.approx(a["kl"], rel=1e-5)
    deviation = np.std(one(x, num_samples=100).log_likelihood, axis=0)  # [N]
    error = math.sqrt(2.0 * (deviation**2).sum()) / len(x)
    assert 0.0 < abs(b["loss"] - a["loss"]) < 5.0 * error
    assert several.evaluate(x, batch_size=16, verbose=0, return_dict=True) == b


def test_replicas_draw_noise_of_their_own(x, replicas):
    """The same rows in both replicas: z differs by dropout masks and by draws."""
    with replicas.scope():
        model = normalized_vae(synchronized=True)
        model.encode(x)

    @tf.function
    def draw():
        model._seed_layers()
        with model.noise.stream("train", model.batches_seen.value):
            draws = model(x[:8], training=True)
        return draws.posterior.mean(), draws.z - draws.posterior.mean()

    for values in replicas.run(draw):
        a, b = replicas.experimental_local_results(values)
        assert not np.isclose(a, b).all(axis=-1).any()


def test_replicas_skip_together(x, replicas, assert_same_bits):
    """One replica alone meets a row that is not finite; both are as they were."""
    with replicas.scope():
        model = compiled(normalized_vae(), momentum())
    model.check_data = False  # the guard is under test

    def state():
        copies = [replicas.experimental_local_results(v.value) for v in lasting_variables(model)]
        return [copy.numpy() for pair in copies for copy in pair]

    trained(model, x)
    before = state()
    bad = np.array(x[:16])
    bad[15] = np.nan
    trained(model, bad)
    assert model.updates_skipped.numpy() == 1
    assert_same_bits(state(), before)
    trained(model, x)
    assert model.optimizer.iterations.numpy() == 8


def test_replicas_share_an_overflow_of_the_loss_scale(make_vae, x, replicas, assert_same_bits):
    """At this scale the gradients of the second replica's large rows alone overflow in float16."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        with replicas.scope():
            model = make_vae()
            inner = keras.optimizers.SGD(0.0)
            compiled(model, keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0**14))
        model.check_data = False
    finally:
        keras.config.set_dtype_policy("float32")
    trained(model, x[:16])
    assert inner.iterations.numpy() == 1
    rows = np.array(x[:16])
    rows[8:] *= 6.0
    before = [v.numpy() for v in model.trainable_weights]
    trained(model, rows)
    assert inner.iterations.numpy() == 1
    assert model.updates_skipped.numpy() == 0
    assert model.optimizer.dynamic_scale.numpy() == 2.0**13
    assert_same_bits([v.numpy() for v in model.trainable_weights], before)


@pytest.mark.filterwarnings(RAN_OUT)
def test_replicas_lose_no_batch_of_a_generator(make_vae, x, replicas):
    with replicas.scope():
        model = compiled(make_vae())
    model.fit((batch for batch in batches(x)), verbose=0)
    assert model.batches_seen.numpy() == 4


def test_one_uneven_batch_is_enough_for_replicas(make_exact_vae, by_hand, x, replicas):
    with replicas.scope():
        model = compiled(make_exact_vae(), keras.optimizers.SGD(0.0))
    for rows in (x[:13], x[:1]):  # of which one replica has 7 and 1, the other 6 and none
        history = model.fit(rows, batch_size=16, verbose=0).history
        elbo = by_hand(model, rows)["elbo"].mean()
        np.testing.assert_allclose([history["elbo"][0], -history["loss"][0]], elbo, rtol=1e-6)
    assert model.updates_skipped.numpy() == 0


@pytest.mark.parametrize("argument", [{"steps_per_execution": 4}, {"jit_compile": True}])
def test_what_strategies_cannot_do_is_refused_at_compile(make_vae, replicas, argument):
    with (
        replicas.scope(),
        pytest.raises(ValueError, match=f"`{[*argument][0]}` must be .* under a distribution"),
    ):
        compiled(make_vae(), **argument)


def test_accumulation_is_refused_for_replicas(make_vae, replicas):
    with replicas.scope(), pytest.raises(ValueError, match="`optimizer` must not accumulate grad"):
        compiled(make_vae(), keras.optimizers.SGD(0.1, gradient_accumulation_steps=2))


# ---- the model as an object ---------------------------------------------------------------------


def test_summary_counts_the_weights(make_vae, x):
    model = make_vae()
    model.encode(x)
    lines = []
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    # Dense 6-8, its head 8-4, and dense 2-8, its head 8-6
    weights = 6 * 8 + 8 + 8 * 4 + 4 + 2 * 8 + 8 + 8 * 6 + 6
    assert f"Trainable params: {weights} " in text
    assert "Conditional" in text


def test_a_config_makes_the_same_model(make_vae, x, state_of, assert_same_bits):
    model = make_vae(objective=ELBO(beta=schedules.Cyclical(0.0, 1.0, 10), num_samples=2))
    again = tfvae.VAE.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    for m in (model, again):
        m.encode(x)
    again.set_weights(model.get_weights())
    for m in (model, again):
        trained(compiled(m), x)
    assert_same_bits(state_of(again), state_of(model))


def test_a_drawn_seed_is_kept(make_vae):
    model = make_vae(seed=None)
    assert tfvae.VAE.from_config(model.get_config()).seed == model.seed
