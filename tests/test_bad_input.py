"""Mistakes fail at construction or build, in a sentence: argument, rule, what was received."""

import keras
import numpy as np
import pytest

import tfvae
from tfvae import Conditional, Head, StandardNormal, Trainable, networks, recipes, schedules
from tfvae.objectives import ELBO

NET = keras.layers.Dense(4)


def vae(event_shape=(6,), **parts):
    """A VAE that is right but for `parts`."""
    right = {
        "encoder": Conditional(networks.mlp([4]), Head("Normal", (2,))),
        "decoder": Conditional(networks.mlp([4]), Head("Bernoulli", event_shape)),
    }
    return tfvae.VAE(**right | parts)


def two_outputs():
    inputs = keras.Input((6,))
    return keras.Model(inputs, [keras.layers.Dense(2)(inputs), inputs])


def cases(table):
    """Names each case after the argument, the last but one of it."""
    return [pytest.param(*case, id=f"{case[-2]} {i}") for i, case in enumerate(table)]


CONSTRUCTION = [
    # Head and Trainable
    (lambda: Head("Bernouli", (6,)), "family", "'Bernouli'. Did you mean 'Bernoulli'"),
    (lambda: Head("normal", (6,)), "family", "'normal'. Did you mean 'Normal'"),
    (lambda: Head(None, (6,)), "family", "family=None of type NoneType"),
    (lambda: Head(int, (6,)), "family", "<class 'int'>"),
    (lambda: Head("Distribution", (6,)), "family", "'Distribution'. Fix: write a stochastic layer"),
    (lambda: Head("MultivariateNormalTriL", ()), "family", "event_shape=(). Fix:"),
    (lambda: Head("Normal", 6), "event_shape", "event_shape=6. Fix: pass (6,)."),
    (lambda: Head("Normal", (6.0,)), "event_shape[0]", "=6.0 of type float"),
    (lambda: Head("Normal", (2, 0)), "event_shape[1]", "event_shape[1]=0"),
    (lambda: Head("Normal", (None,)), "event_shape[0]", "=None of type NoneType"),
    (lambda: Head("Normal", "66"), "event_shape", "event_shape='66' of type str"),
    (lambda: Head("Normal", (6,), fixed={"sclae": 1.0}), "fixed", "Did you mean 'scale'?"),
    (lambda: Head("Normal", (6,), fixed={"scale": -1.0}), "fixed", "fixed={'scale': -1.0}"),
    (lambda: Head("Normal", (6,), fixed={"scale": 0.0}), "fixed", "fixed={'scale': 0.0}"),
    (lambda: Head("Normal", (6,), fixed={"scale": np.nan}), "fixed", "fixed={'scale': nan}"),
    (lambda: Head("Normal", (6,), fixed={"scale": "1"}), "fixed['scale']", "'1'} of type str"),
    (lambda: Head("Normal", (6,), fixed={"scale": None}), "fixed['scale']", "None} of type None"),
    (lambda: Head("Normal", (6,), fixed={"scale": [1.0, 2.0]}), "fixed", "[1.0, 2.0]}"),
    (lambda: Head("Normal", (6,), fixed={"loc": 0.0, "scale": 1.0}), "fixed", "Fix: leave one out"),
    (lambda: Head("Normal", (6,), fixed=0.1), "fixed", "fixed=0.1 of type float. Fix: pass {"),
    (lambda: Head("Normal", (6,), shared=["scale"]), "shared", "['scale'] of type list. Fix: pass"),
    (lambda: Head("Normal", (6,), shared={"sclae": ()}), "shared", "Did you mean 'scale'?"),
    (lambda: Head("Normal", (6,), shared={"scale": (5,)}), "shared['scale']", "'scale': (5,)"),
    (lambda: Head("Normal", (6,), shared={"scale": 6}), "shared['scale']", "Fix: pass (6,)."),
    (
        lambda: Head("Normal", (6,), fixed={"scale": 1.0}, shared={"scale": ()}),
        "shared",
        "shared={'scale': ()}",
    ),
    (
        lambda: Head("Normal", (6,), shared={"loc": (), "scale": ()}),
        "fixed` and `shared",
        "Fix: use `Trainable`",
    ),
    (lambda: Head("Normal", (6,), dtype="float16"), "dtype", "dtype=float16. Fix: leave it out"),
    (lambda: StandardNormal((2,), dtype="mixed_bfloat16"), "dtype", "dtype=mixed_bfloat16. Fix"),
    (lambda: StandardNormal(2), "event_shape", "event_shape=2. Fix: pass (2,)."),
    (lambda: Trainable("Norml", (2,)), "family", "'Norml'. Did you mean 'Normal'"),
    (lambda: Trainable("Normal", (2,), initial={"sclae": 1}), "initial", "Did you mean 'scale'?"),
    (lambda: Trainable("Normal", (2,), initial={"scale": -1}), "initial['scale']", "'scale': -1"),
    (lambda: Trainable("Normal", (2,), initial={"loc": [1, 2, 3]}), "initial['loc']", "[1, 2, 3]"),
    (lambda: Trainable("Normal", (2,), initial=0.0), "initial", "initial=0.0 of type float. Fix"),
    # Conditional
    (lambda: Conditional(None, Head("Normal", (2,))), "network", "None of type NoneType"),
    (lambda: Conditional(np.tanh, Head("Normal", (2,))), "network", "of type ufunc"),
    (lambda: Conditional(NET, keras.layers.Dense(4)), "head", "of type Dense. Fix: use `tfvae.Hea"),
    (lambda: Conditional(Head("Normal", (2,)), NET), "network", "of type Head. Fix: give the stoc"),
    # VAE
    (lambda: vae(encoder=NET), "encoder", "Dense. Fix: wrap a network, `tfvae.Conditional("),
    (lambda: vae(decoder=None), "decoder", "NoneType. Fix: wrap a network"),
    (lambda: vae(decoder=Conditional(NET, Head("Normal", ()))), "decoder", "event_shape=()"),
    (lambda: vae(prior="normal"), "prior", "of type builtins.str"),
    (lambda: vae(prior=StandardNormal((3,))), "prior", "event_shape (2,). Received: prior with ev"),
    (lambda: vae(objective="elbo"), "objective", "'elbo' of type str. Fix: use one of `tfvae.obj"),
    (lambda: vae(objective=ELBO), "objective", "of type type. Fix: use one of"),
    (lambda: vae(objective=[]), "objective", "objective=[]. Fix: leave it out"),
    (lambda: vae(seed=-1), "seed", "seed=-1"),
    (lambda: vae(seed=1.5), "seed", "seed=1.5 of type float"),
    (lambda: vae(seed=True), "seed", "seed=True of type bool"),
    # objectives and schedules
    (lambda: ELBO(beta=-1.0), "beta", "a finite number >= 0. Received: beta=-1.0"),
    (lambda: ELBO(beta=np.inf), "beta", "beta=inf"),
    (
        lambda: ELBO(beta="1"),
        "beta",
        "beta='1' of type str. Fix: pass a number or a Keras schedule",
    ),
    (lambda: ELBO(free_bits=-0.1), "free_bits", "free_bits=-0.1"),
    (lambda: ELBO(num_samples=0), "num_samples", "num_samples=0"),
    (lambda: ELBO(num_samples=2.0), "num_samples", "num_samples=2.0 of type float"),
    (lambda: schedules.Linear(0.0, 1.0, steps=0), "steps", "steps=0"),
    (lambda: schedules.Linear(np.nan, 1.0, steps=5), "start", "start=nan"),
    (lambda: schedules.Cyclical(0.0, 1.0, period=0), "period", "period=0"),
    (lambda: schedules.Cyclical(0.0, 1.0, 10, ramp=0.0), "ramp", "in (0, 1]. Received: ramp=0.0"),
    # networks and recipes
    (lambda: networks.mlp(4), "units", "units=4. Fix: pass (4,)."),
    (lambda: networks.mlp([4, 0]), "units[1]", "units[1]=0"),
    (lambda: networks.convolutional(4), "filters", "filters=4. Fix: pass (4,)."),
    (lambda: networks.deconvolutional([4], start=(2, 2)), "start", "start=(2, 2)"),
    (lambda: networks.residual(0), "units", "units=0"),
    (lambda: networks.residual(4, num_blocks=0), "num_blocks", "num_blocks=0"),
    (lambda: recipes.vae(6), "event_shape", "event_shape=6. Fix: pass (6,)."),
    (lambda: recipes.vae((6,), latent_size=0), "latent_size", "latent_size=0"),
    (lambda: recipes.vae((6,), units=8), "units", "units=8. Fix: pass (8,)."),
    (lambda: recipes.vae((6,), seed="0"), "seed", "seed='0' of type str"),
]


