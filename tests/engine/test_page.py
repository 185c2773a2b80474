"""The report as a web page: a whole document of whatever session, in which nothing that somebody wrote acts."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from engine.harmless import UNSAFE
from engine.reporting import MADE_BY, Report, exporting, page, prose
from tests.engine.test_reporting import HOSTILE, foreign, higher, hostile
from tests.tui import sessions

EMPTY_ELEMENTS = {"meta", "link", "input", "br", "line", "path", "circle", "rect", "polyline"}
"""Those of HTML, and those of SVG that close themselves."""
ELEMENTS = {
    *("html", "head", "meta", "title", "link", "style", "script", "body", "header", "main", "footer", "nav"),
    *("section", "article", "figure", "figcaption", "div", "span", "p", "a", "b", "br", "h1", "h2", "h3", "ul", "li"),
    *("dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "pre", "code"),
    *("input", "output", "svg", "text", "line", "path", "circle", "rect", "polyline"),
}
TEXT = 4.5
"""The least contrast of text (WCAG 2.2, level AA)."""


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


class Document(HTMLParser):
    """A page, taken apart; anything left open or closed twice raises AssertionError."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert len(dict(attributes)) == len(attributes), attributes
        self.elements.append((tag, dict(attributes)))
        if tag not in EMPTY_ELEMENTS:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag in EMPTY_ELEMENTS
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("style", "script"):
            self.text.append(data)

    def values(self, name: str) -> list[str]:
        """What an attribute says, wherever it is."""
        return [value or "" for _, each in self.elements for key, value in each.items() if key == name]

    def count(self, tag: str) -> int:
        return sum(each == tag for each, _ in self.elements)


def crashed(root: Path) -> Path:
    runs = [{"run": at, "metric": None, "status": "crash", "asi": {"result": f"line {at}: boom"}} for at in (1, 2, 3)]
    return foreign(root, runs)


def nothing_kept(root: Path) -> Path:
    runs = [{"run": at, "metric": 1 + at / 100, "status": "keep" if at == 1 else "discard"} for at in (1, 2, 3)]
    return foreign(root, runs)


def empty(root: Path) -> Path:
    return foreign(root, [{"type": "config", "name": "x", "metricName": "loss"}])


def baseline_only(root: Path) -> Path:
    return foreign(root, [{"run": 1, "metric": 1.5, "status": "keep"}])


def two_thousand(root: Path) -> Path:
    kept = {at: 2 - at / 10_000 for at in range(1, 2001, 20)}
    runs = [
        {
            "run": at,
            "metric": kept.get(at, 2.1),
            "status": "keep" if at in kept else "discard",
            "description": f"try {at}",
        }
        for at in range(1, 2001)
    ]
    return foreign(root, runs)


def confirmed(root: Path) -> Path:
    return sessions.confirmed(root).root


def one_that_failed_its_checks(root: Path) -> Path:
    return sessions.queued(root).root


STATES = {
    state.__name__: state
    for state in (
        *(empty, baseline_only, crashed, nothing_kept, higher, two_thousand),
        *(confirmed, one_that_failed_its_checks),
    )
}


def data_of(source: str) -> dict[str, Any]:
    """What the script is told of the runs."""
    (found,) = re.findall(r'<script type="application/json" id="runs">(.*?)</script>', source, re.DOTALL)
    return dict(json.loads(found))


@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_every_session_is_a_whole_document_that_refers_to_itself_alone(
    tmp_path: Path, state: Callable[[Path], Path]
) -> None:
    report = exporting.report_on(state(tmp_path / "demo"))
    source = page.page(report)
    document = Document(source)
    assert MADE_BY.encode() in source.encode()[: exporting.HEAD]
    ids = document.values("id")
    assert len(set(ids)) == len(ids)
    assert {each for each in document.values("href") if each != "data:,"} <= {f"#{each}" for each in ids}
    assert not document.values("src") and not document.values("style")
    assert "http://" not in source.replace("http://www.w3.org/2000/svg", "") and "https://" not in source
    drawn = any(each.value is not None for each in report.runs)
    assert len(document.values("data-i")) == (2 * len(report.runs) if drawn else 0)
    assert [each["run"] for each in data_of(source)["runs"]] == [each.number for each in report.runs]
    assert {tag for tag, _ in document.elements} <= ELEMENTS


