"""The coverage page in Debian's Chromium, at three widths, light and dark, on paper; run by `make test-browser`."""

import base64
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT
from predicted import predicted_rows, write_labels, write_rows
from test_browser import PICTURES, browser, environment, pytestmark  # noqa: F401 - a fixture, and when to skip

LONG = "The Very Long And Unhyphenated Name Of A Provincial Noodle Gazette" * 2
PAPER = {"width": 718, "height": 1000, "deviceScaleFactor": 1, "mobile": False}  # A4 within its margins
# What would be cut or scrolled sideways: all but tables in frames of their own.
TOO_WIDE = """const wide = document.documentElement.clientWidth + 1;
return [...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll') && !e.closest('svg')
  && e.getBoundingClientRect().right > wide).map(e => e.outerHTML.slice(0, 80))"""
SMALLEST = """return Math.min(...[...document.querySelectorAll('main *')].filter(e => e.childNodes.length
  && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) && e.getBoundingClientRect().width > 0)
  .map(e => { const chart = e.closest('svg');
  const scale = chart ? chart.getBoundingClientRect().width / chart.viewBox.baseVal.width : 1;
  return scale * parseFloat(getComputedStyle(e).fontSize); }))"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of invented rows, some of them hostile, with a speaker in each sentence."""
    folder = tmp_path_factory.mktemp("coverage")
    shutil.copytree(ROOT / "configs", folder / "configs")
    rows, truth = predicted_rows(240, 8)
    for number, row in enumerate(rows):
        row["text"] = f"Senator Udon Soba said that kettle {number} must whistle <b>before</b> any relief."
        row["title"] = "<script>alert(1)</script> and noodles"
        if row["outlet"] == "Noodle Post":
            row["outlet"] = LONG
    write_rows(rows, folder / "rows.jsonl")
    write_labels(rows[::2], truth[::2], folder / "mine.jsonl")
    words = [sys.executable, "-m", "pipeline", "coverage", "rows.jsonl", "--labels", "mine.jsonl", "--output", "page"]
    subprocess.run(words, cwd=folder, env=environment(), check=True, timeout=300)
    return folder / "page" / "index.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1300])
def test_it_fits_asks_for_nothing_and_can_be_read(page, browser, width, scheme):  # noqa: F811
    browser.open(page.as_uri(), scheme=scheme, width=width)
    browser.words("What they actually say")
    assert browser.console() == []
    assert {address.partition(":")[0] for address in browser.requests()} <= {"file", "data"}
    run = browser.driver.execute_script
    assert run("return document.documentElement.scrollWidth") <= width
    assert run(TOO_WIDE) == []
    assert run(SMALLEST) >= 11
    assert len([chart for chart in browser.driver.find_elements("css selector", "svg") if chart.is_displayed()]) == 1
    height = run("return document.documentElement.scrollHeight")
    browser.open(page.as_uri(), scheme=scheme, width=width, height=height)
    browser.picture(f"coverage-{width}-{scheme}")


def test_tables_open_by_keyboard_and_charts_have_names(page, browser):  # noqa: F811
    from selenium.webdriver.common.keys import Keys

    browser.open(page.as_uri(), width=1000)
    summary = browser.find("//summary")
    summary.send_keys(Keys.ENTER)
    assert browser.find("//details[@open]//table").is_displayed()
    charts = [chart for chart in browser.driver.find_elements("css selector", "svg") if chart.is_displayed()]
    assert [chart.accessible_name for chart in charts] == [
        "Share of pro-dialogue among sentences that take a side, by month"
    ]


def test_on_paper_it_is_light_and_its_tables_are_open(page, browser):  # noqa: F811
    browser.open(page.as_uri(), scheme="dark", width=1000)
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    run = browser.driver.execute_script
    assert run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert run("return document.querySelector('details table').checkVisibility()")
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PAPER)
    assert run("return [...document.querySelectorAll('.scroll')].every(e => e.scrollWidth <= e.clientWidth)")
    printed = browser.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})
    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / "coverage.pdf").write_bytes(base64.b64decode(printed["data"]))
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
