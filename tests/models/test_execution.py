"""K steps an execution, and data on the device: the same bits as one step at a time."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvae

EPOCHS, BATCH_SIZE = 3, 8  # 61 rows: seven whole batches and one of five


@pytest.fixture(scope="module")
def spoiled(x):
    """Rows of which one is NaN."""
    rows = x.copy()
    rows[17, 0] = np.nan
    return rows


def train(make_vae, x, steps, jit_compile=False, optimizer=None, **arguments):
    """Returns history, variables and counters of a training run."""
    vae = make_vae()
    vae.check_data = False  # the guard is under test
    vae.compile(
        optimizer or keras.optimizers.Adam(1e-2),
        steps_per_execution=steps,
        jit_compile=jit_compile,
    )
    fit = {"batch_size": BATCH_SIZE, "epochs": EPOCHS, "verbose": 0}
    history = vae.fit(x, **(fit | arguments)).history
    state = [v.numpy() for v in [*vae.variables, *vae.optimizer.variables]]
    return history, state, (int(vae.batches_seen.numpy()), int(vae.optimizer.iterations.numpy()))


def assert_equal(first, second):
    assert first[0] == second[0]
    for a, b in zip(first[1], second[1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert first[2] == second[2]


OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(
        keras.optimizers.schedules.ExponentialDecay(1e-2, 10, 0.9)
    ),
    "ema": lambda: keras.optimizers.AdamW(
        1e-2, use_ema=True, ema_overwrite_frequency=7, global_clipnorm=1.0
    ),
    "accumulation": lambda: keras.optimizers.SGD(1e-2, gradient_accumulation_steps=3),
    "clipvalue": lambda: keras.optimizers.RMSprop(1e-2, clipvalue=0.1),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_several_steps_are_the_same_steps(make_vae, x, optimizer):
    """Bit for bit: history, weights, slots and counters, also with a remainder and a NaN."""
    runs = [
        train(make_vae, x, k, optimizer=OPTIMIZERS[optimizer](), validation_data=x[:20])
        for k in (1, 3)
    ]
    assert_equal(*runs)
    assert runs[0][2][0] == EPOCHS * 8


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_bad_batch_is_skipped_alone(make_vae, spoiled, x, jit_compile):
    """The block that holds it is run again; its other batches are applied."""
    fit = {"jit_compile": jit_compile, "validation_data": x[:20]}
    runs = [train(make_vae, spoiled, k, **fit) for k in (1, 3)]
    assert_equal(*runs)
    assert runs[0][2] == (EPOCHS * 8, EPOCHS * 7)
    assert np.isfinite(runs[0][0]["loss"]).all()


def as_dataset(x):
    return tf.data.Dataset.from_tensor_slices(x).batch(BATCH_SIZE)


STREAMS = {
    "known number": (as_dataset, {}),
    "unknown number": (lambda x: as_dataset(x).filter(lambda batch: True), {}),
    "endless": (lambda x: as_dataset(x).repeat(), {"steps_per_epoch": 8}),
    "shapes not known": (
        lambda x: tf.data.Dataset.from_generator(
            lambda: (x[i : i + BATCH_SIZE] for i in range(0, 61, BATCH_SIZE)),
            output_types=tf.float32,
        ),
        {},
    ),
}


@pytest.fixture(scope="module")
def in_order(make_vae, x):
    """A run on arrays that are not shuffled."""
    return train(make_vae, x, 1, shuffle=False)


@pytest.mark.filterwarnings("ignore:.*ran out of data:UserWarning")
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("stream", STREAMS)
def test_streamed_batches_train_as_arrays_do(make_vae, x, in_order, stream, steps):
    """Bit for bit: batches joined to a block, and rows gathered in the program."""
    make, arguments = STREAMS[stream]
    assert_equal(in_order, train(make_vae, make(x), steps, batch_size=None, **arguments))


def test_arrays_too_large_for_the_device_train_alike(make_vae, x, monkeypatch):
    resident = train(make_vae, x, 3)
    monkeypatch.setattr("tfvae.models.feed.LARGEST", 0)
    assert_equal(resident, train(make_vae, x, 3))


def test_a_bad_batch_of_a_stream_is_skipped_alone(make_vae, spoiled):
    one, three = (train(make_vae, as_dataset(spoiled), k, batch_size=None) for k in (1, 3))
    assert_equal(one, three)
    assert three[2] == (EPOCHS * 8, EPOCHS * 7)


@pytest.mark.parametrize("steps", [1, 3])
def test_the_last_shorter_batch_costs_no_second_trace(make_vae, x, steps):
    class Traced(tfvae.VAE):
        traces = 0

        def call(self, *args, **kwargs):
            Traced.traces += 1
            return super().call(*args, **kwargs)

    parts = make_vae()
    vae = Traced(parts.encoder, parts.decoder, seed=0)
    vae.compile("adam", steps_per_execution=steps)
    vae.fit(x, batch_size=BATCH_SIZE, epochs=2, verbose=0)
    assert Traced.traces == 1


def test_callbacks_see_blocks_as_in_keras(make_vae, x):
    seen = []
    callback = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append((batch, sorted(logs)))
    )
    train(make_vae, x, 3, epochs=1, callbacks=[callback])
    assert [batch for batch, _ in seen] == [2, 5, 8]
    assert all(logs == ["elbo", "kl", "log_likelihood", "loss"] for _, logs in seen)


def test_evaluating_inside_a_callback_disturbs_nothing(make_vae, x):
    """A callback that evaluates other data leaves training and validation as they are."""

    class Evaluate(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.evaluate(x[:10], verbose=0)

    plain = train(make_vae, x, 1)
    watched = train(make_vae, x, 1, callbacks=[Evaluate()])
    for a, b in zip(plain[1], watched[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_on_a_batch_inside_a_callback_takes_that_batch(make_vae, x):
    """`train_on_batch` within `fit` neither reads the feed of `fit` nor moves it."""
    seen = []

    class TrainMore(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            before = int(self.model.batches_seen.numpy())
            self.model.train_on_batch(x[:3])
            seen.append(int(self.model.batches_seen.numpy()) - before)

    _, _, (batches, updates) = train(make_vae, x, 1, epochs=2, callbacks=[TrainMore()])
    assert seen == [1, 1]
    assert batches == updates == 2 * 8 + 2


class CountingSteps(tfvae.VAE):
    """A user's model with a train step of its own."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.steps = self.add_weight(name="steps", shape=(), trainable=False, initializer="zeros")

    def train_step(self, data):
        self.steps.assign_add(1.0)
        return super().train_step(data)


@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_a_train_step_of_the_users_is_called_for_every_batch(make_vae, x, steps_per_execution):
    parts = make_vae()
    vae = CountingSteps(parts.encoder, parts.decoder, seed=0)
    vae.compile(keras.optimizers.Adam(1e-2), steps_per_execution=steps_per_execution)
    vae.fit(x, batch_size=BATCH_SIZE, epochs=1, verbose=0)
    assert int(vae.steps.numpy()) == int(vae.batches_seen.numpy()) == 8