@pytest.mark.parametrize(("make", "argument", "received"), cases(CONSTRUCTION))
def test_mistakes_of_construction_name_argument_and_value(make, argument, received):
    with pytest.raises((TypeError, ValueError)) as error:
        make()
    assert_sentence(error, argument, received)


def assert_sentence(error, argument, received):
    text = str(error.value)
    assert text.startswith(f"`{argument}` ")
    assert " must " in text
    assert "Received: " in text
    assert received in text
    assert "\n" not in text


ROWS, IMAGES = np.ones((2, 6), "float32"), np.ones((2, 4, 4, 1), "float32")


BUILD = [
    # The network does not take the data, or gives what no head takes.
    (
        lambda: vae(encoder=Conditional(networks.convolutional([2]), Head("Normal", (2,)))),
        ROWS,
        "network",
        "'convolutional' of type Sequential, which refuses them",
    ),
    (
        lambda: vae(encoder=Conditional(two_outputs(), Head("Normal", (2,)))),
        ROWS,
        "network",
        "which returns list. Fix: return the features",
    ),
    (
        lambda: vae((4, 4, 1), encoder=Conditional(keras.layers.Dense(3), Head("Normal", (2,)))),
        IMAGES,
        "features",
        "(4, 4, 3). Fix: end the network with `keras.layers.Flatten()`",
    ),
    (
        lambda: vae(
            decoder=Conditional(
                networks.deconvolutional([2], start=(3, 3, 2)), Head("Bernoulli", (4, 4, 1))
            )
        ),
        IMAGES,
        "features",
        "features of shape (6, 6, 2). Fix:",
    ),
    # The data are not those of the decoder.
    (vae, ROWS[:, :5], "x", "[B, 6], the decoder's event_shape. Received: x of shape (2, 5). Fix:"),
    (vae, ROWS[0], "x", "x of shape (6,). Fix: add the batch axis, x[None];"),
    (
        lambda: vae((4, 4, 1)),
        IMAGES[..., 0],
        "x",
        "x of shape (2, 4, 4). Fix: add the channel axis, x[..., None].",
    ),
    (vae, None, "inputs", "inputs=None"),
    (vae, {"y": ROWS}, "inputs", "keys ['y']"),
    (vae, {"x": ROWS, "conditions": ROWS}, "inputs", "'conditions'. Did you mean 'condition'?"),
    (vae, {"x": ROWS, "condition": ROWS[:, 0]}, "condition", "[B, C]. Received: condition of shap"),
    (vae, {"x": ROWS, "condition": ROWS[:1]}, "condition", "(1, 6) with x of shape (2, 6)"),
    (vae, np.array([["a"] * 6]), "x", "x of dtype <U1"),
    (vae, [[1.0, 2.0], [3.0]], "x", "x[1] has 1 entries, x[0] has 2"),
]


