# real clock: a browser shows the page of a real check, without JavaScript and on a phone too; nothing of a loop runs.
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import documents
import pytest
from loopcheck.page import render
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait
from two_cases import make_root

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no Chromium with its driver on this machine")
ASYNCIO, EVIL, TWICE = "asyncio:new_event_loop", "evil.py:evil", "evil.py:twice"
LOOPS = """
import asyncio
class twice(asyncio.SelectorEventLoop):
    def call_soon(self, callback, *args, **options):
        super().call_soon(callback, *args, **options)
        return super().call_soon(callback, *args, **options)
class evil(asyncio.SelectorEventLoop):
    def set_debug(self, enabled):
        super().set_debug(False)
        if enabled:
            raise ValueError("</pre></script><script>document.title='owned'</script><img src=x onerror=alert(1)>" * 9)
"""
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
WILD = "test_two.py::test_wild"
RULES_SHOWN = """
    const rows = [...document.querySelectorAll("tr.rule")];
    return rows.filter((row) => row.offsetParent).map((row) => row.querySelector("a").textContent);
"""
IS_SHOWN = "return document.getElementById(arguments[0]).checkVisibility()"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the report of a real check of three loops."""
    folder = make_root(tmp_path_factory.mktemp("root"))
    (folder / "evil.py").write_text(LOOPS)
    cases = folder / "conformance" / "test_two.py"
    cases.write_text(cases.read_text().split('@case("SOON-6")')[0])
    argv = [sys.executable, "-m", "loopcheck", "check", ASYNCIO, TWICE, EVIL, "--report", "out"]
    environment = os.environ | {"LOOPCHECK_ROOT": str(folder)}
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stdout + done.stderr
    return (folder / "out" / "index.html").as_uri()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium: Any) -> Iterator[Any]:
    """A browser of ordinary width that runs scripts; the page may have complained of nothing."""
    chromium.get("about:blank")
    yield chromium
    complaints = chromium.get_log("browser")
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert complaints == []


def choose(browser: Any, name: str, value: str) -> None:
    """Sets a field of the filter as a person would."""
    browser.execute_script(
        "const field = document.forms.filter.elements[arguments[0]]; field.value = arguments[1];"
        "field.dispatchEvent(new Event('input', {bubbles: true}))",
        name,
        value,
    )


def test_failing_case_is_there(browser: Any, page: str) -> None:
    browser.get(page)
    case = browser.find_element("id", f"{TWICE}/{WILD}").get_attribute("textContent")
    assert f"loopcheck check {TWICE} -k {WILD}" in case
    assert "open program 0" in case
    assert "the control: PASS" in case
    assert "is broken" in case
    assert browser.title.endswith("unexpected")


def test_text_of_a_loop_runs_nothing(browser: Any, page: str) -> None:
    browser.get(page)
    case = browser.find_element("id", f"{EVIL}/{WILD}").get_attribute("textContent")
    assert "<script>document.title='owned'</script><img src=x onerror=alert(1)>" in case
    assert browser.title.startswith("loopcheck: ")
    assert len(browser.find_elements("css selector", "script")) == 1
    assert browser.find_elements("css selector", "img") == []


def test_filter_and_search_hide_rules(browser: Any, page: str) -> None:
    browser.get(page)
    assert browser.execute_script(RULES_SHOWN) == ["SOON-5", "SOON-6", "SOON-3"]
    choose(browser, "text", "arguments")
    assert browser.execute_script(RULES_SHOWN) == ["SOON-6"]
    choose(browser, "text", "no such words")
    assert browser.execute_script(RULES_SHOWN) == []
    assert browser.find_element("css selector", "#filter output").text == "no rule is like that"
    choose(browser, "text", "")
    choose(browser, "kind", "unexpected")
    assert browser.execute_script(RULES_SHOWN) == ["SOON-5", "SOON-3"]
    hidden = browser.find_elements("css selector", "details.case[hidden] code")
    assert WILD in [code.get_attribute("textContent") for code in hidden]
    choose(browser, "area", "kit")
    assert browser.execute_script(RULES_SHOWN) == ["SOON-3"]


@pytest.mark.parametrize("has_scripts", [True, False])
@pytest.mark.parametrize(
    "anchor", [f"{EVIL}/{WILD}", "SOON-5", f"SOON-5/{ASYNCIO}", f"{ASYNCIO}/test_two.py::test_calm"]
)
def test_permalink_opens_what_it_names(browser: Any, page: str, anchor: str, has_scripts: bool) -> None:
    browser.get(page)
    assert not browser.execute_script(IS_SHOWN, anchor)
    browser.get("about:blank")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not has_scripts})
    browser.get(f"{page}#{anchor}")
    assert browser.execute_script("return document.forms.filter.hidden") is not has_scripts
    assert browser.execute_script(IS_SHOWN, anchor)
    assert browser.execute_script(
        "return document.getElementById(arguments[0]).getBoundingClientRect().top < innerHeight", anchor
    )


def test_permalink_to_what_the_filter_hides(browser: Any, page: str) -> None:
    browser.get(page)
    choose(browser, "kind", "unexpected")
    browser.execute_script("location.hash = arguments[0]", f"{ASYNCIO}/test_two.py::test_calm")
    is_shown = lambda browser: browser.execute_script(IS_SHOWN, f"{ASYNCIO}/test_two.py::test_calm")  # noqa: E731
    WebDriverWait(browser, 10).until(is_shown)


@pytest.mark.parametrize("has_scripts", [True, False])
def test_nothing_is_wider_than_a_phone(browser: Any, page: str, has_scripts: bool) -> None:
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not has_scripts})
    browser.get(page)
    browser.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    width = "return [innerWidth, document.documentElement.scrollWidth, document.querySelector('table').offsetWidth]"
    inner, page_width, table_width = browser.execute_script(width)
    assert (inner, page_width) == (360, 360)
    assert table_width < inner


@pytest.mark.parametrize("width", [360, 720, 1280])
@pytest.mark.parametrize("count", [7, 30])
def test_many_loops_scroll_within_the_page(browser: Any, tmp_path: Path, count: int, width: int) -> None:
    loops = [documents.loop(f"module_{number}:new_event_loop") for number in range(count)]
    verdicts = [documents.verdict(loop["name"]) for loop in loops]
    (tmp_path / "page.html").write_text(render([documents.document(*verdicts, loops=loops)]))
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE | {"width": width, "mobile": False})
    browser.get((tmp_path / "page.html").as_uri())
    page_width, room = browser.execute_script(
        "const page = document.documentElement; return [page.scrollWidth, page.clientWidth]"
    )
    assert page_width == room


def test_long_trace_shows_the_place(browser: Any, tmp_path: Path) -> None:
    lines = [f"{number:5}  record" for number in range(1, 200)]
    traces = {"trace": "\n".join([*lines[:150], "    ^ SOON-5 is broken", *lines[150:]])}
    failure = documents.failure(**traces, control={"verdict": "PASS", "trace": "\n".join(lines)})
    (tmp_path / "page.html").write_text(render([documents.document(failure)]))
    browser.get((tmp_path / "page.html").as_uri() + "#SOON-5")
    tops = "return [...document.querySelectorAll('.traces pre')].map((one) => one.scrollTop / one.scrollHeight)"
    WebDriverWait(browser, 10).until(lambda browser: all(top > 0 for top in browser.execute_script(tops)))
    assert all(0.6 < top < 0.75 for top in browser.execute_script(tops))


def test_cell_leads_to_its_cases(browser: Any, page: str) -> None:
    browser.get(page)
    browser.find_element("css selector", f"a[href='#SOON-5/{ASYNCIO}']").click()
    assert browser.find_element("id", f"SOON-5/{ASYNCIO}").is_displayed()
