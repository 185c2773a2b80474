"""The report as one HTML document: what one would put on a web server.

It asks the network for nothing, and its policy forbids it to: the style sheet, the script and the chart are within.
Without JavaScript all of it can be read; the script (assets/report/page.js) adds what points, sorts and filters.
"""

import base64
import hashlib
import json
import re
from functools import cache
from html import escape
from pathlib import Path

from engine.harmless import clean, clean_lines
from engine.reporting import MADE_BY, Failures, Kept, Report, Run, chart, figures, prose
from engine.reporting.chart import Size
from engine.reporting.figures import change, figure
from engine.words import counted

ASSETS = Path(__file__).resolve().parents[2] / "assets" / "report"
WIDE = Size(1000, 520, 72, 14, 14, 54, stands_alone=False)
NARROW = Size(420, 400, 56, 10, 12, 54, ticks=(5, 5), most_labels=6, longest_label=22, stands_alone=False)
MOST_DIFFS = 60
"""Kept changes that are shown with their diffs; the others have their line in the tables."""
LONG_DIFF = 60
"""Lines; a longer one is folded."""
MOST_TRIED = 25
MOST_FAILURES = 15
LONGEST = 400
"""Characters of a note."""
LONGEST_NAME = 60
LONGEST_HEADING = 24
"""Of a column."""
_hunk = re.compile(r"@@ ")
_header = re.compile(
    r"(diff --git |index |--- |\+\+\+ |new file |deleted file |similarity |rename |old mode |new mode )"
)