@pytest.mark.parametrize(("make", "inputs", "argument", "received"), cases(BUILD))
def test_mistakes_of_shape_show_when_the_model_is_built(make, inputs, argument, received):
    with pytest.raises((TypeError, ValueError)) as error:
        make().encode(inputs)
    assert_sentence(error, argument, received)


def test_free_bits_need_a_kl_that_has_parts():
    full = Conditional(networks.mlp([4]), Head("MultivariateNormalTriL", (2,)))
    model = vae(encoder=full, objective=ELBO(free_bits=0.1))
    model.compile("sgd")
    with pytest.raises(ValueError, match="`free_bits` must be 0 .*free_bits=0.1.*Fix: "):
        model.fit(ROWS, verbose=0)
    assert int(model.batches_seen) == 0


@pytest.fixture(scope="module")
def plain():
    model = vae()
    model.encode(ROWS)
    return model


@pytest.fixture(scope="module")
def conditional():
    model = vae()
    model.encode({"x": ROWS, "condition": np.ones((2, 3))})
    return model


METHODS = [
    ("plain", lambda m: m.decode(np.ones((1, 3))), "z", "z of shape (1, 3)"),
    ("plain", lambda m: m.decode(np.ones(2)), "z", "z of shape (2,)"),
    ("plain", lambda m: m.decode(np.ones((1, 2)), np.ones((1, 3))), "condition", "(1, 3)"),
    ("conditional", lambda m: m.decode(np.ones((1, 2))), "condition", "no condition"),
    ("conditional", lambda m: m.decode(np.ones((2, 2)), np.ones((3, 3))), "condition", "(3, 3)"),
    ("conditional", lambda m: m.encode(ROWS), "condition", "[B, 3], as when the model was built"),
    ("plain", lambda m: m.generate(0), "num_samples", "num_samples=0"),
    ("plain", lambda m: m.generate(2.0), "num_samples", "num_samples=2.0 of type float"),
    ("plain", lambda m: m.generate(10**10), "num_samples", "GiB. Fix: call `generate` in parts"),
    ("plain", lambda m: m.generate(2, seed=-1), "seed", "seed=-1"),
    ("plain", lambda m: m.generate(2, np.ones((2, 3))), "condition", "(2, 3)"),
    ("conditional", lambda m: m.generate(2), "condition", "no condition"),
    ("conditional", lambda m: m.generate(3, np.ones((2, 3))), "condition", "(2, 3)"),
    ("conditional", lambda m: m.generate(2, np.ones((2, 4))), "condition", "(2, 4)"),
    ("plain", lambda m: m.embed(ROWS, batch_size=0), "batch_size", "batch_size=0"),
    ("plain", lambda m: m.embed(ROWS[:, :2]), "x", "x of shape (2, 2)"),
    ("plain", lambda m: m.predict(ROWS, batch_size=0), "batch_size", "batch_size=0"),
    ("plain", lambda m: m.predict(ROWS, batch_size="32"), "batch_size", "'32' of type str"),
    ("plain", lambda m: m.evaluate(ROWS, batch_size=-4), "batch_size", "batch_size=-4"),
    ("plain", lambda m: m.save("model.h5"), "filepath", "'model.h5'. Fix: rename it"),
    ("plain", lambda m: m.export("out", format="onnx"), "format", "format='onnx'"),
    ("plain", lambda m: m.compile("sgd", loss="mse"), "loss", "loss='mse'. Fix: pass `objective=`"),
    ("plain", lambda m: m.compile("sgd", steps_per_execution=0), "steps_per_execution", "=0"),
]


