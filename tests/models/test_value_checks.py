"""Bad data are refused in a sentence before they change anything; odd data are named once."""

import hashlib
import itertools
import logging

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

import tfvae
from tfvae import evaluation
from tfvae.distributions.support import Support
from tfvae.models.feed import Stream
from tfvae.models.value_checks import _faults, _is_fine, check_batch, check_values

N, D = 24, 6
RNG = np.random.default_rng(0)
BINARY = (RNG.random((N, D)) < 0.4).astype("float32")
COUNTS = RNG.poisson(2.0, (N, D)).astype("float32")
REALS = RNG.normal(size=(N, D)).astype("float32")
FIXED = {
    "Binomial": {"total_count": 9.0},
    "Multinomial": {"total_count": 9.0},
}


def small(family="Bernoulli", event=(D,), latent=2, fixed=None):
    with tfvae.random.seeded_initializers(0):
        fixed = FIXED.get(family) if fixed is None else fixed
        return tfvae.VAE(
            tfvae.Conditional(tfvae.networks.mlp([4]), tfvae.Head("Normal", (latent,))),
            tfvae.Conditional(tfvae.networks.mlp([4]), tfvae.Head(family, event, fixed=fixed)),
            seed=0,
        )


@pytest.fixture(scope="module")
def models():
    """Models by likelihood, compiled and built, one for all the cases that only refuse."""
    made = {}

    def get(family, event=(D,)):
        if (family, event) not in made:
            model = made[family, event] = small(family, event)
            model.compile(keras.optimizers.SGD(0.1))
            model.build((None, *event))
            model.optimizer.build(model.trainable_variables)
        return made[family, event]

    return get


def snapshot(model, *data):
    """A digest of all that must be as before: weights, optimizer, random states, the data."""
    arrays = [v.numpy() for v in (*model.variables, *model.optimizer.variables)]
    arrays += [d for d in tf.nest.flatten(data) if isinstance(d, np.ndarray) and d.dtype != object]
    return [hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest() for a in arrays]


def refuses(model, call, data, expected):
    before = snapshot(model, data)
    with pytest.raises(ValueError) as error:  # noqa: PT011
        call(model, data)
    message = str(error.value)
    for part in expected.split(" ... "):
        assert part in message, message
    assert message.startswith("`")
    assert " must " in message
    assert "Received: " in message
    assert snapshot(model, data) == before


def spoiled(x, *index_and_value, dtype="float32"):
    x = np.array(x, dtype)
    *index, value = index_and_value
    x[tuple(index)] = value
    return x


NAN, INF = float("nan"), float("inf")