def page(report: Report) -> str:
    """The whole document."""
    style, script = _asset("page.css"), _asset("page.js")
    sections = [each for each in _sections(report) if each[2]]
    title = _text(report.title, LONGEST_NAME) or "autoresearch"
    return "\n".join(
        [
            "<!doctype html>",
            f"<!-- {MADE_BY} -->",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            '<meta name="color-scheme" content="light dark">',
            f'<meta name="description" content="{_text(figures.headline(report), LONGEST)}">',
            f"<title>{title}: autoresearch report</title>",
            '<link rel="icon" href="data:,">',
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            _header_of(report, title, [(anchor, name) for anchor, name, _ in sections]),
            "<main>",
            _figure(report),
            *(_section(anchor, name, body) for anchor, name, body in sections),
            "</main>",
            f"<footer>{MADE_BY[0].upper()}{MADE_BY[1:]}.</footer>",
            f'<script type="application/json" id="runs">{_data(report)}</script>',
            f"<script>{script}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


@cache
def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """What the browser lets the document do: have this style sheet and this script, and nothing else."""
    rules = (
        "default-src 'none'",
        f"style-src '{_hash(style)}'",
        f"script-src '{_hash(script)}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(rules)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _text(said: object, longest: int = 2000) -> str:
    """One line that shows what it says, whatever it says; it fits between tags and into an attribute."""
    return escape(_short(said, longest))


def _short(said: object, longest: int) -> str:
    line = clean(said)
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _said(run: Run) -> str:
    return _text(run.experiment.description, LONGEST) or "(no description)"


def _behind(run: Run) -> str:
    """How far a run was from the best of its time."""
    return "" if run.best_before is None or run.value is None else change(run.value - run.best_before)


def _section(anchor: str, name: str, body: str) -> str:
    return f'<section aria-labelledby="{anchor}">\n<h2 id="{anchor}">{name}</h2>\n{body}\n</section>'


def _sections(report: Report) -> list[tuple[str, str, str]]:
    """(anchor, title, body) of each; what there is nothing to say about has no body."""
    return [
        ("found", "What was found", _found(report)),
        ("learned", "What was learned", _learned(report)),
        ("tried", "Tried and not kept", _tried(report)),
        ("failed", "What failed", _failed(report)),
        ("trust", "How far to trust this", _pairs(figures.evidence(report)) if report.runs else ""),
        ("took", "What it took", _took(report)),
        ("runs-title", "Every run", _every_run(report)),
    ]


# the top


def _header_of(report: Report, title: str, sections: list[tuple[str, str]]) -> str:
    which = re.sub(r"`(.+)`", r"<code>\1</code>", figures.which(report))
    about = " · ".join(each for each in ("autoresearch report", figures.date(report.ended)[:10], which) if each)
    links = "".join(f'<a href="#{anchor}">{name}</a>' for anchor, name in sections)
    lines = [
        "<header>",
        f'<p class="about">{about}</p>',
        f"<h1>{title}</h1>",
        f'<p class="lead">{_text(figures.headline(report))}</p>',
    ]
    if report.total is not None:
        lines.append(f'<p class="standing">{_claim(report.total.standing)} {_text(report.total.reason)}</p>')
    lines += [_tiles(report), *([f'<nav aria-label="Contents">{links}</nav>'] if links else []), "</header>"]
    return "\n".join(lines)


def _claim(standing: str) -> str:
    return f'<span class="claim {standing}">{standing}</span>'


def _tiles(report: Report) -> str:
    """The figures that one looks for first."""
    if not report.runs:
        return ""
    kept = len(report.kept)
    tiles = [("Kept", f"{kept:,}", f"of {counted(report.tried, 'experiment')}")]
    if report.confidence is not None:
        strength = figures.strength(report.confidence)
        tiles.append(("Confidence", f"{report.confidence:.1f}", f"{strength}, as a session"))
    if report.floor is not None and report.floor.is_noise:
        tiles.append(("Noise", f"±{report.floor.margin():.2g}", "what chance alone may bring"))
    if report.began and report.ended and report.ended > report.began:
        number, _, unit = figures.hours(report.ended - report.began).partition(" ")
        tiles.append(("Took", number, unit))
    cells = (
        f"<div><dt>{name}</dt><dd><b>{_text(number)}</b> <span>{_text(said)}</span></dd></div>"
        for name, number, said in tiles
    )
    return f'<dl class="tiles">{"".join(cells)}</dl>'


def _figure(report: Report) -> str:
    """The chart in two sizes, of which the style sheet shows one, with what points at a run."""
    if all(each.value is None for each in report.runs):
        return ""
    keys = "".join(
        f'<li><svg viewBox="-10 -8 18 16" aria-hidden="true">{chart.sample(kind, 0, 0)}</svg>{said}</li>'
        for kind, said in chart.legend(report)
    )
    said = f"{_text(chart.measure(report))}. {_text(figures.headline(report))}"
    charts = (
        f'<svg class="chart {name}" viewBox="0 0 {size.width} {size.height}" role="img" aria-label="{said}">'
        f"{chart.shapes(report, size)}</svg>"
        for name, size in (("wide", WIDE), ("narrow", NARROW))
    )
    return "\n".join(
        [
            "<figure>",
            f'<figcaption><span>{_text(chart.measure(report))}</span><ul class="keys">{keys}</ul></figcaption>',
            f'<div class="plot">{"".join(charts)}<div class="tip" role="status" hidden></div></div>',
            "</figure>",
        ]
    )


# what was found


def _found(report: Report) -> str:
    if not report.kept:
        return ""
    lines = ["<p>In order of worth: what is better proven first, then what gained more.</p>"]
    if len(report.kept) > 1:
        name = _text(report.config.metric_name, LONGEST_HEADING)
        rows = [_found_row(each, has_article=at < MOST_DIFFS) for at, each in enumerate(report.kept)]
        lines.append(_table(("run", "change", name, "gain", "claim"), rows))
    lines += [_change(report, each) for each in report.kept[:MOST_DIFFS]]
    if (left := len(report.kept) - MOST_DIFFS) > 0:
        lines.append(f"<p>{counted(left, 'more kept change')} in the table above.</p>")
    return "\n".join(lines)


def _found_row(kept: Kept, *, has_article: bool) -> str:
    return (
        f'<tr><td class="number">{_link(kept.run, "run" if has_article else "row")}</td>'
        f'<td class="said">{_said(kept.run)}</td>'
        f'<td class="number">{figure(kept.before)} → {figure(kept.after)}</td>'
        f'<td class="number">{change(kept.gain)}</td><td>{_claim(kept.claim.standing)}</td></tr>'
    )


def _link(run: Run, to: str) -> str:
    """A run's number, which leads to its change (run) or to its line among all runs (row)."""
    return f'<a href="#{to}-{run.number}">{run.number}</a>'


def _table(names: tuple[str, ...], rows: list[str], attributes: str = "") -> str:
    heads = "".join(f'<th scope="col"{_aligned(each)}>{each}</th>' for each in names)
    body = "\n".join(rows)
    return f"<table{attributes}>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _aligned(name: str) -> str:
    """To the right over figures, which all columns have that are not words."""
    return "" if name in ("change", "status", "claim", "what was learned") else ' class="number"'


def _change(report: Report, kept: Kept) -> str:
    run, experiment = kept.run, kept.run.experiment
    commit = f" · <code>{experiment.commit[:12]}</code>" if experiment.commit.isalnum() else ""
    metrics = (
        f"{_text(report.config.metric_name, LONGEST_NAME)} {figure(kept.before)} → <b>{figure(kept.after)}</b>"
        f" · gain {change(kept.gain)}{commit}"
    )
    return "\n".join(
        [
            f'<article id="run-{run.number}">',
            f'<h3><a class="run" href="#row-{run.number}">run {run.number}</a> {_said(run)}</h3>',
            f'<p class="metrics">{metrics}</p>',
            f"<p>{_claim(kept.claim.standing)} {_text(kept.claim.reason)}.</p>",
            _pairs(figures.thoughts(run), LONGEST),
            _diff(kept.diff),
            "</article>",
        ]
    )


def _pairs(pairs: list[tuple[str, str]], longest: int = 2000) -> str:
    if not pairs:
        return ""
    entries = (
        f"<div><dt>{_text(name, LONGEST_NAME)}</dt><dd>{_text(said, longest)}</dd></div>" for name, said in pairs
    )
    return f'<dl class="pairs">{"".join(entries)}</dl>'


def _diff(diff: str) -> str:
    if not diff.strip():
        return ""
    lines = clean_lines(diff.rstrip("\n"))
    shown = "".join(f'<span class="{_kind(each)}">{escape(each)}\n</span>' for each in lines)
    is_open = " open" if len(lines) <= LONG_DIFF else ""
    added = sum(_kind(each) == "add" for each in lines)
    removed = sum(_kind(each) == "del" for each in lines)
    summary = f'Diff <span class="add">+{added}</span> <span class="del">−{removed}</span>'
    return f'<details{is_open}><summary>{summary}</summary><pre tabindex="0"><code>{shown}</code></pre></details>'


def _kind(line: str) -> str:
    """The class of a diff's line."""
    if _hunk.match(line):
        return "hunk"
    if _header.match(line):
        return "head"
    return {"+": "add", "-": "del"}.get(line[:1], "same")


# the rest


def _learned(report: Report) -> str:
    """What people and agents wrote down."""
    return f'<div class="prose">{prose.html(report.facts.learned, 2)}</div>' if report.facts.learned else ""


def _tried(report: Report) -> str:
    """What came close and was not kept, with what it taught."""
    if not report.discarded:
        return ""
    lines = []
    if len(report.discarded) > MOST_TRIED:
        lines.append(f"<p>The {MOST_TRIED} that came closest, of {len(report.discarded):,}.</p>")
    name = _text(report.config.metric_name, LONGEST_HEADING)
    rows = [
        f'<tr><td class="number">{_link(each, "row")}</td><td class="said">{_said(each)}</td>'
        f'<td class="number">{figure(each.value)}</td><td class="number">{_behind(each)}</td>'
        f'<td class="lesson">{_text(figures.lesson(each), LONGEST)}</td></tr>'
        for each in report.discarded[:MOST_TRIED]
    ]
    lines.append(_table(("run", "change", name, "to the best then", "what was learned"), rows))
    return "\n".join(lines)


def _failed(report: Report) -> str:
    if not report.failures:
        return ""
    lines = [_failure(each) for each in report.failures[:MOST_FAILURES]]
    if (left := len(report.failures) - MOST_FAILURES) > 0:
        lines.append(f"<li>and {counted(left, 'other reason')}</li>")
    return f'<ul class="failures">{"".join(lines)}</ul>'


def _failure(failures: Failures) -> str:
    changes = _text(figures.changes_of(failures), LONGEST)
    return f"<li><b>{_text(failures.reason, LONGEST)}</b> ({figures.runs_of(failures.runs)})<br>{changes}</li>"


def _took(report: Report) -> str:
    if not report.runs:
        return ""
    return f"{_pairs(figures.budget(report))}\n<p>{_text(figures.method(report))}</p>"


def _every_run(report: Report) -> str:
    if not report.runs:
        return ""
    name = _text(report.config.metric_name, LONGEST_HEADING)
    names = ("run", name, "to the best then", "status", "change")
    shown = {each.run.number for each in report.kept[:MOST_DIFFS]}
    rows = [_row(each, has_article=each.number in shown) for each in report.runs]
    filter_ = (
        '<p class="filter" hidden><input type="search" id="filter" placeholder="Filter: a word, a status, a number" '
        'aria-label="Filter the runs" autocomplete="off" spellcheck="false"> <output for="filter"></output></p>'
    )
    table = _table(names, rows, ' id="runs-table"')
    return f"{filter_}\n{table}"


def _row(run: Run, *, has_article: bool) -> str:
    number = _link(run, "run") if has_article else str(run.number)
    kind = chart.KINDS.get(run.word, "other")
    return (
        f'<tr id="row-{run.number}"><td class="number">{number}</td><td class="number">{figure(run.value)}</td>'
        f'<td class="number">{_behind(run)}</td><td class="status {kind}">{_text(run.word, 40)}</td>'
        f'<td class="said">{_said(run)}</td></tr>'
    )


def _data(report: Report) -> str:
    """What the script knows of the runs: all of it is in the document, but for the hypotheses."""
    runs = [
        {
            "run": each.number,
            "kind": chart.KINDS.get(each.word, "other"),
            "status": _short(each.word, 40),
            "value": each.value,
            "metric": figure(each.value),
            "apart": None if each.best_before is None or each.value is None else each.value - each.best_before,
            "behind": _behind(each),
            "change": _short(each.experiment.description, 160),
            "why": _short(each.experiment.asi.get("hypothesis") or "", 240),
        }
        for each in report.runs
    ]
    best = next((at for at, each in enumerate(report.runs) if each is report.best), 0)
    data = {"metric": _short(report.config.metric_name, LONGEST_NAME), "best": best, "runs": runs}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