@pytest.mark.parametrize(("model", "call", "argument", "received"), cases(METHODS))
def test_mistakes_of_methods_name_argument_and_value(request, model, call, argument, received):
    with pytest.raises((TypeError, ValueError)) as error:
        call(request.getfixturevalue(model))
    assert_sentence(error, argument, received)


@pytest.mark.parametrize(
    ("arguments", "argument", "received"),
    [
        ({"batch_size": 0}, "batch_size", "batch_size=0"),
        ({"batch_size": 1.5}, "batch_size", "batch_size=1.5 of type float"),
        ({"epochs": -1}, "epochs", "epochs=-1"),
        ({"steps_per_epoch": 0}, "steps_per_epoch", "steps_per_epoch=0"),
        ({"validation_steps": 0}, "validation_steps", "validation_steps=0"),
        ({"validation_batch_size": 0}, "validation_batch_size", "validation_batch_size=0"),
        ({"validation_split": 1.0}, "validation_split", "validation_split=1.0"),
    ],
)
def test_mistakes_of_fit_name_argument_and_value(arguments, argument, received):
    model = vae()
    model.compile("sgd")
    with pytest.raises((TypeError, ValueError)) as error:
        model.fit(ROWS, verbose=0, **arguments)
    assert_sentence(error, argument, received)
    assert int(model.batches_seen) == 0


def test_methods_that_need_a_built_model_say_so():
    for call in (lambda: vae().decode(np.ones((1, 2))), lambda: vae().generate(1)):
        with pytest.raises(
            ValueError, match="after the model has seen .* Fix: call `fit`, or `enc"
        ):
            call()


def test_training_needs_an_optimizer():
    model = vae()
    model.compile(None)
    with pytest.raises(ValueError, match="`optimizer` must be given to `compile`"):
        model.fit(ROWS, verbose=0)
    assert np.isfinite(model.evaluate(ROWS, verbose=0)).all()