# family of the likelihood, data, parts of the sentence
ARRAYS = {
    "nan": ("Bernoulli", spoiled(BINARY, 3, 2, NAN), "finite ... x[3, 2]=nan, 1 of 144 values"),
    "two nan": ("Normal", spoiled(REALS, [20, 3], 1, NAN), "x[3, 1]=nan, the first of 2 in 144"),
    "last cell": ("Normal", spoiled(REALS, N - 1, D - 1, NAN), "x[23, 5]=nan"),
    "inf": ("Normal", spoiled(REALS, 0, 0, INF), "x[0, 0]=inf"),
    "-inf": ("Normal", spoiled(REALS, 0, 5, -INF), "x[0, 5]=-inf"),
    "float64 nan": ("Normal", spoiled(REALS, 1, 1, NAN, dtype="float64"), "x[1, 1]=nan"),
    "float16 inf": ("Normal", spoiled(REALS, 1, 1, INF, dtype="float16"), "x[1, 1]=inf"),
    "huge": ("Normal", spoiled(REALS, 2, 0, 1e20), "at most 1e+15 ... x[2, 0]=1e+20 ... standard"),
    "huge float64": ("Normal", spoiled(REALS, 2, 0, 1e300, dtype="float64"), "1e+300 ... standar"),
    "pixels": ("Bernoulli", (255 * BINARY).astype("uint8"), "in [0, 1] ... in [0, 255]. Fix: s"),
    "float pixels": ("Bernoulli", 255 * BINARY, "in [0, 1] ... x / 255"),
    "pixels, continuous": ("ContinuousBernoulli", 255 * BINARY, "in [0, 1] ... x / 255"),
    "standardised": ("Bernoulli", REALS, "in [0, 1] ... choose a likelihood of reals"),
    "-1 and 1": ("Bernoulli", 2 * BINARY - 1, "in [0, 1] ... of x in [-1, 1]"),
    "negative counts": ("Poisson", -COUNTS, "integers >= 0"),
    "fractional": ("Poisson", spoiled(COUNTS, 4, 0, 0.5), "integers >= 0 ... x[4, 0]=0.5 ... raw"),
    "log counts": ("NegativeBinomial", np.log1p(COUNTS), "integers >= 0 ... raw counts"),
    "inflated": ("ZeroInflatedNegativeBinomial", COUNTS + 0.5, "integers >= 0"),
    "above the total": ("Binomial", spoiled(COUNTS, 5, 5, 10), "integers in [0, 9] ... x[5, 5]=10"),
    "multinomial": ("Multinomial", np.ones((N, D)), "add up to 9 ... the sum of x[0]=6"),
    "zero": ("Gamma", COUNTS, "> 0"),
    "zero, log-normal": ("LogNormal", COUNTS, "> 0"),
    "ends of the interval": ("Beta", BINARY, "in (0, 1) ... ContinuousBernoulli"),
    "ends, logit-normal": ("LogitNormal", BINARY, "in (0, 1)"),
    "negative": ("Exponential", REALS, ">= 0"),
    "codes for one-hot": ("OneHotCategorical", COUNTS, "integers in [0, 1] ... one-hot"),
    "two hot": ("OneHotCategorical", np.ones((N, D)), "add up to 1 ... sum of x[0]=6"),
    "no simplex": ("Dirichlet", np.full((N, D), 0.5), "add up to 1 ... the sum of x[0]=3"),
    "in a dictionary": ("Bernoulli", {"x": spoiled(BINARY, 3, 2, NAN)}, "x[3, 2]=nan"),
    "sparse": ("Poisson", scipy.sparse.csr_matrix(-COUNTS), "integers >= 0"),
    "sparse nan": ("Poisson", scipy.sparse.csr_matrix(spoiled(COUNTS, 0, 3, NAN)), "x[0, 3]=nan"),
    "sparse coo": ("Poisson", scipy.sparse.coo_matrix(COUNTS + 0.5), "integers >= 0"),
    "sparse zeros": ("Gamma", scipy.sparse.csr_matrix(COUNTS), "> 0"),
    "tensor": ("Bernoulli", tf.constant(spoiled(BINARY, 3, 2, NAN)), "x[3, 2]=nan"),
    "list": ("Bernoulli", spoiled(BINARY, 3, 2, NAN).tolist(), "x[3, 2]=nan"),
    "weights": (
        "Bernoulli",
        {"x": BINARY, "sample_weight": spoiled(np.ones(N), 7, NAN)},
        "sample_weight[7]=nan",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ARRAYS)
def test_values_of_arrays_are_held_against_the_likelihood(models, case):
    family, data, expected = ARRAYS[case]
    refuses(models(family), lambda m, x: m.fit(x, verbose=0), data, expected)


def table(x):
    ragged = tf.ragged.constant([[1.0], [1.0, 0.0]])
    return {
        "object": (x.astype(object), "dtype object. Fix: "),
        "dates": (x.astype("datetime64[s]"), "dtype datetime64"),
        "complex": (x.astype("complex64"), "complex64"),
        "records": (np.zeros(4, [("a", "f4"), ("b", "f4")]), "`x` must be an array of real num"),
        "masked": (np.ma.masked_equal(x, 0), "no masked cells ... filled"),
        "ragged list": ([[1.0, 2.0], [3.0]], "x[1] has 1 entries, x[0] has 2"),
        "ragged": (ragged, "type RaggedTensor. Fix: x.to_tensor()"),
        "sparse tensor": (tf.sparse.from_dense(x), "SparseTensor. Fix: tf.sparse.to_dense(x)"),
        "ragged dataset": (tf.data.Dataset.from_tensors(ragged), "a dataset of RaggedTensor ... t"),
        "strings": (tf.data.Dataset.from_tensors(x.astype(str)), "dtype string"),
        "a tuple": ((x, x[:, 0]), "a tuple of 2. Fix: pass x alone"),
        "a name": ("data.npy", "not the name of a file"),
        "a number": (3, "of type int"),
        "a function": (len, "of type builtin_function_or_method"),
        "a set": ({1.0}, "of type set"),
        "an iterator": (iter(tf.data.Dataset.from_tensors(x)), "of type OwnedIterator"),
        "an empty dataset": (tf.data.Dataset.from_tensors(x).skip(1), "empty data"),
        "three axes": (x[:, None, :], "Fix: x.reshape((-1, 6))"),
        "labels for data": (np.arange(N), "x of shape (24,)"),
        "unbatched": (tf.data.Dataset.from_tensor_slices(x), "dataset.batch(128)"),
    }  # fmt: skip


@pytest.mark.parametrize("case", table(BINARY))
def test_what_is_no_array_of_numbers_is_refused(models, case):
    data, expected = table(BINARY)[case]
    refuses(models("Bernoulli"), lambda m, x: m.fit(x, verbose=0), data, expected)


def test_images_with_channels_first_are_named(models):
    model = models("Normal", (8, 8, 3))
    data = np.zeros((4, 3, 8, 8), "float32")
    refuses(model, lambda m, x: m.fit(x, verbose=0), data, "(4, 3, 8, 8). Fix: move the channels t")
    flat = np.zeros((4, 192), "float32")
    refuses(model, lambda m, x: m.fit(x, verbose=0), flat, "Fix: x.reshape((-1, 8, 8, 3))")


CALLS = {
    "validation_data": lambda m, x: m.fit(BINARY, validation_data=x, verbose=0),
    "a validation dataset": lambda m, x: m.fit(
        BINARY, validation_data=tf.data.Dataset.from_tensors(x), verbose=0
    ),
    "evaluate": lambda m, x: m.evaluate(x, verbose=0),
    "predict": lambda m, x: m.predict(x, verbose=0),
    "predict_on_batch": lambda m, x: m.predict_on_batch(x),
    "train_on_batch": lambda m, x: m.train_on_batch(x),
    "test_on_batch": lambda m, x: m.test_on_batch(x),
    "encode": lambda m, x: m.encode(x),
    "reconstruct": lambda m, x: m.reconstruct(x),
    "embed": lambda m, x: m.embed(x),
    "elbo": evaluation.elbo,
    "log_evidence": lambda m, x: evaluation.log_evidence(m, x, 10),
}


@pytest.mark.parametrize("call", CALLS)
def test_nan_is_refused_wherever_data_go_in(models, call):
    """Validation data are looked at before the first epoch."""
    refuses(models("Bernoulli"), CALLS[call], spoiled(BINARY, 3, 2, NAN), "x[3, 2]=nan")


# ---- streams: batches before the bad one are trained on, it and those after are not -------------


class Rows(keras.utils.PyDataset):
    """Batches as a `PyDataset`."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, i):
        return self.batches[i]


BAD = np.split(spoiled(BINARY, 13, 2, NAN), 4)  # in the third batch of four, its row 1


def of_batches(batches):
    return tf.data.Dataset.from_tensor_slices(np.stack(batches))


STREAMS = {
    "dataset": lambda: of_batches(BAD),
    "dataset of dictionaries": lambda: of_batches(BAD).map(lambda x: {"x": x}),
    "dataset of weighted rows": lambda: of_batches(BAD).map(
        lambda x: {"x": x, "sample_weight": tf.ones(6)}
    ),
    "generator": lambda: (b for b in BAD),
    "PyDataset": lambda: Rows(BAD),
}


@pytest.mark.parametrize("stream", STREAMS)
def test_a_bad_batch_of_a_stream_is_named(stream):
    model = small()
    model.compile(keras.optimizers.SGD(0.1))
    model.build((None, D))
    model.optimizer.build(model.trainable_variables)
    data = STREAMS[stream]()
    with pytest.raises(tfvae.DataError, match=r"x\[1, 2\]=nan, 1 of 36 values in batch 2\. Fix"):
        model.fit(data, shuffle=False, verbose=0)
    assert int(model.batches_seen) <= 2
    assert int(model.updates_skipped) == 0
    assert all(np.isfinite(v.numpy()).all() for v in model.weights)


def test_batches_are_numbered_from_where_the_dataset_begins():
    """Whatever blocks and epochs they come in."""
    model, bad = small(), np.concatenate([BINARY, spoiled(BINARY, 1, 2, NAN)])
    model.compile(keras.optimizers.SGD(0.1), steps_per_execution=2)
    every = of_batches(np.split(bad, len(bad) // len(BINARY) * 4))
    wrong = r"x\[1, 2\]=nan, 1 of 36 values in batch 4\. Fix"
    with pytest.raises(tfvae.DataError, match=wrong):
        model.fit(every, epochs=4, steps_per_epoch=3, verbose=0)
    with pytest.raises(tfvae.DataError, match=wrong):  # and from the start again
        model.fit(every, verbose=0)


def test_batches_that_follow_a_resumed_run_keep_their_numbers():
    seen = []
    stream = Stream(None, None, lambda batch, number: seen.append(number))
    stream.seek(None, 1, 7)
    batches = iter([tf.zeros([2, D])] * 3)
    list(stream.blocks(2, batches))
    list(stream.blocks(2, batches))
    list(stream.blocks(2, iter([tf.zeros([2, D])])))
    assert seen == [7, 8, 9, 0]


@pytest.mark.parametrize("part", ["x", "mask"])
def test_shapes_that_a_dataset_does_not_know_are_looked_at(part):
    """They come out in the third batch."""
    wide = np.ones((9, D + 1), "float32")

    def batches():
        for number in range(4):
            parts = {"x": BINARY[:9], "mask": np.ones((9, D), "float32")}
            yield parts | ({part: wide} if number == 2 else {})

    unknown = tf.TensorSpec(None, tf.float32)
    data = tf.data.Dataset.from_generator(batches, output_signature={"x": unknown, "mask": unknown})
    model = tfvae.recipes.vae((D,), latent_size=2, units=(4,), seed=0)
    model.compile(keras.optimizers.SGD(0.1))
    model.build({"x": (None, D), "mask": (None, D)})
    with pytest.raises(tfvae.DataError, match=rf"`{part}` must have .*\(9, {D + 1}\)"):
        model.fit(data, verbose=0)
    assert int(model.batches_seen) <= 2


def test_a_model_that_is_built_by_its_first_batch_looks_at_it():
    """As one is whose data Keras alone knows how to read, such as a `DataLoader` of torch."""
    model = small()
    look = model._looks_at_batches()
    look(tf.constant(BINARY), 0)
    assert model.built
    with pytest.raises(tfvae.DataError, match=r"in \[0, 1\].* in batch 1 "):
        look(tf.constant(255 * BINARY), 1)


def test_keras_own_loop_looks_at_batches_too():
    model = small()
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    with pytest.raises(tfvae.DataError, match=r"x\[1, 2\]=nan, 1 of 36 values in batch 2\. Fix"):
        model.fit(of_batches(BAD), verbose=0)


def test_streams_are_looked_at_to_the_end(models, monkeypatch):
    """Mutant: the first batch alone is looked at."""
    monkeypatch.setattr(
        "tfvae.models.unsupervised_model.check_batch",
        lambda batch, support, number: check_batch(batch, support, number) if number == 0 else None,
    )
    model = models("Bernoulli")
    assert not np.isfinite(model.evaluate(of_batches(BAD), verbose=0)).all()


SUPPORTS = {
    "reals": Support(),
    "[0, 1]": Support(0.0, 1.0),
    "(0, 1)": Support(0.0, 1.0, is_open=True),
    "(-1, 0)": Support(-1.0, 0.0, is_open=True),
    "counts": Support(low=0.0, is_integer=True),
    "codes": Support(0.0, 3.0, is_integer=True),
    "by column": Support(
        np.array([0.0, -np.inf]), np.array([3.0, np.inf]), np.array([False, True]), [True, False]
    ),
    "sum": Support(0.0, 1.0, total=1.0),
}
EDGES = [NAN, np.inf, -np.inf, -2e15, -1e15, -1.0, -0.5, -1e-40, -0.0, 0.0, 1e-40, 1e-30, 0.3, 1.0]
EDGES += [1.0000001, 2.5, 3.0, 4.0, 200.0, 6e4, 1e15, 2e15]


INSIDE = {"(0, 1)": [0.3, 0.3], "(-1, 0)": [-0.5, -0.5], "sum": [1.0, 0.0]}  # else zeros


def spread(value, column, dtype, support):
    """Legal rows of the support, [37, 2], with another value in row 21."""
    with np.errstate(invalid="ignore", over="ignore"):
        batch = np.tile(INSIDE.get(support, [0.0, 0.0]), (37, 1)).astype(dtype)
        batch[21, column] = np.asarray(value).astype(dtype)
    return batch


@pytest.mark.parametrize("mask", ["none", "seen", "unseen", "in another row"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("support", SUPPORTS)
def test_the_quick_look_passes_what_the_closer_look_passes(support, dtype, mask):
    """What a mask hides is no fault, and needs the closer look only where it is not NaN."""
    name, support, verdicts = support, SUPPORTS[support], set()
    seen = None if mask == "none" else np.ones((37, 2), bool)
    for value, column in itertools.product(EDGES, (0, 1)):
        if mask in ("unseen", "in another row"):
            seen[:] = True
            seen[21 if mask == "unseen" else 20, column] = False
        batch = spread(value, column, dtype, name)
        if mask == "in another row" and batch.dtype.kind == "f" and support.total is None:
            batch[20, column] = NAN
        faults = [bad for _, bad in _faults(batch, support)]
        is_fine = not any(
            (bad if seen is None or bad.ndim == 1 else bad & seen).any() for bad in faults
        )
        may_differ = mask == "unseen" and is_fine and not np.isnan(batch[21, column])
        assert _is_fine(batch, support, seen) == is_fine or may_differ
        verdicts.add(is_fine)
    if dtype in ("float32", "float64"):
        assert verdicts == ({True, False} if mask != "unseen" or support.total else {True})


def test_bfloat16_is_looked_at():
    check_values(tf.cast(BINARY, tf.bfloat16), SUPPORTS["[0, 1]"])
    with pytest.raises(tfvae.DataError, match=r"x\[1, 2\]=nan"):
        check_values(tf.cast(spoiled(BINARY, 1, 2, NAN), tf.bfloat16), SUPPORTS["[0, 1]"])


def test_a_stream_out_of_range_is_named_too(models):
    pixels = of_batches(np.split((255 * BINARY).astype("uint8"), 4))
    refuses(models("Bernoulli"), lambda m, x: m.evaluate(x, verbose=0), pixels, "in [0, 1] ... x /")
    halves = of_batches(np.split(COUNTS + 0.5, 4))
    refuses(models("Poisson"), lambda m, x: m.predict(x, verbose=0), halves, "integers ... batch 0")


def test_a_source_that_fails_is_named():
    def source():
        yield BINARY[:6]
        raise OSError("sector 7 of the disk")

    data = tf.data.Dataset.from_generator(
        source, output_signature=tf.TensorSpec((None, D), tf.float32)
    )
    model = small()
    model.compile("sgd")
    with pytest.raises(tfvae.DataError, match="must be readable .*sector 7 of the disk"):
        model.fit(data, verbose=0)
    assert all(np.isfinite(v.numpy()).all() for v in model.weights)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_a_stream_without_batches_is_refused():
    model = small()
    model.compile("sgd")
    model.build((None, D))
    data = of_batches(np.split(BINARY, 4)).filter(lambda x: False)
    with pytest.raises(ValueError, match="`x` must have at least one batch"):
        model.fit(data, verbose=0)


FORMS = {
    "lists": lambda b: b.tolist(),
    "sparse matrices": scipy.sparse.csr_matrix,
    "weighted rows": lambda b: (b, None, np.ones(len(b), "float32")),
    "dictionaries": lambda b: {"x": b},
}


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["generator", "PyDataset"])
def test_batches_of_streams_may_be_what_arrays_may_be(models, form, kind):
    batches = [FORMS[form](b) for b in np.split(BINARY, 4)]
    data, model = (
        (b for b in batches) if kind == "generator" else Rows(batches),
        models("Bernoulli"),
    )
    expected = model.evaluate(of_batches(np.split(BINARY, 4)), verbose=0)
    np.testing.assert_allclose(model.evaluate(data, verbose=0), expected, rtol=1e-6)


def test_weights_of_a_dataset_come_without_labels(models):
    data = of_batches(np.split(BINARY, 4)).map(lambda x: (x, None, tf.ones(6)))
    models("Bernoulli").evaluate(data, verbose=0)


BATCHES = {
    "no rows": (lambda: BINARY[:0], "at least one row in every batch. Received: batch 1 of shape"),
    "another width": (lambda: BINARY[:, :5], "x of shape (24, 5)"),
    "words": (lambda: [["a"] * D], "could not convert"),
    "nothing": (lambda: None, "in every batch"),
}


@pytest.mark.parametrize("case", BATCHES)
@pytest.mark.parametrize("kind", ["generator", "PyDataset"])
def test_later_batches_of_streams_are_looked_at(models, case, kind):
    batches, expected = [BINARY, BATCHES[case][0]()], BATCHES[case][1]
    data = (b for b in batches) if kind == "generator" else Rows(batches)
    refuses(models("Bernoulli"), lambda m, x: m.evaluate(x, verbose=0), data, expected)


def test_an_empty_batch_of_a_dataset_is_refused(models):
    data = tf.data.Dataset.from_tensors(BINARY[:0])
    expected = "at least one row in every batch. Received: batch 0"
    refuses(models("Bernoulli"), lambda m, x: m.evaluate(x, verbose=0), data, expected)


def test_a_dataset_of_unknown_shapes_says_its_sentence_alone(models):
    """Keras puts lines of its own around what a layer says."""
    data = tf.data.Dataset.from_generator(lambda: iter([BINARY[:, :5]]), output_types=tf.float32)
    expected = "[B, 6], the decoder's event_shape. Received: x of shape"
    refuses(models("Bernoulli"), lambda m, x: m.evaluate(x, verbose=0), data, expected)


ON_BATCH = {
    "a list": (BINARY.tolist(), None),
    "a sparse matrix": (scipy.sparse.csr_matrix(BINARY), None),
    "no rows": (BINARY[:0], "at least one row"),
    "another width": (BINARY[:, :5], "x of shape (24, 5)"),
    "a dataset": (of_batches([BINARY]), "of one batch"),
}


@pytest.mark.parametrize("case", ON_BATCH)
def test_single_batches_are_arrays_too(models, case):
    data, expected = ON_BATCH[case]
    model = models("Bernoulli")
    for call in (model.test_on_batch, model.predict_on_batch):
        if expected is None:
            np.testing.assert_allclose(call(data), call(BINARY), rtol=1e-6)
        else:
            refuses(model, lambda _, x, call=call: call(x), data, expected)


ARGUMENTS = {
    "no callback": ({"callbacks": [None]}, "Keras callbacks. Received: callbacks[0]=None"),
    "a class": ({"callbacks": [keras.callbacks.EarlyStopping]}, "Fix: `EarlyStopping(...)`"),
    "a name": ({"callbacks": "csv"}, "callbacks[0]='csv'"),
    "epochs below 0": ({"initial_epoch": -1}, "initial_epoch=-1"),
    "no validation ever": ({"validation_freq": 0}, "validation_freq=0"),
    "a long tuple": ({"validation_data": (BINARY,) * 4}, "a tuple of 4"),
    "classes": ({"class_weight": {0: 1.0}}, "no classes"),
    "weights of zero": ({"sample_weight": np.zeros(N)}, "zeros alone"),
    "no rates": ({"x": {"x": BINARY, "condition": np.ones((N, 0))}}, "condition of shape (24, 0)"),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_odd_arguments_of_fit_are_refused(models, case):
    arguments, expected = ARGUMENTS[case]
    arguments = {"x": BINARY, "verbose": 0} | arguments
    model = models("Bernoulli")
    before = snapshot(model)
    with pytest.raises((TypeError, ValueError)) as error:
        model.fit(**arguments)
    assert expected in str(error.value)
    assert snapshot(model) == before


def test_endless_data_are_not_predicted(models):
    data = of_batches(np.split(BINARY, 4)).repeat()
    refuses(models("Bernoulli"), lambda m, x: m.predict(x, verbose=0), data, "an infinite dataset")


# ---- what is accepted ---------------------------------------------------------------------------


def losses(data, **arguments):
    model = small("Poisson")
    model.compile(keras.optimizers.SGD(0.01))
    return model.fit(data, batch_size=5, epochs=2, verbose=0, **arguments).history["loss"]


def test_sparse_counts_train_as_dense_ones(models):
    """The same bits, in the order of the seed, with validation; nothing is written to."""
    sparse = scipy.sparse.csr_matrix(COUNTS)
    sparse.data.flags.writeable = False
    dense = losses(COUNTS, validation_split=0.25)
    assert losses(sparse, validation_split=0.25) == dense
    model = models("Poisson")
    np.testing.assert_allclose(
        model.predict(sparse, verbose=0), model.predict(COUNTS, verbose=0), rtol=1e-6
    )
    evaluated = model.evaluate(COUNTS, verbose=0)
    assert model.evaluate({"x": sparse.tocoo()}, verbose=0) == evaluated


def test_strange_but_sound_arrays_are_the_same_numbers(models, tmp_path):
    """Byte order, memory order, views, read-only files: accepted, and left alone."""
    np.save(tmp_path / "x.npy", COUNTS)
    model = models("Poisson")
    expected = model.evaluate(COUNTS, verbose=0)
    for x in (
        COUNTS.astype(">f4"),
        COUNTS.astype(np.longdouble),
        np.asfortranarray(COUNTS),
        np.repeat(COUNTS, 2, axis=1)[:, ::2],
        np.load(tmp_path / "x.npy", mmap_mode="r"),
        COUNTS.astype("uint16"),
    ):
        assert model.evaluate(x, verbose=0) == expected
        np.testing.assert_array_equal(model.encode(x).mean(), model.encode(COUNTS).mean())
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), COUNTS)


def test_a_generator_is_not_read_twice(models):
    """Keras would repeat its first two batches."""
    batches, model = np.split(BINARY, 4), models("Bernoulli")
    for name, call in {
        "x": lambda m, g: m.fit(g, epochs=3, verbose=0),
        "validation_data": lambda m, g: m.fit(BINARY, epochs=3, validation_data=g, verbose=0),
    }.items():
        expected = f"`{name}` must ... a generator, which ends after one pass, for 3 epochs"
        refuses(model, call, (b for b in batches), expected)


def test_data_frames_of_numbers_are_arrays(models):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(COUNTS.astype("int64"), columns=list("abcdef"))
    assert losses(frame) == losses(COUNTS)
    model = models("Poisson")
    for name, value in {"words": "word", "days": pandas.Timestamp(0), "kinds": "k"}.items():
        other = frame.assign(d=value)
        other = other.astype({"d": "category"}) if name == "kinds" else other
        with pytest.raises(tfvae.DataError, match=r"column 'd' of dtype"):
            model.fit(other, verbose=0)
    missing = frame.astype("Int64")
    missing.iloc[2, 1] = pandas.NA
    with pytest.raises(tfvae.DataError, match=r"x\[2, 1\]=nan"):
        model.fit(missing, verbose=0)


def test_the_check_can_be_switched_off():
    model = small("Normal")
    model.compile("sgd")
    model.check_data = False
    model.fit(spoiled(REALS, 0, 0, NAN), batch_size=8, shuffle=False, verbose=0)
    assert int(model.updates_skipped) == 1


# ---- the scan, cell by cell ---------------------------------------------------------------------


def test_masked_cells_may_be_anything():
    mask = np.ones_like(REALS)
    mask[3, 2] = 0
    x = spoiled(REALS, 3, 2, NAN)
    check_values({"x": x, "mask": mask}, Support())
    with pytest.raises(tfvae.DataError, match=r"x\[3, 2\]=nan"):
        check_values({"x": x, "mask": np.ones_like(mask)}, Support())
    with pytest.raises(tfvae.DataError, match=r"`mask` must be 1 where .*mask\[3, 2\]=0.5"):
        check_values({"x": x, "mask": spoiled(mask, 3, 2, 0.5)}, Support())
    with pytest.raises(tfvae.DataError, match=r"`exposure` must be positive.*exposure\[1\]=0"):
        check_values({"x": REALS, "exposure": np.array([1.0, 0.0])}, Support())


def test_columns_may_have_supports_of_their_own():
    columns = Support(low=np.array([-np.inf, 0, 0]), is_integer=np.array([False, True, False]))
    x = np.array([[-1.5, 3.0, 0.5], [0.0, 2.0, 1.0]])
    check_values(x, columns)
    with pytest.raises(tfvae.DataError, match=r"integers >= 0 in column 1.*x\[1, 1\]=2.5"):
        check_values(spoiled(x, 1, 1, 2.5, dtype="float64"), columns)
    with pytest.raises(tfvae.DataError, match=r">= 0 in column 2.*x\[0, 2\]=-0.5"):
        check_values(spoiled(x, 0, 2, -0.5, dtype="float64"), columns)


def test_a_distribution_may_declare_its_support():
    class Levels(tfvae.families.tfd.Normal):
        support = Support(0.0, 255.0, is_integer=True)

    found = tfvae.distributions.support.support_of(
        tfvae.families.tfd.Independent(Levels([0.0], 1.0), 1)
    )
    assert found.describe() == "integers in [0, 255]"


def test_rows_beyond_the_first_chunk_are_scanned(monkeypatch):
    monkeypatch.setattr("tfvae.models.value_checks.CHUNK", 4 * D)
    with pytest.raises(tfvae.DataError, match=r"x\[22, 1\]=nan, the first of 2 in 144"):
        check_values(spoiled(REALS, [22, 23], 1, NAN), Support())


# ---- suspicious but legal -----------------------------------------------------------------------

NOTES = {
    "grey": ("Bernoulli", 0.5 * BINARY, {}, "between 0 and 1 ... ContinuousBernoulli"),
    "constant": ("Normal", spoiled(REALS, slice(None), 2, 1.0), {}, "never change (2)"),
    "identical": ("Normal", np.repeat(REALS[:1], 8, 0), {}, "all of 8 rows of x are identical"),
    "same object": ("Normal", REALS, {"validation_data": REALS}, "are the training data"),
    "equal": ("Normal", REALS, {"validation_data": REALS.copy()}, "are the training data"),
    "fixed scale": ("Poisson", spoiled(COUNTS, slice(None), 2, 1.0), {}, ""),
    "nothing odd": ("Normal", REALS, {"validation_data": REALS[::-1].copy()}, ""),
}


@pytest.mark.parametrize("case", NOTES)
def test_odd_data_are_named_once(case, caplog):
    family, x, arguments, expected = NOTES[case]
    model = small(family)
    model.compile(keras.optimizers.SGD(1e-3), run_eagerly=True)
    with caplog.at_level(logging.WARNING, "tfvae"):
        for _ in range(2):
            model.fit(x, batch_size=24, verbose=0, **arguments)
    assert len(caplog.records) == (1 if expected else 0), caplog.text
    for part in expected.split(" ... "):
        assert part in caplog.text


def test_more_latents_than_data_are_named(caplog):
    model = small("Normal", latent=9)
    model.compile(keras.optimizers.SGD(1e-3), run_eagerly=True)
    model.fit(REALS, verbose=0)
    assert "the latents have 9 numbers, an example has 6" in caplog.text


def test_tied_layers_and_masks_of_nothing_are_named(caplog):
    layer = keras.layers.Dense(2)
    model = tfvae.VAE(
        tfvae.Conditional(keras.Sequential([layer]), tfvae.Head("Normal", (2,))),
        tfvae.Conditional(keras.Sequential([layer]), tfvae.Head("Bernoulli", (2,))),
    )
    model.compile(keras.optimizers.SGD(1e-3), run_eagerly=True)
    model.fit(BINARY[:, :2], verbose=0)
    assert f"share the layer '{layer.name}'" in caplog.text
    model = small()
    model.compile(keras.optimizers.SGD(1e-3), run_eagerly=True)
    model.fit({"x": BINARY, "mask": np.zeros_like(BINARY)}, verbose=0)
    assert "mask has no 1" in caplog.text
    assert caplog.text.count("share") == 1


def test_no_epoch_is_said(models, caplog):
    history = models("Bernoulli").fit(BINARY, epochs=0, verbose=0)
    assert history.epoch == []
    assert "nothing was trained" in caplog.text
