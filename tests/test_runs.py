"""Run directories: made once, written whole, and refused when damaged."""

import json

import pytest

from tfvae.errors import ArtifactError
from tfvae.runs import CONFIG, MODEL, VERSIONS, Run, check_new, finite, installed_versions


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "deep" / "run", {"recipe": "vae", "seed": 1})


def test_create_keeps_configuration_and_versions(run):
    again = Run.open(run.directory)
    assert again.config == {"format": 1, "recipe": "vae", "seed": 1}
    assert again.read(VERSIONS) == installed_versions()
    assert sorted(p.name for p in run.directory.iterdir()) == [CONFIG, VERSIONS]


def test_create_takes_an_empty_directory_and_no_other(tmp_path):
    Run.create(tmp_path, {"seed": 1})
    with pytest.raises(ValueError, match=r"new or an empty .* with config\.json, versions\.json\."):
        Run.create(tmp_path, {"seed": 2})
    assert Run.open(tmp_path).config["seed"] == 1


def test_of_two_that_create_one_wins(tmp_path, monkeypatch):
    """The second has looked at the directory before the first wrote to it."""
    monkeypatch.setattr("tfvae.runs.check_new", lambda directory: None)
    Run.create(tmp_path, {"seed": 1})
    with pytest.raises(ArtifactError, match="File exists"):
        Run.create(tmp_path, {"seed": 2})
    assert Run.open(tmp_path).config["seed"] == 1


def test_check_new_lists_three_files(tmp_path):
    for name in "dbcae":
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match="with a, b, c and 2 more. Fix"):
        check_new(tmp_path)


def test_check_new_refuses_a_file_and_a_dangling_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(ValueError, match=f"{name} with a file"):
            check_new(tmp_path / name)


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="file/run: .*Not a directory"):
        Run.create(tmp_path / "file" / "run", {})


def test_a_failed_write_leaves_the_file_as_it_was(run):
    before = (run.directory / CONFIG).read_bytes()
    with pytest.raises(TypeError):
        run.write(CONFIG, {"seed": object()})
    assert (run.directory / CONFIG).read_bytes() == before
    assert len(list(run.directory.iterdir())) == 2


def test_numbers_that_json_lacks_become_null(run):
    run.write("history.json", {"elbo": [float("nan"), -1.5], "kl": (float("inf"), 2)})
    assert run.read("history.json") == {"elbo": [None, -1.5], "kl": [None, 2]}
    assert finite({"a": {"b": float("-inf")}, "c": "nan"}) == {"a": {"b": None}, "c": "nan"}


def test_open_refuses_what_is_no_run(tmp_path):
    with pytest.raises(ArtifactError, match="no directory"):
        Run.open(tmp_path / "absent")
    with pytest.raises(ArtifactError, match=r"without config\.json"):
        Run.open(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "must be a file that"),
        ("[1]", "must hold a JSON object"),
        (json.dumps({"format": 2}), "of format 2"),
        (json.dumps({"seed": 1}), "of format None"),
    ],
)
def test_open_refuses_a_damaged_or_newer_configuration(run, content, message):
    (run.directory / CONFIG).write_text(content)
    with pytest.raises(ArtifactError, match=message):
        Run.open(run.directory)


def test_a_model_that_is_absent_or_damaged_is_named(run):
    with pytest.raises(ArtifactError, match=r"finished run.*without model\.keras"):
        run.model()
    (run.directory / MODEL).write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(ArtifactError, match=r"Received: .*model\.keras"):
        run.model()
