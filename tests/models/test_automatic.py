"""What "auto" chooses, and that it stays "auto"."""

import keras
import pytest

import tfvae
from tfvae import networks
from tfvae.models import automatic


class Watching(keras.callbacks.Callback):
    """A user's callback that looks at batches."""

    def on_train_batch_end(self, batch, logs=None):
        pass


class Waiting(keras.callbacks.Callback):
    """A user's callback that looks at epochs."""

    def on_epoch_end(self, epoch, logs=None):
        pass


@pytest.fixture(scope="module")
def vae(make_vae):
    model = make_vae()
    model.build((None, 6))
    return model


@pytest.fixture(scope="module")
def convolutional():
    model = tfvae.VAE(
        tfvae.Conditional(networks.convolutional([4]), tfvae.Head("Normal", (2,))),
        tfvae.Conditional(networks.mlp([8]), tfvae.Head("Bernoulli", (8, 8, 1))),
        seed=0,
    )
    model.build((None, 8, 8, 1))
    return model


@pytest.mark.parametrize(
    ("callbacks", "expected"),
    {
        "none": (None, automatic.MOST_STEPS),
        "of epochs": ([Waiting()], automatic.MOST_STEPS),
        "Keras' own": ([keras.callbacks.TerminateOnNaN()], automatic.MOST_STEPS),
        "of batches": ([Waiting(), Watching()], 1),
        "alone": (Watching(), 1),
        "in a list of Keras'": (keras.callbacks.CallbackList([Watching()]), 1),
        "lambda of batches": ([keras.callbacks.LambdaCallback(on_train_batch_end=print)], 1),
        "lambda of epochs": (
            [keras.callbacks.LambdaCallback(on_epoch_end=print)],
            automatic.MOST_STEPS,
        ),
    }.values(),
)
def test_a_callback_that_looks_at_batches_sees_each(vae, callbacks, expected):
    assert automatic.steps(vae, 8, 1_000, callbacks) == expected


def test_a_block_takes_a_fraction_of_a_second_and_of_an_epoch(vae, convolutional, make_vae):
    assert automatic.steps(vae, 8, 5, None) == 5
    assert automatic.steps(vae, 8, None, None) == automatic.MOST_STEPS
    assert automatic.steps(convolutional, 8, 1_000, None) == automatic.CONVOLUTION_STEPS
    small, large = (automatic.steps(vae, size, 1_000, None) for size in (2**18, 2**30))
    assert large == 1 < small < automatic.MOST_STEPS


@pytest.mark.parametrize(
    ("model", "num_steps", "accelerator", "expected"),
    [
        ("vae", automatic.REPAID_AFTER, False, True),
        ("vae", automatic.REPAID_AFTER - 1, False, False),
        ("vae", None, False, False),
        ("vae", 1, True, True),
        ("convolutional", 10**9, False, False),
        ("convolutional", 1, True, True),
    ],
)
def test_xla_is_used_where_it_pays(
    request, monkeypatch, caplog, model, num_steps, accelerator, expected
):
    monkeypatch.setattr(automatic, "has_accelerator", lambda: accelerator)
    with caplog.at_level("INFO", "tfvae"):
        assert automatic.with_xla(request.getfixturevalue(model), num_steps) is expected
    assert len(caplog.messages) == 1
    assert ("is used" if expected else "is not used") in caplog.messages[0]


def test_a_layer_that_refuses_xla_is_named(make_vae, caplog):
    class Refusing(keras.layers.Dense):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.supports_jit = False

    encoder = tfvae.Conditional(Refusing(8, name="refusing"), tfvae.Head("Normal", (2,)))
    model = tfvae.VAE(encoder, make_vae().decoder, seed=0)
    with caplog.at_level("INFO", "tfvae"):
        assert not automatic.with_xla(model, 10**9)
    assert "'refusing'" in caplog.text


def test_auto_stays_auto_when_saved(make_vae, x, tmp_path):
    model = make_vae()
    model.compile("adam")
    model.fit(x, verbose=0)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    for m in (model, copy):
        config = m.get_compile_config()
        assert (config["steps_per_execution"], config["jit_compile"]) == ("auto", "auto")
        assert m.steps_per_execution == 1  # Keras' own loops need a number


def test_what_was_asked_for_is_obeyed(make_vae, x):
    """A program of as many steps as were asked for, also where "auto" would take fewer."""
    model, seen = make_vae(), []
    callback = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(batch)
    )
    model.compile("adam", steps_per_execution=2, jit_compile=False)
    model.fit(x, batch_size=16, verbose=0, callbacks=[callback])
    assert seen == [1, 3]


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_jit_compile_takes_three_values(make_vae, value):
    with pytest.raises(ValueError, match='`jit_compile` must be True, False or "auto"'):
        make_vae().compile("adam", jit_compile=value)


def test_under_a_strategy_auto_is_one_step_without_xla(make_vae, replicas):
    with replicas.scope():
        model = make_vae()
        model.compile("adam")
    assert (model.steps_per_execution, model.jit_compile) == (1, False)