def test_it_says_what_the_markdown_says(tmp_path: Path) -> None:
    text = "\n".join(Document(page.page(exporting.report_on(confirmed(tmp_path / "demo")))).text)
    for said in (
        "val_bpb went from 1.7550 to 1.7382 (−0.0168, −0.96%) after 21 experiments.",
        "without it the incumbent loses +0.0078 [+0.0064, +0.0092] at 95%",
        "cool down for longer reaches a lower val_bpb within the same work",
        "+WARMDOWN_RATIO = 0.6\n",
        "out of memory at step 16",
        "sd 0.00088 (at most 0.0013) from 17 runs of 3 configurations with other seeds",
        "3.5 (≥ 2 likely real, 1–2 marginal, < 1 noise; of the session as a whole)",
        "21: 3 kept, 2 crashed, 16 discarded",
    ):
        assert said in text


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    recorder = hostile(tmp_path / "demo")
    recorder.workspace.document.write_text("## What was learned\n\n" + "\n\n".join(HOSTILE[:8]))
    sessions.append_raw(
        recorder, {"run": 30, "metric": 1.6, "status": "keep", "commit": '"><b>', "description": '"><b>'}
    )
    source = page.page(exporting.report_on(recorder.root))
    document = Document(source)
    assert {tag for tag, _ in document.elements} <= ELEMENTS | {"strong"}
    assert not [name for _, each in document.elements for name in each if name.startswith("on") or name == "style"]
    assert not re.search(f"[{UNSAFE}]", source.replace("\n", ""))
    assert all(each.startswith("#") or each == "data:," for each in document.values("href"))
    assert source.count("</script>") == 2 and "<img" not in source
    text = "".join(document.text)
    assert "</script><img src=x onerror=alert(1)>" in text and "日本語の説明 🎉 é → ×" in text
    assert data_of(source)["runs"][12]["change"] == HOSTILE[0]
    source.encode()


def test_a_hostile_metric_is_a_name_like_any_other(tmp_path: Path) -> None:
    name = '<b onclick="x">' + "m" * 5000
    config = {"type": "config", "name": '"><script>', "metricName": name, "metricUnit": "</style>"}
    runs = [{"run": at, "metric": 2 - at / 10, "status": "keep"} for at in (1, 2, 3)]
    document = Document(page.page(exporting.report_on(foreign(tmp_path, [config, *runs]))))
    assert {tag for tag, _ in document.elements} <= ELEMENTS
    assert max(len(each) for each in document.text) < 2100


def test_what_people_wrote_down_is_set_and_leads_to_the_web_only() -> None:
    said = prose.html(
        "### Depth\n\nbeats *width*, says [a paper](https://example.org/a?b=1&c) or [me](mailto:me@example.org).\n\n"
        "[x](javascript:alert(1)) [y](data:text/html,z) [z](/etc/passwd) <script>alert(1)</script> ![i](https://a/b.png)"
        '\n\n| a | b |\n| -: | - |\n| 1 | `2` |\n\n```html"><b>\n</code>\n```\n\nturned&#x202e;round &#27;',
        2,
    )
    document = Document(said)
    assert document.values("href") == ["https://example.org/a?b=1&c", "mailto:me@example.org", "https://a/b.png"]
    assert {tag for tag, _ in document.elements} == {
        *("h5", "p", "em", "a", "table", "thead", "tbody", "tr", "th", "td", "code", "pre")
    }
    assert not document.values("style") and not document.values("class")
    assert "<script>alert(1)</script>" in "".join(document.text)
    assert "turnedround" in said and "\x1b" not in said


def test_a_document_that_never_ends_is_cut() -> None:
    said = prose.html("[" * 200_000, 2)
    assert "The rest, 140,000 characters, is left out." in said


def test_the_policy_admits_this_style_sheet_and_this_script_and_nothing_else(tmp_path: Path) -> None:
    source = page.page(exporting.report_on(baseline_only(tmp_path)))
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', source)
    (style,) = re.findall("<style>(.*?)</style>", source, re.DOTALL)
    (script,) = re.findall("<script>(.*?)</script>", source, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in (style, script)]
    assert policy.split("; ")[:3] == [
        "default-src 'none'",
        f"style-src 'sha256-{hashes[0]}'",
        f"script-src 'sha256-{hashes[1]}'",
    ]
    assert "unsafe" not in policy


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_everything_that_is_read_stands_out_from_its_ground(scheme: int) -> None:
    style = (page.ASSETS / "page.css").read_text()
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", style.split(":root")[1 + scheme]))
    on_grounds = {
        "paper": ("ink", "soft", "good", "bad", "warn"),
        "card": ("ink", "soft", "good", "bad", "warn"),
        "good-paper": ("ink", "soft", "good"),
        "bad-paper": ("bad",),
        "hunk-paper": ("hunk",),
        "good": ("paper",),
    }
    for ground, texts in on_grounds.items():
        for text in texts:
            assert contrast(colours[ground], colours[text]) >= TEXT, (ground, text)
    for mark in ("mark", "dot", "dot-failed", "dot-untrusted"):
        assert contrast(colours["card"], colours[mark]) >= 3, mark


def contrast(one: str, other: str) -> float:
    """Of two colours, as WCAG counts it."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    shares = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_of_many_kept_changes_all_are_named_and_the_first_are_shown(tmp_path: Path) -> None:
    report: Report = exporting.report_on(two_thousand(tmp_path))
    source = page.page(report)
    document = Document(source)
    assert len(report.kept) == 99 and document.count("article") == page.MOST_DIFFS
    assert "39 more kept changes in the table above." in source
    assert len(source) < 1_500_000
