"""The command line: what it writes and prints, and how it ends."""

import contextlib
import io
import json
import os
import pathlib
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import threading
import urllib.request
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

import tfvae
import tfvae_cli
from tfvae.cli.terminal import Progress
from tfvae.export.web_server import Server

SMALL = ["--epochs", "2", "--set", "units=[16]", "--latent-size", "4", "--num-samples", "20"]


class Result(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


def run_here(*arguments):
    """Runs a command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = tfvae_cli.main([str(a) for a in arguments])
    return Result(code, out.getvalue(), err.getvalue())


def run_python(*arguments, **options):
    """Runs a fresh Python that finds the package; stderr is whatever a user would see."""
    env = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    env["PYTHONPATH"] = str(pathlib.Path(tfvae_cli.__file__).parent)
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": env} | options
    return subprocess.run(
        [sys.executable, *map(str, arguments)], text=True, timeout=120, check=False, **options
    )


def files_of(directory):
    return {p.relative_to(directory): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small run on the digits, and what training it printed."""
    directory = tmp_path_factory.mktemp("runs") / "digits"
    result = run_here("train", "vae", "--data", "digits", "--out", directory, "--seed", "3", *SMALL)
    assert result.code == 0, result.err
    return directory, result


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Small data in files: rows without labels, rows with, conditions, other ranges and shapes."""
    folder = tmp_path_factory.mktemp("files")
    rows = (np.random.default_rng(0).random((60, 4)) < 0.4).astype("float32")
    labels = np.array([5, 7, 9])[np.arange(60) % 3]
    np.save(folder / "rows.npy", rows)
    np.save(folder / "wide.npy", np.concatenate([rows, rows], axis=1))
    np.save(folder / "reals.npy", 3 * rows - 1)
    np.save(folder / "grey.npy", 0.5 * rows)
    np.savez(folder / "labelled.npz", x=rows, labels=labels)
    np.savez(folder / "relabelled.npz", x=rows, labels=labels + 1)
    np.savez(folder / "conditions.npz", x=rows, condition=np.stack([labels, -labels], 1) / 9)
    np.savez(folder / "one_condition.npz", x=rows, condition=labels[:, None] / 9)
    return folder


@pytest.fixture(scope="module")
def conditional(files, tmp_path_factory):
    """A run of a conditional recipe on labelled rows, made with --json and no seed."""
    directory = tmp_path_factory.mktemp("runs") / "conditional"
    arguments = ["conditional_vae", "--data", files / "labelled.npz", "--out", directory]
    result = run_here("train", *arguments, *SMALL, "--json")
    assert result.code == 0, result.err
    return directory, result


# ---- start ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"], []])
def test_help_and_version_need_no_tensorflow(arguments):
    code = (
        "import sys, tfvae_cli\n"
        f"code = tfvae_cli.main({arguments})\n"
        "loaded = {'tfvae', 'tensorflow', 'keras', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'loaded {loaded}' if loaded else code)"
    )
    result = run_python("-c", code)
    assert (result.returncode, result.stderr) == (0, "")
    expected = f"tfvae {tfvae.__version__}\n" if arguments == ["--version"] else "Usage: tfvae"
    assert expected in result.stdout


def test_without_typer_it_says_what_to_install():
    result = run_python("-c", "import sys; sys.modules['typer'] = None; import tfvae_cli")
    assert result.returncode == 1
    assert result.stderr == (
        "error: `tfvae` must have typer and rich. Fix: pip install 'tfvae[cli]'.\n"
    )


def test_a_broken_installation_is_an_error_without_traceback():
    result = run_python(
        "-c",
        "import sys; sys.modules['tensorflow'] = None\n"
        "import tfvae_cli; sys.exit(tfvae_cli.main(['inspect', 'run']))",
    )
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert "tensorflow" in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_package_runs_as_a_module(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tfvae", "--version"])
    with pytest.raises(SystemExit) as exit:
        runpy.run_module("tfvae", run_name="__main__")
    assert exit.value.code == 0
    assert capsys.readouterr().out == f"tfvae {tfvae.__version__}\n"


# ---- train ---------------------------------------------------------------------------------------


def test_a_run_directory_holds_what_made_it_and_what_came_of_it(trained):
    directory, _ = trained
    names = ["config", "history", "metrics", "versions"]
    config, history, metrics, versions = (
        json.loads((directory / f"{name}.json").read_text()) for name in names
    )
    pictures = ["reconstructions.png", "samples.png", "training.png"]
    expected = [*(f"{n}.json" for n in names), "model.keras", *pictures]
    assert sorted(p.name for p in directory.iterdir()) == sorted(expected)
    for name in pictures:
        assert (directory / name).read_bytes().startswith(b"\x89PNG")
    data = tfvae.data.digits()
    assert config["recipe"] == "vae"
    assert config["arguments"] == {"latent_size": 4, "units": [16]}
    assert (config["seed"], config["format"]) == (3, 1)
    assert config["training"] == {
        "epochs": 2, "batch_size": 128, "learning_rate": 1e-3, "jit": None
    }  # fmt: skip
    assert config["data"] == {
        "spec": "digits",
        "name": "digits",
        "fingerprint": data.fingerprint,
        "event_shape": [8, 8, 1],
        "num_examples": {"train": 1297, "valid": 200, "test": 300},
    }
    assert {k: len(v) for k, v in history.items()} == {
        f"{prefix}{name}": 2
        for prefix in ("", "val_")
        for name in ("loss", "elbo", "log_likelihood", "kl")
    }
    assert metrics["num_examples"] == 300
    assert versions["tensorflow"] == tf.__version__


def test_metrics_are_those_of_the_library(trained):
    """On the test part, in nats per example, from the saved model."""
    directory, _ = trained
    metrics = json.loads((directory / "metrics.json").read_text())
    model, x = keras.saving.load_model(directory / "model.keras"), tfvae.data.digits().x_test
    expected = model.evaluate(x, batch_size=256, verbose=0, return_dict=True)
    evidence = tfvae.evaluation.log_evidence(model, x, 20)
    for name in ("elbo", "log_likelihood", "kl"):
        assert metrics[name] == expected[name]
    np.testing.assert_allclose(metrics["log_evidence"], np.mean(evidence.log_evidence), rtol=1e-6)
    np.testing.assert_allclose(
        metrics["log_evidence_standard_error"],
        np.sqrt(np.mean(np.square(evidence.standard_error)) / len(x)),
        rtol=1e-5,
    )


def test_training_prints_its_metrics_to_stdout_and_all_else_to_stderr(trained):
    directory, result = trained
    metrics = json.loads((directory / "metrics.json").read_text())
    for name in ("elbo", "log_likelihood", "kl", "log_evidence"):
        assert f"{metrics[name]:.3f}" in result.out
    assert "epoch" not in result.out
    lines = [line for line in result.err.splitlines() if line.startswith("epoch")]
    history = json.loads((directory / "history.json").read_text())
    assert len(lines) == 2
    for epoch, line in enumerate(lines):
        assert line.startswith(f"epoch {epoch + 1}/2  elbo {history['elbo'][epoch]:.2f}  kl ")
    assert "seed 3" in result.err


def test_a_fresh_process_repeats_a_run(trained, tmp_path):
    """With the command that `inspect` prints; only the directory is another."""
    directory, _ = trained
    inspected = json.loads(run_here("inspect", directory, "--json").out)
    repeat = shlex.split(inspected["repeat"])
    assert repeat[0] == "tfvae"
    repeat[repeat.index("DIR")] = "again"
    result = run_python("-m", "tfvae_cli", *repeat[1:], cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for name in ("config.json", "history.json", "metrics.json", "samples.png"):
        assert (tmp_path / "again" / name).read_bytes() == (directory / name).read_bytes(), name
    starts = {line.split()[0] for line in result.stderr.splitlines()}
    assert starts == {"vae", "epoch", "note:", "trained"}  # and no word of TensorFlow's libraries


def test_a_drawn_seed_is_printed_and_kept(conditional):
    directory, result = conditional
    seed = json.loads((directory / "config.json").read_text())["seed"]
    assert json.loads(result.out)["seed"] == seed
    assert f"--seed {seed} " in json.loads(run_here("inspect", directory, "--json").out)["repeat"]


def test_json_is_one_object_and_stderr_is_silent(conditional):
    directory, result = conditional
    content = json.loads(result.out)
    assert content["metrics"] == json.loads((directory / "metrics.json").read_text())
    assert content["run"] == str(directory)
    assert result.err == ""


def test_grey_data_of_a_bernoulli_are_noted(files, tmp_path):
    result = run_here(
        "train", "vae", "--data", files / "grey.npy", "--out", tmp_path / "run", *SMALL
    )
    assert result.code == 0
    assert "note: x has values between 0 and 1" in result.err
    assert not (tmp_path / "run" / "samples.png").exists()  # rows of four numbers are no images


def test_training_that_leaves_the_finite_numbers_ends_with_5(files, tmp_path):
    arguments = ["--data", files / "reals.npy", "--out", tmp_path / "run", "--json"]
    arguments += ["--likelihood", "Normal", "--learning-rate", "1e30"]
    result = run_here("train", "vae", *arguments, *SMALL)
    error = json.loads(result.err.splitlines()[-1])["error"]
    assert (result.code, error["type"], error["exit_code"]) == (5, "NumericalError", 5)
    assert "epoch 2, without a single update" in error["message"]
    assert not (tmp_path / "run" / "model.keras").exists()


# ---- what is refused -----------------------------------------------------------------------------

REFUSED = {
    "an unknown command": (["trian"], 2, "Did you mean 'train'"),
    "an unknown option": (["--epoch", "2"], 2, "--epochs"),
    "an unknown recipe": (["vea"], 2, "Did you mean 'vae'"),
    "no epoch": (["--epochs", "0"], 2, "'--epochs': it must be an integer of at least 1"),
    "half an epoch": (["--epochs", "1.5"], 2, "Received: 1.5"),
    "no example in a batch": (["--batch-size", "0"], 2, "--batch-size"),
    "a negative step": (["--learning-rate", "-1"], 2, "positive, finite number. Received: -1"),
    "a step that is no number": (["--learning-rate", "nan"], 2, "Received: nan"),
    "a negative seed": (["--seed", "-1"], 2, "--seed"),
    "too large a seed": (["--seed", str(2**32)], 2, "--seed"),
    "an unknown argument": (["--set", "unit=[3]"], 2, "Did you mean 'units'"),
    "the seed as an argument": (["--set", "seed=3"], 2, "for an argument of vae"),
    "an argument that is no JSON": (["--set", "units=[3"], 2, "--set 'units=[3'"),
    "an argument without a name": (["--set", "=3"], 2, "no name="),
    "a constant that JSON lacks": (["--set", "scale=NaN"], 2, "JSON has no NaN"),
    "an argument given twice": (
        ["--latent-size", "3", "--set", "latent_size=2"], 2, "must be given once"
    ),
    "an argument of the wrong type": (["--set", "units=3"], 2, "`units`"),
    "an argument that must be given": (["beta_tcvae"], 2, "`num_examples` must be given to beta_t"),
    "an unknown likelihood": (["--likelihood", "Bernouli"], 2, "Did you mean 'Bernoulli'"),
    "an absent file": (["--data", "absent.npy"], 3, "absent.npy"),
    "an unknown form of data": (["--data", "digit"], 3, "Did you mean 'digits'"),
    "data outside [0, 1]": (["--data", "reals.npy"], 3, "x in [-1, 2]"),
    "a condition without labels": (["conditional_vae"], 3, "must have labels"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "code", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_in_a_sentence_before_a_file_is_made(
    changes, code, message, files, tmp_path, monkeypatch
):
    monkeypatch.chdir(files)
    arguments = {"command": "train", "recipe": "vae", "--data": "rows.npy"}
    arguments |= {"--out": tmp_path / "run"}
    if changes[0] == "trian":
        arguments["command"] = changes[0]
    elif not changes[0].startswith("--"):
        arguments["recipe"] = changes[0]
    elif changes[0] in arguments:
        arguments |= dict([changes])
    line = [arguments.pop("command"), arguments.pop("recipe")]
    line += [word for option in arguments.items() for word in option]
    line += changes if changes[0].startswith("--") and changes[0] not in arguments else []
    result = run_here(*line)
    assert result.code == code, result.err
    assert result.out == ""
    sentence = result.err.splitlines()[0]
    assert sentence.startswith("error: ")
    assert message in sentence
    assert "Traceback" not in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_never_overwritten(trained):
    directory, _ = trained
    before = files_of(directory)
    result = run_here("train", "vae", "--data", "digits", "--out", directory, *SMALL)
    assert result.code == 2
    assert "with config.json, history.json, metrics.json and 5 more" in result.err
    assert files_of(directory) == before


def test_a_directory_that_cannot_be_made_ends_with_4_before_training(files, tmp_path):
    (tmp_path / "file").touch()
    arguments = ["--data", files / "rows.npy", "--out", tmp_path / "file" / "run"]
    result = run_here("train", "vae", *arguments, *SMALL)
    assert result.code == 4
    assert "epoch" not in result.err


def test_errors_as_json(tmp_path):
    for arguments, kind, code in (
        (["inspect", tmp_path / "absent"], "ArtifactError", 4),
        (["train", "vae", "--data", "digits"], "UsageError", 2),
    ):
        result = run_here(*arguments, "--json")
        error = json.loads(result.err)["error"]
        assert (result.code, result.out) == (code, "")
        assert (error["type"], error["exit_code"]) == (kind, code)


def test_debug_shows_where_an_error_comes_from(tmp_path):
    with pytest.raises(tfvae.ArtifactError):
        run_here("inspect", tmp_path, "--debug")


def test_an_unforeseen_error_ends_with_1(monkeypatch, trained):
    def fail(*_, **__):
        raise RuntimeError("no\n  idea")

    monkeypatch.setattr("tfvae.cli.inspect", fail)
    result = run_here("inspect", trained[0])
    assert result.code == 1
    assert result.err == "error: RuntimeError: no idea Fix: --debug shows where it comes from.\n"


def test_an_interrupted_command_ends_with_130(monkeypatch, trained):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tfvae.cli.inspect", interrupt)
    assert run_here("inspect", trained[0]) == (130, "", "error: interrupted.\n")


def test_a_process_ends_with_the_exit_code_and_no_traceback(tmp_path):
    arguments = ["train", "vae", "--data", "digits", "--out", tmp_path / "run", "--epochs", "0"]
    result = run_python("-m", "tfvae_cli", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: Invalid value for '--epochs'")
    assert result.stderr.count("\n") == 2  # the second is the usage


@pytest.mark.parametrize("command", [["--help"], ["inspect", "DIR", "--json"]])
def test_a_closed_stdout_is_no_error(command, trained):
    """As under `| head`: the reader has gone before anything is written."""
    read, write = os.pipe()
    os.close(read)
    words = [str(trained[0]) if word == "DIR" else word for word in command]
    result = run_python("-m", "tfvae_cli", *words, stdout=write)
    os.close(write)
    assert (result.returncode, result.stderr) == (141, "")


def test_results_are_printed_in_any_encoding(conditional, tmp_path):
    directory = tmp_path / "\N{SPARKLES} run"
    shutil.copytree(conditional[0], directory)
    raw = io.BytesIO()
    with contextlib.redirect_stdout(io.TextIOWrapper(raw, encoding="ascii")):
        assert tfvae_cli.main(["evaluate", str(directory), "--num-samples", "20"]) == 0
        assert b"\\u2728 run" in raw.getvalue()


# ---- evaluate ------------------------------------------------------------------------------------


def test_evaluate_gives_the_metrics_of_training(trained):
    directory, _ = trained
    before = files_of(directory)
    result = run_here("evaluate", directory, "--num-samples", "20", "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["metrics"] == json.loads((directory / "metrics.json").read_text())
    assert files_of(directory) == before


def test_evaluate_takes_other_data_and_no_evidence(conditional, files):
    directory, _ = conditional
    result = run_here("evaluate", directory, "--num-samples", "0")
    assert result.code == 0
    assert "elbo" in result.out
    assert "log_evidence" not in result.out
    other = run_here("evaluate", directory, "--data", files / "relabelled.npz")
    assert other.code == 3
    assert "must be among those of the training data, 5, 7, 9. Received: 6, 8, 10" in other.err
    other = run_here("evaluate", directory, "--data", files / "wide.npy")
    assert other.code == 3
    assert "must have examples of shape 4. Received: wide of shape 8" in other.err
    other = run_here("evaluate", directory, "--data", files / "rows.npy")
    assert other.code == 3
    assert "must have `labels`" in other.err


def test_evaluate_notices_that_the_data_have_changed(conditional, tmp_path):
    shutil.copytree(conditional[0], tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["data"]["fingerprint"] = "0" * 64
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    result = run_here("evaluate", tmp_path / "run")
    assert result.code == 3
    assert "labelled.npz has changed since the run was made" in result.err
    taken = run_here("evaluate", tmp_path / "run", "--data", config["data"]["spec"])
    assert taken.code == 0


# ---- sample --------------------------------------------------------------------------------------


def test_samples_are_those_of_the_model(trained, tmp_path):
    directory, _ = trained
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        out = tmp_path / f"{name}.npy"
        result = run_here("sample", directory, "--out", out, "--num", "5", "--seed", seed)
        assert result.code == 0, result.err
    a, b, c = (np.load(tmp_path / f"{name}.npy") for name in "abc")
    model = keras.saving.load_model(directory / "model.keras")
    np.testing.assert_array_equal(a, model.generate(5, seed=1))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_samples_as_a_picture_and_a_drawn_seed(trained, tmp_path):
    directory, _ = trained
    result = run_here("sample", directory, "--out", tmp_path / "a.png", "--json")
    content = json.loads(result.out)
    assert content["shape"] == [100, 8, 8, 1]
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    again = ["--out", tmp_path / "b.png", "--seed", content["seed"]]
    run_here("sample", directory, *again)
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "a.png").read_bytes()


def test_samples_never_overwrite_a_file(trained, conditional, tmp_path):
    (tmp_path / "a.npy").write_bytes(b"mine")
    result = run_here("sample", trained[0], "--out", tmp_path / "a.npy")
    assert result.code == 2
    assert (tmp_path / "a.npy").read_bytes() == b"mine"
    for run, name in ((trained, "a.jpg"), (conditional, "a.png")):  # rows of four are no picture
        result = run_here("sample", run[0], "--out", tmp_path / name)
        assert result.code == 2
        assert "must end with .npy" in result.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npy"]


def test_conditional_samples_are_of_each_label_in_turn_or_of_one(conditional, tmp_path):
    directory, _ = conditional
    model = keras.saving.load_model(directory / "model.keras")
    for name, extra, labels in (
        ("turns", [], [0, 1, 2, 0]),
        ("seven", ["--condition", "7"], [1, 1, 1, 1]),
    ):
        out = tmp_path / f"{name}.npy"
        result = run_here("sample", directory, "--out", out, "--num", 4, "--seed", 1, *extra)
        assert result.code == 0, result.err
        expected = model.generate(4, condition=np.eye(3)[labels], seed=1)
        np.testing.assert_array_equal(np.load(out), expected)


@pytest.mark.parametrize(
    ("condition", "message"),
    [("6", "a label among 5, 7, 9"), ("[7]", "a label among"), ("x", "must be JSON")],
)
def test_an_unknown_label_is_refused(conditional, tmp_path, condition, message):
    arguments = ["--out", tmp_path / "a.npy", "--condition", condition]
    result = run_here("sample", conditional[0], *arguments)
    assert result.code == 2
    assert message in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_condition_of_the_data_goes_before_labels(files, tmp_path):
    directory = tmp_path / "run"
    arguments = ["conditional_vae", "--data", files / "conditions.npz", "--out", directory]
    assert run_here("train", *arguments, *SMALL).code == 0
    assert json.loads((directory / "config.json").read_text())["condition"] == {"size": 2}
    out = ["--out", tmp_path / "a.npy", "--num", "3"]
    for extra in ([], ["--condition", "[1]"], ["--condition", '["a", "b"]']):
        result = run_here("sample", directory, *out, *extra)
        assert result.code == 2
        assert "must be a list of 2 numbers" in result.err
    assert run_here("sample", directory, *out, "--condition", "[0.5, -0.5]").code == 0
    assert np.load(tmp_path / "a.npy").shape == (3, 4)
    result = run_here("evaluate", directory, "--data", files / "one_condition.npz")
    assert result.code == 3
    assert "must have 2 columns" in result.err


def test_an_unconditional_model_takes_no_condition(trained, tmp_path):
    arguments = ["--out", tmp_path / "a.npy", "--condition", "1"]
    result = run_here("sample", trained[0], *arguments)
    assert result.code == 2
    assert "must be left out" in result.err


# ---- export and inspect --------------------------------------------------------------------------


def test_export_writes_the_next_version(conditional, tmp_path):
    directory, _ = conditional
    arguments = ["export", directory, "--out", tmp_path / "served", "--json"]
    arguments += ["--serving-config", tmp_path / "serving"]
    content = json.loads(run_here(*arguments).out)
    assert content["path"] == str(tmp_path / "served" / "1")
    assert content["serving_config"] == str(tmp_path / "serving")
    assert sorted(p.name for p in (tmp_path / "serving").iterdir()) == [
        "batching.config",
        "models.config",
    ]
    served = tf.saved_model.load(str(tmp_path / "served" / "1"))
    model = keras.saving.load_model(directory / "model.keras")
    z, condition = np.ones((2, 4), "float32"), np.eye(3, dtype="float32")[:2]
    np.testing.assert_allclose(
        served.signatures["decode"](z=tf.constant(z), condition=tf.constant(condition))["mean"],
        model.decode(z, condition).mean(),
        rtol=1e-5,
    )


def test_an_unknown_format_is_refused(conditional, tmp_path):
    arguments = ["--out", tmp_path / "served", "--format", "savedmodel"]
    result = run_here("export", conditional[0], *arguments)
    assert result.code == 2
    assert "Did you mean 'saved_model'" in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--quantize", "int8"], "`--quantize` must be given with --format tflite"),
        (
            ["--format", "tflite", "--serving-config", "serving"],
            "`--serving-config` must be given with --format saved_model",
        ),
        (["--serve"], "`--serve` must be given with --format web alone. Received: --serve with"),
        (["--examples", "9", "--format", "tflite"], "`--examples` must be given with --format web"),
        (["--litertjs", "x"], "`--litertjs` must be given with --format web"),
        (["--port", "8000", "--format", "web"], "with --serve alone"),
    ],
)
def test_an_option_of_another_format_is_refused(trained, tmp_path, options, sentence):
    result = run_here("export", trained[0], "--out", tmp_path / "out", *options)
    assert result.code == 2
    assert sentence in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_export_writes_a_quantized_file_and_prints_its_parity(conditional, tmp_path):
    pytest.importorskip("ai_edge_litert")
    path = tmp_path / "model.tflite"
    arguments = ["export", conditional[0], "--out", path, "--format", "tflite"]
    result = run_here(*arguments, "--quantize", "int8", "--json")
    content = json.loads(result.out)
    assert content["path"] == str(path)
    assert content["parity"]["bytes"] == path.stat().st_size
    assert set(content["parity"]["signatures"]) == {"encode", "decode", "reconstruct"}
    result = run_here(*arguments[:3], tmp_path / "other.tflite", *arguments[4:])
    assert "max error" in result.out


def test_a_page_has_the_card_of_the_run_and_is_served_until_ctrl_c(
    conditional, tmp_path, monkeypatch
):
    given, received = {}, []

    def web(model, path, **options):
        given.update(options)
        path.mkdir()
        (path / "index.html").write_text("a page")
        return str(path)

    def ask(url):
        with urllib.request.urlopen(url) as response:
            received.append(response.read())

    def serve_forever(server):
        client = threading.Thread(target=ask, args=[server.url])
        client.start()
        server.handle_request()
        client.join()
        raise KeyboardInterrupt

    monkeypatch.setitem(tfvae.export.FORMATS, "web", web)
    monkeypatch.setattr(Server, "serve_forever", serve_forever)
    directory, path = conditional[0], tmp_path / "page"
    arguments = ["export", directory, "--format", "web", "--out", path]
    result = run_here(*arguments, "--examples", "5", "--serve", "--port", "0", "--json")
    assert (result.code, result.err) == (0, "")
    assert received == [b"a page"]
    content = json.loads(result.out)
    assert content["path"] == str(path)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", content["url"])
    assert {name: len(rows) for name, rows in given["examples"].items()} == {
        "x": 5,
        "condition": 5,
    }
    card = given["card"]
    assert card["Recipe"] == "conditional_vae"
    assert card["Classes"] == "5, 7, 9"
    metrics = json.loads((directory / "metrics.json").read_text())
    assert f"ELBO {metrics['elbo']:.2f}" in card["Test, nats per example"]
    shutil.rmtree(path)
    with Server(tmp_path, port=0) as other:  # a port in use is known before the work is done
        port = other.server_port
        result = run_here(*arguments, "--serve", "--port", port)
    assert (result.code, list(tmp_path.iterdir())) == (4, [])
    assert f"Received: port={port}, which is in use." in result.err


def test_inspect_shows_what_made_a_run(trained):
    directory, _ = trained
    result = run_here("inspect", directory)
    model = keras.saving.load_model(directory / "model.keras")
    for shown in (
        f"{model.count_params():,}", "[16]", "digits", "8 x 8 x 1", "keras",
        "tfvae train vae --data digits --out DIR",
    ):  # fmt: skip
        assert shown in result.out
    assert (result.code, result.err) == (0, "")
    content = json.loads(run_here("inspect", directory, "--json").out)
    assert content["latent_shape"] == [4]
    assert content["num_weights"] == model.count_params()
    assert content["notes"] == []


def test_inspect_warns_of_other_versions_and_of_a_run_that_has_not_ended(conditional, tmp_path):
    directory = tmp_path / "run"
    shutil.copytree(conditional[0], directory)
    versions = json.loads((directory / "versions.json").read_text())
    (directory / "versions.json").write_text(json.dumps(versions | {"keras": "3.0.0"}))
    (directory / "model.keras").unlink()
    (directory / "metrics.json").unlink()
    result = run_here("inspect", directory)
    assert result.code == 0
    assert f"note: made with keras 3.0.0; installed is {versions['keras']}.\n" in result.err
    assert "the training has not ended" in result.err
    assert result.err.count("note:") == 2
    assert "classes" in result.out


def test_a_damaged_model_ends_with_4(conditional, tmp_path):
    directory = tmp_path / "run"
    shutil.copytree(conditional[0], directory)
    whole = (directory / "model.keras").read_bytes()
    (directory / "model.keras").write_bytes(whole[: len(whole) // 2])
    result = run_here("inspect", directory)
    assert result.code == 4
    assert result.err.startswith("error: `model.keras` must be the file")


# ---- progress ------------------------------------------------------------------------------------


def test_in_a_terminal_progress_is_a_bar(make_vae):
    model, screen = make_vae(), io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80)
    logs = {"loss": 21.0, "elbo": -21.0, "kl": 1.5, "val_elbo": -20.0}
    with Progress(console, num_epochs=10, num_batches=3) as progress:
        progress.set_model(model)
        for epoch in range(10):
            progress.on_epoch_begin(epoch)
            for batch in range(3):
                progress.on_train_batch_end(batch)
            progress.on_epoch_end(epoch, logs)
    last = screen.getvalue().rsplit("\x1b[2K", 1)[-1]  # which clears the line
    assert "epoch 10/10" in last
    assert "elbo -21.00  kl 1.50  val_elbo -20.00" in last
    assert "\N{BOX DRAWINGS HEAVY HORIZONTAL}" * 16 in last
    assert "epoch  9/10" not in last


def test_progress_ends_a_training_only_if_a_whole_epoch_failed(make_vae):
    model = make_vae()
    progress = Progress(Console(file=io.StringIO()), num_epochs=1, num_batches=3)
    progress.set_model(model)
    progress.on_epoch_begin(0)
    model.updates_skipped.assign_add(2)
    progress.on_epoch_end(0, {"loss": float("nan")})
    progress.on_epoch_begin(0)
    model.updates_skipped.assign_add(3)
    with pytest.raises(tfvae.NumericalError, match="loss=nan in epoch 1"):
        progress.on_epoch_end(0, {"loss": float("nan")})


def test_metrics_that_are_not_finite_end_with_5(monkeypatch, conditional):
    def evaluate(*_, **__):
        return {"elbo": float("nan"), "log_likelihood": 0.0, "kl": 0.0}

    monkeypatch.setattr(tfvae.VAE, "evaluate", evaluate)
    result = run_here("evaluate", conditional[0], "--num-samples", "0")
    assert result.code == 5
    assert "`elbo` must be finite" in result.err


def test_a_picture_that_cannot_be_drawn_is_a_note(monkeypatch, files, tmp_path):
    def draw(*_):
        raise ImportError("no matplotlib")

    monkeypatch.setattr(tfvae.plots, "training_curves", draw)
    directory = tmp_path / "run"
    result = run_here(
        "train", "vae", "--data", files / "rows.npy", "--out", directory, *SMALL, "--json"
    )
    assert result.code == 0
    assert "there is no training.png: no matplotlib" in json.loads(result.out)["notes"]
    assert (directory / "model.keras").is_file()


def test_every_command_of_the_grammar_has_a_body():
    grammar = {c.callback.__name__ for c in tfvae_cli.app.registered_commands}
    assert grammar == {"train", "recipes", "evaluate", "sample", "export", "inspect"}
    assert all(callable(getattr(tfvae.cli, name)) for name in grammar)
