"""The report opened in a real browser: it is drawn, it answers to mouse, keys and fingers, and it asks for nothing."""

import base64
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from engine.reporting import Report, exporting
from tests.engine import test_page as pages
from tests.engine.browser import Browser, chromium, programs
from tests.engine.test_reporting import hostile
from tests.tui import sessions

pytestmark = pytest.mark.skipif(programs() is None, reason="chromium and chromedriver are not installed")

WIDTHS = (360, 1400)
OUTSIDE = """
    const around = arguments[0].getBoundingClientRect();
    return [...arguments[0].querySelectorAll("[data-i]")].filter((mark) => {
        const box = mark.getBoundingClientRect();
        return !(box.width > 0 && box.height > 0 && box.left >= around.left && box.right <= around.right
            && box.top >= around.top && box.bottom <= around.bottom);
    }).length;
"""
MIDDLE = """
    const box = arguments[0].querySelector(`[data-i="${arguments[1]}"]`).getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
"""
OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("SE_OFFLINE", "true"), ("SE_AVOID_STATS", "true"), ("NO_PROXY", "localhost,127.0.0.1")):
            patch.setenv(name, value)
        with chromium(tmp_path_factory.mktemp("profile")) as browser:
            yield browser


@pytest.fixture(autouse=True)
def as_before(browser: Browser) -> Iterator[None]:
    """A window of a desk, whatever the test before did."""
    browser.resize(1400)
    browser.prefer("light")
    yield
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def written(session: Path, target: Path) -> Report:
    """The report, after it was written as the command does."""
    report = exporting.report_on(session)
    exporting.write(report, "html", target)
    return report


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[tuple[Browser, Report]]:
    """A session's report from a file; afterwards, nothing was asked for and nothing complained of."""
    target = tmp_path / "report.html"
    report = written(pages.confirmed(tmp_path / "demo"), target)
    browser.open(target.as_uri())
    yield browser, report
    check_quiet(browser, target.as_uri())


def check_quiet(browser: Browser, address: str) -> None:
    assert browser.complaints() == []
    assert {each.partition("#")[0] for each in browser.requests() if not each.startswith("data:")} == {address}
    assert browser.run("return performance.getEntriesByType('resource').length") == 0


def chart(browser: Browser) -> WebElement:
    """The one of the two that is shown."""
    (shown,) = [each for each in browser.driver.find_elements(By.CSS_SELECTOR, "svg.chart") if each.is_displayed()]
    return shown


def place_of(report: Report, run: int) -> int:
    return next(at for at, each in enumerate(report.runs) if each.number == run)


def middle(browser: Browser, at: int) -> tuple[float, float]:
    """Of a run's mark, in the window, once the chart is in it."""
    browser.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", chart(browser))
    x, y = browser.run(MIDDLE, chart(browser), at)
    return float(x), float(y)


def point(browser: Browser, x: float, y: float, *, click: bool = False) -> None:
    actions = ActionChains(browser.driver, duration=20)
    actions.w3c_actions.pointer_action.move_to_location(round(x), round(y))
    (actions.click() if click else actions).perform()


def tip(browser: Browser, run: int) -> str:
    """What the tip says, once it is about a run."""
    element = browser.driver.find_element(By.CSS_SELECTOR, ".tip")
    browser.wait.until(lambda _: re.search(rf"\brun {run}\b", element.text))
    return element.text


def shown(browser: Browser) -> list[int]:
    """The runs in the table, from the top."""
    script = """return [...document.querySelectorAll('#runs-table tbody tr')].filter((row) => row.offsetParent !== null)
        .map((row) => Number(row.cells[0].textContent))"""
    return [int(each) for each in browser.run(script)]


def in_view(browser: Browser, identity: str) -> bool:
    script = """const box = document.getElementById(arguments[0]).getBoundingClientRect();
        return box.top >= 0 && box.top < innerHeight"""
    return bool(browser.run(script, identity))


def sort_by(browser: Browser, name: str) -> None:
    heads = browser.driver.find_elements(By.CSS_SELECTOR, "#runs-table th button")
    next(each for each in heads if each.text.split("\n")[0] == name).click()


