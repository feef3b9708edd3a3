"""A headless Chromium, driven by Selenium, with what it logs and whom it asks."""

import contextlib
import json
import os
import shutil
import threading

import pytest

SWITCHES = [
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1180,1600",
]


@contextlib.contextmanager
def chromium(profile):
    """Gives a driver with a profile of its own; skips where there is no browser."""
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    chromedriver = shutil.which("chromedriver")
    if browser is None or chromedriver is None:
        pytest.skip("chromium and chromedriver are not on the path")
    options = selenium.ChromeOptions()
    options.binary_location = browser
    switches = [*SWITCHES, f"--user-data-dir={profile}"]
    for switch in switches + ["--no-sandbox"] * (os.geteuid() == 0):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = selenium.ChromeService(executable_path=chromedriver)
    driver = selenium.Chrome(options=options, service=service)
    try:
        driver.set_script_timeout(60)
        yield driver
    finally:
        driver.quit()


@contextlib.contextmanager
def serving(server):
    """Serves until the end of the block."""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    with server:
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def opened(driver, url):
    """Opens a page and returns what keeps it from being ready, or None."""
    driver.get(url)
    return awaited(driver, "tfvae.ready.then(() => null, (error) => error.message)")


def awaited(driver, expression):
    """Returns the value of a promise."""
    return driver.execute_async_script(f"const done = arguments[0]; ({expression}).then(done)")


def settled(driver):
    """Waits until the page has drawn what was asked for, and returns what it holds."""
    return awaited(
        driver,
        "tfvae.settled().then(() => { const s = tfvae.state; return {"
        "z: Array.from(s.z), mean: Array.from(s.mean), x: s.x && Array.from(s.x),"
        "condition: s.condition && Array.from(s.condition),"
        "samples: s.samples && {z: s.samples.z.map((v) => Array.from(v)),"
        "mean: s.samples.mean.map((v) => Array.from(v))}}; })",
    )


def run(driver, name, inputs):
    """Returns what a signature gives, as flat lists by name."""
    arrays = json.dumps({key: value.ravel().tolist() for key, value in inputs.items()})
    return awaited(
        driver,
        f"tfvae.run({json.dumps(name)}, {arrays}).then((outputs) => Object.fromEntries("
        "Object.entries(outputs).map(([key, value]) => [key, Array.from(value)])))",
    )


def pixels(driver, name):
    """Returns the red, green and blue of a canvas, [height, width, 3]."""
    import numpy as np

    width, height, data = driver.execute_script(
        f"const c = document.getElementById({json.dumps(name)});"
        "return [c.width, c.height, Array.from("
        "c.getContext('2d').getImageData(0, 0, c.width, c.height).data)]"
    )
    return np.array(data).reshape(height, width, 4)[..., :3]


def errors(driver):
    """Returns what was logged as an error since the last call."""
    return [e["message"] for e in driver.get_log("browser") if e["level"] == "SEVERE"]


def requested(driver):
    """Returns the addresses that were asked for since the last call."""
    messages = [json.loads(e["message"])["message"] for e in driver.get_log("performance")]
    return [
        m["params"]["request"]["url"]
        for m in messages
        if m["method"] == "Network.requestWillBeSent"
    ]
