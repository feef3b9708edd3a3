"""A page is written whole or not at all, and gives in a browser what the model gives."""

import base64
import hashlib
import json
import os
import re
import shutil
import socket
import sys
import urllib.error
import urllib.request
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import browser
import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae import networks
from tfvae.errors import ArtifactError
from tfvae.export import litertjs, web_contents
from tfvae.export.conversion import Converted
from tfvae.export.signatures import signatures
from tfvae.export.web_server import Server

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed (tfvae[litert])")

exporting = sys.modules["tfvae.export.web"]
PAGE_FILES = {"index.html", "explorer.js", "explorer.css", "model.js", "painters.js"}


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def package(folder, version="2.5.3"):
    """Writes an npm package with the files of the runtime, but not their content."""
    for part, name in litertjs.COPIES:
        path = folder / "node_modules" / "@litertjs" / part / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{part}/{name}")
        if name == "package.json":
            path.write_text(json.dumps({"name": part, "version": version}))
    return folder


@pytest.fixture
def npm(tmp_path_factory, monkeypatch):
    """A folder with the packages, which is the only one that is found."""
    monkeypatch.delenv(litertjs.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    return package(tmp_path_factory.mktemp("npm"))


@pytest.fixture
def quick(model, monkeypatch):
    """An export without the slow stages, conversion and comparison."""

    def convert(model, served, rows):
        return Converted(b"a LiteRT file", dict(served), {}, [])

    monkeypatch.setattr(exporting, "convert", convert)
    monkeypatch.setattr(exporting, "parity", lambda *arguments: {})
    return partial(model.export, format="web", allow_untrained=True)


# ---- what is written -----------------------------------------------------------------------------


def test_the_folder_holds_the_page_the_model_and_the_runtime(quick, npm, tmp_path):
    x = np.float32(np.random.default_rng(0).normal(size=(5, 6)))
    path = tmp_path / "pages" / "tiny"
    written = quick(path, examples=x, card={"Data": "drawn"}, litertjs=npm)
    assert written == str(path)
    assert os.listdir(path.parent) == ["tiny"]
    files = contents(path)
    runtime = {f"litertjs/{target}" for target in litertjs.COPIES.values()}
    assert set(files) == PAGE_FILES | runtime | {"manifest.json", "model.tflite", "examples/x.bin"}
    assert (
        files["litertjs/wasm/litert_wasm_internal.wasm"] == b"core/wasm/litert_wasm_internal.wasm"
    )
    np.testing.assert_array_equal(np.frombuffer(files["examples/x.bin"], "<f4").reshape(5, 6), x)
    manifest = json.loads(files.pop("manifest.json"))
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    assert manifest["sha256"] == digests
    assert manifest["card"]["Data"] == "drawn"
    assert manifest["litertjs"] == "2.5.3"
    shapes = {
        name: {key: entry["shape"] for key, entry in s["inputs"].items()}
        for name, s in manifest["signatures"].items()
    }
    assert shapes == {
        "encode": {"x": [1, 6]},
        "decode": {"z": [1, 2]},
        "reconstruct": {"x": [1, 6]},
        "sample": {"seed": [1, 2]},
        "encode_sample": {"x": [1, 6], "seed": [1, 2]},
        "decode_64": {"z": [64, 2]},
    }
    kinds = {
        entry["dtype"]
        for signature in manifest["signatures"].values()
        for side in signature.values()
        for entry in side.values()
    }
    assert kinds == {"float32", "int32"}  # others are unknown to the runtime


def test_the_page_allows_its_own_import_map_and_nothing_from_elsewhere():
    page = {path.name: path.read_text(encoding="utf-8") for path in exporting.PAGE.iterdir()}
    assert set(page) == PAGE_FILES
    html = page["index.html"]
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1]
    import_map = re.search(r'<script type="importmap">(.*?)</script>', html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(import_map.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    targets = set(json.loads(import_map)["imports"].values())
    assert targets <= {f"./litertjs/{target}" for target in litertjs.COPIES.values()}
    for name, text in page.items():
        assert not re.search(r"https?://|//cdn", text), name


def test_activity_is_the_variance_of_the_posterior_mean(model, truth):
    x = np.float32(np.random.default_rng(2).normal(size=(400, 6)))
    latents = web_contents.latents_of(model, {"x": x, "z": np.zeros((400, 2), "float32")})
    codes = np.float64(model.encode(x).mean())
    expected = np.square(codes - codes.mean(axis=0)).mean(axis=0)

    def is_right(activity):
        return np.allclose(activity, expected, rtol=1e-4)

    assert is_right(latents["activity"])
    assert not is_right(codes.std(axis=0))  # mutant: the standard deviation
    assert not is_right(codes.var(axis=1)[:2])  # mutant: over the dimensions
    assert latents["order"] == sorted(range(2), key=lambda i: -expected[i])
    np.testing.assert_allclose(latents["center"], [0, 0])  # of the standard normal prior
    np.testing.assert_allclose(latents["scale"], [1, 1])


def test_values_are_drawn_between_the_ends_of_the_support_or_of_the_values(model):
    def ends(vae, values):
        shown = web_contents.display_of(vae, np.array(values))
        return shown["is_image"], shown["low"], shown["high"]

    def images(likelihood):
        vae = tfvae.recipes.vae((4, 3), latent_size=2, likelihood=likelihood, units=(4,), seed=0)
        vae.build((None, 4, 3))
        return vae

    assert ends(images("Bernoulli"), [0.2, 0.3]) == (True, 0, 1)
    gaussian = images("Normal")
    for values, low, high in [
        ([0.0, 1.01], 0, 1),
        ([-0.9, 1.0], -1, 1),
        ([0.0, 254.0], 0, 255),
        ([-3.0, 5.0], -3, 5),
    ]:
        assert ends(gaussian, values) == (True, low, high)
        assert ends(model, values) == (False, *values)


# ---- where the runtime is found ------------------------------------------------------------------


def test_the_runtime_is_searched_for_in_order(npm, tmp_path, monkeypatch):
    def version(given=None):
        return litertjs.Runtime(given).version

    deep = tmp_path / "project" / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    with pytest.raises(ImportError, match=r"npm install @litertjs/core@2\.5\.3"):
        version()
    stranger = deep / "node_modules" / "core"  # of another name on npm
    stranger.mkdir(parents=True)
    (stranger / "package.json").write_text('{"version": "9.9.9"}')
    package(tmp_path / "project", "2.0.1")
    assert version() == "2.0.1"  # above the working directory
    package(deep, "2.0.2")
    assert version() == "2.0.2"
    monkeypatch.setenv(litertjs.VARIABLE, str(package(tmp_path / "named", "2.0.3")))
    assert version() == "2.0.3"
    assert version(npm) == version(npm / "node_modules") == "2.5.3"
    with pytest.raises(ImportError, match="without them. Fix: npm install .* there"):
        version(tmp_path / "nowhere")  # what is named is not replaced by another


def test_a_package_that_is_broken_or_of_another_interface_is_refused(npm, tmp_path):
    wasm = npm / "node_modules" / "@litertjs" / "core" / "wasm" / "litert_wasm_internal.wasm"
    wasm.unlink()
    with pytest.raises(ArtifactError, match=r"without '.*litert_wasm_internal\.wasm'"):
        litertjs.Runtime(npm)
    with pytest.raises(ImportError, match=r"must be of version 2\. Received: 3\.0\.0"):
        litertjs.Runtime(package(tmp_path, "3.0.0"))
    description = tmp_path / "node_modules" / "@litertjs" / "core" / "package.json"
    description.write_text("{")
    with pytest.raises(ArtifactError, match="no package.json"):
        litertjs.Runtime(tmp_path)


# ---- refusals and faults -------------------------------------------------------------------------


def test_bad_arguments_are_refused_before_anything_is_converted(model, npm, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "convert", None)
    path, rows = tmp_path / "page", np.zeros((65, 6), "float32")
    (tmp_path / "old").mkdir()
    with pytest.raises(ValueError, match="`model` must be trained"):
        model.export(path, format="web", litertjs=npm)
    for wrong, options, error, sentence in [
        (tmp_path / "old", {}, ArtifactError, "`path` must be a new folder. .*exists"),
        (path, {"examples": rows}, ValueError, "`examples` must be 1 to 64 examples"),
        (path, {"examples": rows[:0]}, ValueError, "`examples` must be 1 to 64 examples"),
        (path, {"examples": rows[:3, :2]}, ValueError, "`x` must"),
        (path, {"card": {"Data": 3}}, TypeError, "`card` must be a dictionary of texts"),
        (path, {"litertjs": tmp_path}, ImportError, "`litertjs` must be a folder"),
    ]:
        with pytest.raises(error, match=sentence):
            model.export(wrong, format="web", allow_untrained=True, **{"litertjs": npm} | options)
    assert os.listdir(tmp_path) == ["old"]


@pytest.mark.parametrize("stage", ["write_manifest", "_write_examples", "publish_as"])
@pytest.mark.parametrize(
    ("error", "raised"),
    [(OSError(28, "No space left on device"), ArtifactError), (KeyboardInterrupt(),) * 2],
    ids=["full", "interrupted"],
)
def test_a_failure_leaves_nothing_behind(quick, npm, tmp_path, monkeypatch, stage, error, raised):
    seen = []

    def fail(*arguments):
        seen.extend(os.listdir(tmp_path))
        raise error

    monkeypatch.setattr(exporting, stage, fail)
    kind = raised if isinstance(raised, type) else type(raised)
    with pytest.raises(kind):
        quick(tmp_path / "page", litertjs=npm, examples=np.ones((2, 6), "float32"))
    assert [name.startswith(".partial-") for name in seen] == [True]
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written_or_appears_meanwhile(quick, npm, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="`path` must be a new folder where one can write"):
        quick(tmp_path / "file" / "page", litertjs=npm)

    def write_manifest(*arguments):
        (tmp_path / "page").mkdir()

    monkeypatch.setattr(exporting, "write_manifest", write_manifest)
    with pytest.raises(ArtifactError, match="File exists"):
        quick(tmp_path / "page", litertjs=npm)
    assert os.listdir(tmp_path / "page") == []
    assert sorted(os.listdir(tmp_path)) == ["file", "page"]


# ---- the server ----------------------------------------------------------------------------------


def test_the_server_gives_the_types_that_browsers_ask_for_on_this_machine_alone(tmp_path):
    for name in ("index.html", "a.js", "b.wasm", "c.json"):
        (tmp_path / name).write_text(name)
    (tmp_path / "empty").mkdir()
    server = Server(tmp_path, port=0)
    assert server.server_address[0] == "127.0.0.1"
    with browser.serving(server):
        types = {}
        for name in ("", "a.js", "b.wasm", "c.json"):
            with urllib.request.urlopen(server.url + name) as response:
                types[name] = response.headers["Content-Type"]
        assert types == {
            "": "text/html; charset=utf-8",
            "a.js": "text/javascript; charset=utf-8",
            "b.wasm": "application/wasm",
            "c.json": "application/json",
        }
        for name in ("empty/", "absent", "../secret"):
            with pytest.raises(urllib.error.HTTPError, match="404") as raised:
                urllib.request.urlopen(server.url + name)
            raised.value.close()


def test_a_port_in_use_is_an_error_that_names_it(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ArtifactError, match=f"Received: port={port}, which is in use"):
            Server(tmp_path, port)


# ---- in a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed():
    """The runtime, where it is installed."""
    try:
        litertjs.Runtime()
    except ImportError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def driver(installed, tmp_path_factory):
    with browser.chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def scaled_up(vae, shape):
    """Builds a model, and makes the weights larger, so that everything matters for the result."""
    vae.build(shape)
    rng = np.random.default_rng(0)
    for weight in vae.trainable_weights:
        weight.assign(weight + 0.3 * rng.normal(size=weight.shape))
    return vae


@pytest.fixture(scope="module")
def pictures(driver, tmp_path_factory):
    """A convolutional model of small pictures in colour, and its page."""
    vae = tfvae.VAE(
        tfvae.Conditional(networks.convolutional([8]), tfvae.Head("Normal", (3,))),
        tfvae.Conditional(
            networks.deconvolutional([8], start=(3, 4, 8)), tfvae.Head("Bernoulli", (6, 8, 3))
        ),
        seed=0,
    )
    vae, path = scaled_up(vae, (None, 6, 8, 3)), tmp_path_factory.mktemp("pages") / "pictures"
    vae.export(path, format="web", allow_untrained=True)
    with browser.serving(server := Server(path, port=0)):
        yield vae, path, server.url


@pytest.fixture(scope="module")
def rows(driver, tmp_path_factory):
    """A conditional model of five numbers without a structure, its page and examples."""
    rng = np.random.default_rng(1)
    examples = {
        "x": np.float32(rng.normal(size=(3, 5))),
        "condition": np.eye(3, dtype="float32"),
    }
    vae = tfvae.recipes.conditional_vae(
        (5,), latent_size=14, units=(8,), likelihood="Normal", seed=0
    )
    vae = scaled_up(vae, {"x": (None, 5), "condition": (None, 3)})
    path = tmp_path_factory.mktemp("pages") / "rows"
    vae.export(path, format="web", allow_untrained=True, examples=examples)
    with browser.serving(server := Server(path, port=0)):
        yield vae, path, server.url, examples


@pytest.fixture
def page(driver, pictures):
    """The page of the pictures, just loaded."""
    assert browser.opened(driver, pictures[2]) is None
    browser.errors(driver)
    return pictures[0]


def is_close(received, expected):
    expected = np.asarray(expected).ravel()
    return np.shape(received) == expected.shape and np.allclose(received, expected, atol=2e-5)


def in_bytes(mean):
    return np.round(255 * np.clip(mean, 0, 1))


def is_drawn(image, mean):
    return image.shape == mean.shape and np.abs(image - in_bytes(mean)).max() <= 1


def press(driver, name, *keys):
    driver.find_element("id", name).send_keys(*keys)


def alert(driver):
    element = driver.find_element("id", "alert")
    return element.text if element.is_displayed() else None


@pytest.mark.slow
def test_sliders_drive_the_decoder(driver, page):
    from selenium.webdriver.common.keys import Keys

    for index, (key, count) in enumerate([(Keys.ARROW_RIGHT, 9), (Keys.ARROW_LEFT, 17)]):
        press(driver, f"z-{index}", *[key] * count)
    held = browser.settled(driver)
    np.testing.assert_allclose(held["z"], [9 * 0.05, -17 * 0.05, 0], atol=1e-6)
    z = np.float32([held["z"]])
    mean = page.decode(z).mean().numpy()[0]
    assert is_close(held["mean"], mean)
    image = browser.pixels(driver, "decoded")
    assert is_drawn(image, mean)
    # Mutants: other weights, the numbers of z in another order, other axes of the picture.
    bias = page.decoder.head.projection.bias
    bias.assign_add(0.01 * tf.ones_like(bias))
    assert not is_close(held["mean"], page.decode(z).mean())
    bias.assign_add(-0.01 * tf.ones_like(bias))
    assert not is_close(held["mean"], page.decode(z[:, ::-1]).mean())
    assert not is_drawn(image, mean[:, ::-1])
    assert not is_drawn(image, mean[..., ::-1])
    assert browser.errors(driver) == []


@pytest.mark.slow
def test_the_map_shows_decodings_and_a_click_moves_z(driver, page):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    across, up = (
        int(driver.find_element("id", f"map-{axis}").get_property("value")) for axis in "xy"
    )
    map = driver.find_element("id", "map")
    width, height = (map.get_property(name) for name in ("offsetWidth", "offsetHeight"))
    # An offset is from the middle: three quarters across, one quarter up.
    ActionChains(driver).move_to_element_with_offset(
        map, round(width / 4), round(height / 4)
    ).click().perform()
    z = browser.settled(driver)["z"]
    np.testing.assert_allclose([z[across], z[up]], [1.5, -1.5], atol=0.02)
    press(driver, "map", Keys.ARROW_UP)
    np.testing.assert_allclose(browser.settled(driver)["z"][up], -1.4, atol=0.02)
    image, cells = browser.pixels(driver, "map"), 12
    places = -3 + 6 * (np.arange(cells) + 0.5) / cells
    grid = np.zeros((cells, cells, 3), "float32")
    grid[..., across], grid[..., up] = places, places[::-1, None]
    means = page.decode(grid.reshape(-1, 3)).mean().numpy().reshape(cells, cells, 6, 8, 3)

    def is_map(means):
        return all(
            is_drawn(image[7 * i : 7 * i + 6, 9 * j : 9 * j + 8], means[i, j])
            for i in range(cells)
            for j in range(cells)
        )

    assert is_map(means)
    assert not is_map(means[::-1])  # mutant: downwards


@pytest.mark.slow
def test_an_image_is_encoded_and_reconstructed(driver, page, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3))
    path = tmp_path / "image.png"
    keras.utils.save_img(path, image, data_format="channels_last", scale=False)
    press(driver, "file", str(path))
    for x in (image / 255, 1 - image / 255):
        # The image is read after the event of its choice.
        wait_until(driver, lambda x=x: is_close(browser.settled(driver)["x"] or 0, x))
        x = np.float32(x)[None]
        wait_until(
            driver, lambda x=x: is_close(browser.settled(driver)["z"], page.encode(x).mean())
        )
        mean = page.reconstruct(x).numpy()[0]
        assert is_close(browser.settled(driver)["mean"], mean)
        assert is_drawn(browser.pixels(driver, "reconstruction"), mean)
        assert is_drawn(browser.pixels(driver, "input"), x[0])
        driver.find_element("id", "invert").click()
    (tmp_path / "text.png").write_text("no image")
    press(driver, "file", str(tmp_path / "text.png"))
    wait_until(driver, lambda: alert(driver) is not None)
    assert alert(driver) == "text.png is no image that this browser can read."


@pytest.mark.slow
def test_what_is_drawn_is_encoded(driver, page):
    from selenium.webdriver import ActionChains

    pad = driver.find_element("id", "input")
    middle = pad.get_property("offsetHeight") / 2
    row = round(middle * 5 / 6)  # the last of six rows, from the middle of the canvas
    chain = ActionChains(driver).move_to_element_with_offset(pad, -row, row).click_and_hold()
    chain.move_to_element_with_offset(pad, row, row).release().perform()
    wait_until(driver, lambda: (browser.settled(driver)["x"] or [0])[-12] == 1)
    held = browser.settled(driver)
    x = np.float32(held["x"]).reshape(1, 6, 8, 3)
    assert (x[0, 5, 2:6] == 1).all()
    assert (x[0, :4] == 0).all()
    wait_until(driver, lambda: is_close(browser.settled(driver)["z"], page.encode(x).mean()))
    driver.find_element("id", "clear").click()
    wait_until(driver, lambda: not any(browser.settled(driver)["x"]))
    wait_until(driver, lambda: is_close(browser.settled(driver)["z"], page.encode(0 * x).mean()))


@pytest.mark.slow
def test_a_seed_gives_the_samples_of_the_signature(driver, page):
    from selenium.webdriver.common.keys import Keys

    seed = driver.find_element("id", "seed")
    seed.clear()
    seed.send_keys("-7", Keys.ENTER)
    wait_until(driver, lambda: len(browser.settled(driver)["samples"]["z"]) == 16)
    samples = browser.settled(driver)["samples"]
    served, _ = signatures(page)
    seeds = np.int32([[-7, i] for i in range(16)])
    expected = served["sample"].function(tf.constant(seeds))
    assert is_close(np.ravel(samples["z"]), expected["z"])
    assert is_close(np.ravel(samples["mean"]), expected["mean"])
    other = served["sample"].function(tf.constant(seeds + [[1, 0]]))  # mutant: another seed
    assert not is_close(np.ravel(samples["z"]), other["z"])
    driver.find_elements("css selector", "#samples button")[3].click()
    assert is_close(browser.settled(driver)["z"], expected["z"][3])
    seed.clear()
    seed.send_keys("3000000000", Keys.ENTER)
    wait_until(driver, lambda: alert(driver) is not None)
    assert alert(driver) == "A seed is a whole number from -2147483648 to 2147483647."


@pytest.mark.slow
def test_every_signature_gives_what_the_model_gives(driver, page):
    served, _ = signatures(page)
    fixed, rng = exporting._fixed(served), np.random.default_rng(3)
    for name, signature in fixed.items():
        inputs = {
            spec.name: rng.integers(-(2**31), 2**31, spec.shape).astype("int32")
            if spec.dtype == tf.int32
            else rng.random(spec.shape, "float32")
            for spec in signature.inputs
        }
        received = browser.run(driver, name, inputs)
        expected = signature.function(*(tf.constant(inputs[s.name]) for s in signature.inputs))
        assert set(received) == set(expected)
        for key, value in expected.items():
            assert is_close(received[key], value), (name, key)


@pytest.mark.slow
def test_the_page_asks_nobody_else_and_needs_no_headers(driver, pictures, tmp_path):
    _, path, _ = pictures
    handler = type("Plain", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=path))
    url = f"http://127.0.0.1:{server.server_port}/"
    driver.get("about:blank")
    browser.requested(driver), browser.errors(driver)
    with browser.serving(server):
        assert browser.opened(driver, url) is None
        assert driver.execute_script("return crossOriginIsolated") is False
    asked = browser.requested(driver)
    assert url + "litertjs/wasm/litert_wasm_internal.wasm" in asked
    assert {a for a in asked if not a.startswith((url, "data:", "blob:"))} == set()
    assert browser.errors(driver) == []