@pytest.mark.parametrize("width", WIDTHS)
def test_every_run_has_a_mark_within_the_plot(opened: tuple[Browser, Report], width: int) -> None:
    browser, report = opened
    browser.resize(width)
    assert len(chart(browser).find_elements(By.CSS_SELECTOR, "[data-i]")) == len(report.runs)
    assert browser.run(OUTSIDE, chart(browser)) == 0
    line = chart(browser).find_element(By.CSS_SELECTOR, "polyline.best")
    assert line.rect["width"] > 200 and line.rect["height"] > 50


def test_the_run_nearest_to_the_pointer_has_a_tip(opened: tuple[Browser, Report]) -> None:
    browser, report = opened
    x, y = middle(browser, place_of(report, 15))
    point(browser, x + 4, y - 4)
    said = tip(browser, 15)
    assert "kept" in said and "val_bpb 1.7497 (−0.0053 to the best then)" in said
    assert "WARMDOWN_RATIO 0.4 → 0.6" in said and "cool down for longer" in said
    x, y = middle(browser, place_of(report, 8))
    point(browser, x, y)
    assert "crashed" in tip(browser, 8) and "no metric" in tip(browser, 8)
    box, around = browser.driver.find_element(By.CSS_SELECTOR, ".tip").rect, chart(browser).rect
    assert around["x"] <= box["x"] and box["x"] + box["width"] <= around["x"] + around["width"]
    point(browser, 5, 5)
    browser.wait.until(lambda _: not browser.driver.find_element(By.CSS_SELECTOR, ".tip").is_displayed())


def test_a_click_goes_to_a_kept_change_or_else_to_the_line_of_a_run(opened: tuple[Browser, Report]) -> None:
    browser, report = opened
    point(browser, *middle(browser, place_of(report, 20)), click=True)
    browser.wait.until(lambda _: in_view(browser, "run-20"))
    browser.driver.find_element(By.ID, "filter").send_keys("crashed")
    point(browser, *middle(browser, place_of(report, 5)), click=True)
    browser.wait.until(lambda _: in_view(browser, "row-5"))
    assert shown(browser) == [each.number for each in report.runs]  # what hid it was taken away


def test_the_keys_go_from_run_to_run(opened: tuple[Browser, Report]) -> None:
    browser, _ = opened
    keys = ActionChains(browser.driver)
    for _ in range(40):
        keys.send_keys(Keys.TAB).perform()
        if browser.driver.switch_to.active_element.tag_name == "svg":
            break
    assert "kept" in tip(browser, 21)  # the incumbent
    keys.send_keys(Keys.ARROW_RIGHT).perform()
    assert "discarded" in tip(browser, 22)
    keys.send_keys(Keys.ARROW_RIGHT).perform()  # there is none
    keys.send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT).perform()
    tip(browser, 20)
    keys.send_keys(Keys.HOME).perform()
    assert "baseline" in tip(browser, 1)
    keys.send_keys(Keys.ENTER).perform()
    browser.wait.until(lambda _: in_view(browser, "row-1"))
    keys.send_keys(Keys.ESCAPE).perform()
    assert not browser.driver.find_element(By.CSS_SELECTOR, ".tip").is_displayed()


def test_a_first_tap_tells_and_a_second_goes_there(opened: tuple[Browser, Report]) -> None:
    browser, report = opened
    browser.resize(360)
    x, y = middle(browser, place_of(report, 15))
    tap(browser, x, y)
    assert "kept" in tip(browser, 15) and not browser.run("return location.hash")
    tap(browser, x, y)
    browser.wait.until(lambda _: browser.run("return location.hash") == "#run-15")
    browser.wait.until(lambda _: in_view(browser, "run-15"))


