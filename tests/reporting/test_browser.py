"""The report and MLflow's UI in Debian's Chromium; run by `make test-browser`.

Pictures go to build/screenshots/; `make pictures` takes two of them, of the default config, for the README.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import mlflow
import pytest
from conftest import ROOT
from servers import serving

from pipeline import tracking
from pipeline.tracking.ui import COLUMNS

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
CONFIG = os.environ.get("STANCE_CONFIG", "configs/smoke.yaml")
PARENT = f"train {Path(CONFIG).stem}"
PICTURES = ROOT / "build" / "screenshots"
# What MLflow's UI remembers once its assistant was closed.
ASSISTANT_CLOSED = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore::FutureWarning:mlflow", "ignore::DeprecationWarning"),
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no Chromium: apt-get install chromium chromium-driver"),
]


class Browser:
    """Chromium without a window, what it was asked for, and what its console said."""

    def __init__(self):
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
            options.add_argument(word)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        self.driver.set_script_timeout(60)

    def open(self, address, *, scheme="light", width=1400, height=900):
        """Open an address in a page of its own, and forget what was logged before."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get("about:blank")  # MLflow's addresses differ behind the # alone
        self.console(), self.requests()
        self.driver.get(address)

    def console(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """Return the addresses that were asked for since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]

    def find(self, path, seconds=60):
        """Wait until an element can be seen, and return it."""
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        def seen(driver):
            return next((found for found in driver.find_elements("xpath", path) if found.is_displayed()), None)

        waiting = WebDriverWait(self.driver, seconds, ignored_exceptions=[StaleElementReferenceException])
        return waiting.until(seen, f"{path} is not to be seen")

    def words(self, words):
        """Wait until the page says something."""
        return self.find(f"//*[text()[contains(., '{words}')]]")

    def picture(self, name):
        """Keep what is to be seen, with 256 colours: a few dozen kilobytes."""
        from PIL import Image

        PICTURES.mkdir(parents=True, exist_ok=True)
        shot = Image.open(io.BytesIO(self.driver.get_screenshot_as_png())).convert("RGB")
        shot.quantize(256, dither=Image.Dither.NONE).save(PICTURES / f"{name}.png", optimize=True)


@pytest.fixture(scope="module")
def browser():
    opened = Browser()
    yield opened
    opened.driver.quit()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The repository's own data, a training and an evaluation of it."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("seeds", "labels", "configs"):
        shutil.copytree(ROOT / name, folder / name)
    for command in ("train", "eval"):
        words = [sys.executable, "-m", "pipeline", command, "--config", CONFIG]
        subprocess.run(words, cwd=folder, env=environment(), check=True, timeout=1500)
    return folder


def environment():
    return {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}


@pytest.fixture(scope="module")
def ui(project, browser):
    """The address of MLflow's UI, as `make ui` starts it."""
    words = [sys.executable, "-m", "pipeline", "ui", "--port", "PORT"]
    with serving(words, project, environment=environment()) as server:
        browser.open(f"{server.address}/version")
        browser.driver.execute_script(ASSISTANT_CLOSED)
        yield server.address


@pytest.fixture(scope="module")
def runs(project):
    """The ids of the runs by name."""
    client = mlflow.MlflowClient(f"sqlite:///{project}/mlflow.db")
    return {run.info.run_name: run.info.run_id for run in client.search_runs(["1"])}


@pytest.fixture(scope="module")
def parent(runs):
    return runs[PARENT]


# The report


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_opens_without_a_request_or_a_word_on_the_console(project, browser, scheme):
    (page,) = project.glob("reports/*/index.html")
    browser.open(page.as_uri(), scheme=scheme, width=1000, height=980)
    browser.words("Mistakes worth reading")
    assert browser.console() == []
    asked = {address.partition(":")[0] for address in browser.requests()}
    assert "file" in asked and asked <= {"file", "data"}
    paper = browser.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", paper)[:3])) / 3
    assert brightness > 200 if scheme == "light" else brightness < 60
    browser.picture(f"report-{scheme}")
    height = browser.driver.execute_script("return document.documentElement.scrollHeight")
    browser.open(page.as_uri(), scheme=scheme, width=1000, height=height)
    browser.picture(f"report-{scheme}-whole")


@pytest.mark.parametrize("width", [1000, 640, 390])
def test_the_report_fits_a_screen_of_any_width(project, browser, width):
    (page,) = project.glob("reports/*/index.html")
    browser.open(page.as_uri(), width=width)
    browser.picture(f"report-{width}")
    assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= width


# MLflow's UI


def test_parent_and_candidates_stand_side_by_side_by_what_matters(ui, browser, runs, project):
    with chdir(project):
        page = tracking.runs_page(5000, "stance")
    browser.open(page.replace("http://localhost:5000", ui), width=1700, height=640)
    browser.find(f"//a[.='{PARENT}']/ancestor::*[@role='gridcell']//button").click()
    for name in runs:
        browser.words(name)
    named = [column.rpartition(".")[2].strip("`") for column in COLUMNS]
    headers = "[...document.querySelectorAll('[role=columnheader]')]"
    seen = f"return {headers}.map(header => [header.getBoundingClientRect().x, header.innerText])"
    titles = [title.strip() for _, title in sorted(browser.driver.execute_script(seen))]
    # A header holds another one of the same words.
    assert [title for title in dict.fromkeys(titles) if title in named] == named, titles
    browser.picture("experiment")


def test_the_parent_run_says_what_was_selected(ui, browser, parent):
    browser.open(f"{ui}/#/experiments/1/runs/{parent}", height=1300)
    browser.words("macro_f1_real_low")
    browser.words("Show more").click()
    browser.words("promoted: there was no champion yet")
    browser.picture("parent")


def test_a_child_shows_its_confusion_matrix(ui, browser, runs):
    browser.open(f"{ui}/#/experiments/1/runs/{runs['tfidf']}/artifacts/confusion.svg")
    picture = browser.find("//img[contains(@src, 'blob:') or contains(@src, 'confusion')]")
    assert browser.driver.execute_script("return arguments[0].naturalWidth", picture) > 300
    browser.picture("confusion")


def test_mistakes_are_shown_as_a_table(ui, browser, parent):
    browser.open(f"{ui}/#/experiments/1/runs/{parent}/artifacts/mistakes.json")
    browser.words("confident and wrong")
    browser.picture("mistakes")


def test_the_report_opens_inside_the_ui(ui, browser, parent):
    browser.open(f"{ui}/#/experiments/1/runs/{parent}/artifacts/report/index.html")
    browser.driver.switch_to.frame(browser.find("//iframe"))
    browser.words("Mistakes worth reading")
    browser.driver.switch_to.default_content()
    browser.picture("report-in-mlflow")


def test_the_registered_model_shows_its_card(ui, browser):
    browser.open(f"{ui}/#/models/stance/versions/1", height=1500)
    browser.words("Model card: stance toward North Korea policy")
    browser.words("On the test part")
    browser.words("champion")
    browser.picture("model")