@pytest.mark.slow
def test_what_is_wrong_is_said_in_words_and_what_is_absent_is_hidden(driver, pictures, tmp_path):
    copy = tmp_path / "page"
    shutil.copytree(pictures[1], copy)
    manifest = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))
    for name in ("sample", "encode_sample"):
        del manifest["signatures"][name]
    (copy / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with browser.serving(server := Server(copy, port=0)):
        assert browser.opened(driver, server.url) is None
        shown = {
            name: driver.find_element("id", name).is_displayed()
            for name in ("explore", "map", "encode-section", "encode-draw", "sample-section")
        }
        assert [name for name, is_shown in shown.items() if not is_shown] == [
            "encode-draw",
            "sample-section",
        ]
        before = browser.settled(driver)["z"]
        driver.find_element("id", "random").click()
        wait_until(driver, lambda: browser.settled(driver)["z"] != before)
        (copy / "model.tflite").write_bytes((copy / "model.tflite").read_bytes()[::-1])
        assert "model.tflite is not the file of this export" in browser.opened(driver, server.url)
        assert "model.tflite is not the file of this export" in alert(driver)
        (copy / "model.tflite").unlink()
        assert "the server says 404" in browser.opened(driver, server.url)
        assert not driver.find_element("id", "main").is_displayed()


@pytest.mark.slow
def test_rows_of_numbers_are_bars_with_a_condition(driver, rows):
    from selenium.webdriver.support.ui import Select

    vae, _, url, examples = rows
    browser.errors(driver)
    assert browser.opened(driver, url) is None
    held = browser.settled(driver)
    assert is_close(held["condition"], [1, 0, 0])
    assert is_close(held["mean"], vae.decode([held["z"]], np.eye(3)[:1]).mean())
    Select(driver.find_element("id", "condition-class")).select_by_value("2")
    wait_until(driver, lambda: is_close(browser.settled(driver)["condition"], [0, 0, 1]))
    held, last = browser.settled(driver), np.float32([[0, 0, 1]])
    assert is_close(held["mean"], vae.decode([held["z"]], last).mean())
    assert not is_close(held["mean"], vae.decode([held["z"]], last[:, ::-1]).mean())
    x = np.float32([[0.5, -1.0, 2.0, 0.0, 0.25]])
    press(driver, "numbers-text", "0.5, -1 2 0, .25")
    driver.find_element("css selector", "#number-input button").click()
    code = vae.encode({"x": x, "condition": last}).mean()
    wait_until(driver, lambda: is_close(browser.settled(driver)["z"], code))
    press(driver, "numbers-text", " nonsense")
    driver.find_element("css selector", "#number-input button").click()
    wait_until(driver, lambda: alert(driver) is not None)
    assert alert(driver) == "An example is 5 numbers. Received: 6 words."
    driver.find_elements("css selector", "#examples button")[1].click()
    first = {name: value[1:2] for name, value in examples.items()}
    wait_until(driver, lambda: is_close(browser.settled(driver)["z"], vae.encode(first).mean()))
    held = browser.settled(driver)
    assert is_close(held["condition"], first["condition"])
    driver.execute_script("document.getElementById('numbers').open = true")
    wait_until(
        driver,
        lambda: (
            [float(cell.text) for cell in driver.find_elements("css selector", "#numbers-body td")]
            == [float(f"{value:.4e}") for value in held["mean"]]
        ),
    )
    assert is_close(held["mean"], vae.reconstruct(first))
    assert driver.find_element("id", "more-summary").text == "4 dimensions that vary less"
    assert not driver.find_element("id", "image-input").is_displayed()
    assert browser.errors(driver) == []


def wait_until(driver, is_true):
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 20).until(lambda _: is_true())