def tap(browser: Browser, x: float, y: float) -> None:
    for kind, points in (("touchStart", [{"x": x, "y": y}]), ("touchEnd", [])):
        browser.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_a_heading_sorts_and_sorts_the_other_way_and_what_has_no_figure_is_last(
    opened: tuple[Browser, Report],
) -> None:
    browser, report = opened
    measured = [each for each in report.runs if each.value is not None]
    by_metric = [each.number for each in sorted(measured, key=lambda each: (each.value, each.number))]
    sort_by(browser, "val_bpb")
    assert shown(browser) == [*by_metric, 8, 19]
    sort_by(browser, "val_bpb")
    assert shown(browser) == [*reversed(by_metric), 8, 19]
    sort_by(browser, "status")
    assert shown(browser)[:3] == [1, 8, 19]
    sort_by(browser, "run")
    assert shown(browser) == [each.number for each in report.runs]


def test_words_filter_the_runs(opened: tuple[Browser, Report]) -> None:
    browser, _ = opened
    filter_ = browser.driver.find_element(By.ID, "filter")
    filter_.send_keys("warmdown KEPT")
    assert shown(browser) == [15, 21]
    assert browser.driver.find_element(By.CSS_SELECTOR, ".filter output").text == "2 of 22 runs"
    filter_.clear()
    filter_.send_keys("nothing of the kind")
    assert shown(browser) == []


@pytest.mark.parametrize("state", [*pages.STATES, "hostile"])
def test_every_session_fits_a_phone_and_a_desk_and_disturbs_nobody(
    browser: Browser, tmp_path: Path, state: str
) -> None:
    make = pages.STATES.get(state, lambda root: hostile(root).root)
    target = tmp_path / "report.html"
    report = written(make(tmp_path / "demo"), target)
    browser.open(target.as_uri())
    for width in WIDTHS:
        browser.resize(width)
        assert browser.run(OVERFLOW) <= 0, width
    assert len(shown(browser)) == len(report.runs)
    check_quiet(browser, target.as_uri())


def test_two_thousand_runs_are_pointed_at_sorted_and_filtered(browser: Browser, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    report = written(pages.two_thousand(tmp_path / "demo"), target)
    browser.open(target.as_uri())
    point(browser, *middle(browser, place_of(report, 1981)))
    assert "kept" in tip(browser, 1981)
    sort_by(browser, "metric")
    assert shown(browser)[:2] == [1981, 1961]
    browser.driver.find_element(By.ID, "filter").send_keys("1500")
    assert shown(browser) == [1500]
    check_quiet(browser, target.as_uri())


def test_a_server_is_asked_for_the_document_and_for_nothing_else(browser: Browser, tmp_path: Path) -> None:
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: Any) -> None:
            asked.append(self.path)

    written(pages.confirmed(tmp_path / "demo"), tmp_path / "report.html")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            address = f"http://127.0.0.1:{server.server_port}/report.html"
            browser.open(address)
            point(browser, *middle(browser, 3))
            tip(browser, 4)
            check_quiet(browser, address)
        finally:
            server.shutdown()
    assert asked == ["/report.html"]


def test_without_javascript_all_of_it_is_there(browser: Browser, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    report = written(pages.confirmed(tmp_path / "demo"), target)
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.open(target.as_uri())
    assert chart(browser).is_displayed()
    rows = browser.driver.find_elements(By.CSS_SELECTOR, "#runs-table tbody tr")
    assert len(rows) == len(report.runs) and rows[-1].is_displayed()
    assert not browser.driver.find_element(By.ID, "filter").is_displayed()  # it would do nothing


def test_it_is_dark_where_the_desk_is(opened: tuple[Browser, Report]) -> None:
    browser, _ = opened
    grounds = []
    for scheme in ("light", "dark"):
        browser.prefer(scheme)
        grounds.append(browser.run("return getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(252, 252, 251)", "rgb(18, 20, 23)"]


def test_it_can_be_printed(opened: tuple[Browser, Report]) -> None:
    browser, _ = opened
    assert base64.b64decode(browser.driver.print_page()).startswith(b"%PDF-")


def test_a_session_that_nobody_recorded_yet_opens_too(browser: Browser, tmp_path: Path) -> None:
    recorder = sessions.empty(tmp_path / "demo")
    recorder.open()
    target = tmp_path / "report.html"
    written(recorder.root, target)
    browser.open(target.as_uri())
    assert "No experiment has been recorded yet." in browser.driver.find_element(By.TAG_NAME, "body").text
    check_quiet(browser, target.as_uri())
