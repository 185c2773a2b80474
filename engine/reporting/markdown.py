"""The report as Markdown: what one would send to a colleague."""

import re

from engine.harmless import clean, clean_lines
from engine.reporting import MADE_BY, Failures, Kept, Report, Run, figures
from engine.reporting.figures import change, figure
from engine.words import counted

MOST_DIFFS = 30
"""Kept changes that are shown with their diffs; the others have their line in the table."""
MOST_TRIED = 25
MOST_FAILURES = 15
MOST_RUNS = 60
"""Up to so many runs all are listed; the tsv has any number."""
LONGEST = 400
"""Characters of a note."""
SPARKS = "▁▂▃▄▅▆▇█"
SPARKS_WIDE = 60
_special = re.compile(r"([\\`*\[\]<>|~]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_]))")
_block = re.compile(r"^(\s*)([#+-]|\d+[.)])(?=\s|$)")


def markdown(report: Report, chart: str = "") -> str:
    """``chart``: the name of a picture that lies beside the report; without one a line of characters stands for it."""
    parts = [
        [f"<!-- {MADE_BY} -->"],
        [f"# {_text(report.title) or 'autoresearch'}"],
        [_text(figures.headline(report)), *([_text(figures.standing(report))] if report.total else [])],
        [f"This is {which}."] if (which := figures.which(report)) else [],
        _chart(report, chart),
        _found(report),
        _changes(report),
        _learned(report),
        _tried(report),
        _failed(report),
        _list("How far to trust this", figures.evidence(report)),
        _list("What it took", figures.budget(report)),
        ["## Method", "", _text(figures.method(report))],
        _every_run(report),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _text(said: object, longest: int = 2000) -> str:
    """One line that shows what it says, whatever it says: no Markdown, no HTML."""
    line = clean(said)
    if len(line) > longest:
        line = line[: longest - 1].rstrip() + "…"
    return _block.sub(r"\1\\\2", _special.sub(r"\\\1", line))


def _list(title: str, entries: list[tuple[str, str]]) -> list[str]:
    return [f"## {title}", "", *(f"- {name}: {_text(said)}" for name, said in entries)]


def _chart(report: Report, name: str) -> list[str]:
    if name:
        return [f"![{_text(figures.headline(report))}](<{re.sub(r'[<>]', '', clean(name))}>)"]
    best = [each.value for each in report.runs if each.experiment.kept and each.value is not None]
    if len(best) < 2:
        return []
    series = _running_best(report)
    low, high = min(series), max(series)
    line = "".join(SPARKS[round((value - low) / ((high - low) or 1.0) * (len(SPARKS) - 1))] for value in series)
    return ["```", f"{figure(series[0])} {line} {figure(series[-1])}   the best so far, run by run", "```"]


def _running_best(report: Report) -> list[float]:
    found: list[float] = []
    for run in report.runs:
        if run.experiment.kept and run.value is not None:
            found.append(run.value)
        elif found:
            found.append(found[-1])
    if len(found) <= SPARKS_WIDE:
        return found
    return [found[round(at * (len(found) - 1) / (SPARKS_WIDE - 1))] for at in range(SPARKS_WIDE)]


def _found(report: Report) -> list[str]:
    if not report.kept:
        return []
    name = _text(report.config.metric_name)
    lines = [
        "## What was found",
        "",
        "In order of worth: what is better proven first, then what gained more.",
        "",
        f"| run | change | {name} | gain | claim |",
        "| ---: | --- | --- | ---: | --- |",
    ]
    for each in report.kept:
        metrics = f"{figure(each.before)} → {figure(each.after)}"
        cells = (str(each.run.number), _said(each.run), metrics, change(each.gain), str(each.claim.standing))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _said(run: Run) -> str:
    return _text(run.experiment.description, LONGEST) or "(no description)"


def _changes(report: Report) -> list[str]:
    lines: list[str] = []
    for each in report.kept[:MOST_DIFFS]:
        lines += ["", *_change(report, each)] if lines else _change(report, each)
    if left := len(report.kept) - MOST_DIFFS:
        lines += ["", f"{counted(left, 'more kept change')} in the table above."] if left > 0 else []
    return lines


def _change(report: Report, kept: Kept) -> list[str]:
    run, experiment = kept.run, kept.run.experiment
    metrics = f"{_text(report.config.metric_name)} {figure(kept.before)} → {figure(kept.after)}"
    commit = f", commit `{experiment.commit[:12]}`" if experiment.commit.isalnum() else ""
    claim = kept.claim
    return [
        f"### Run {run.number}: {_said(run)}",
        "",
        f"{metrics}, a gain of {change(kept.gain)}{commit}. {str(claim.standing).capitalize()}: {_text(claim.reason)}.",
        *_notes(run),
        *_diff(kept.diff),
    ]


def _notes(run: Run) -> list[str]:
    """What was thought over it, by whoever proposed it, and by people since."""
    lines = [f"- {_text(name, 60)}: {_text(said, LONGEST)}" for name, said in figures.thoughts(run)]
    return ["", *lines] if lines else []


def _diff(diff: str) -> list[str]:
    if not diff.strip():
        return []
    lines = clean_lines(diff.rstrip("\n"))
    longest = max((len(found) for line in lines for found in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return ["", f"{fence}diff", *lines, fence]


def _learned(report: Report) -> list[str]:
    """What people and agents wrote down; their headings go below ours."""
    if not report.facts.learned:
        return []
    lines = [re.sub(r"^#{1,6}\s", "#### ", line) for line in clean_lines(report.facts.learned)]
    return ["## What was learned", "", *(line.replace("<", "&lt;") for line in lines)]


def _tried(report: Report) -> list[str]:
    """What came close and was not kept, with what it taught."""
    if not report.discarded:
        return []
    title = "What was tried and not kept"
    if len(report.discarded) > MOST_TRIED:
        title += f" (the {MOST_TRIED} that came closest, of {len(report.discarded)})"
    lines = [f"## {title}", "", "| run | change | metric | to the best then | what was learned |"]
    lines.append("| ---: | --- | ---: | ---: | --- |")
    for each in report.discarded[:MOST_TRIED]:
        behind = "" if each.best_before is None or each.value is None else change(each.value - each.best_before)
        cells = (str(each.number), _said(each), figure(each.value), behind, _text(figures.lesson(each), LONGEST))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _failed(report: Report) -> list[str]:
    if not report.failures:
        return []
    lines = [f"- {_failure(each)}" for each in report.failures[:MOST_FAILURES]]
    if (left := len(report.failures) - MOST_FAILURES) > 0:
        lines.append(f"- and {counted(left, 'other reason')}")
    return ["## What failed", "", *lines]


def _failure(failures: Failures) -> str:
    changes = figures.changes_of(failures)
    return f"{_text(failures.reason, LONGEST)} ({figures.runs_of(failures.runs)}): {_text(changes, LONGEST)}"


def _every_run(report: Report) -> list[str]:
    if not report.runs:
        return []
    if len(report.runs) > MOST_RUNS:
        said = f"{counted(len(report.runs), 'run')}: `autoresearch-tui export --format tsv` lists them all."
        return ["## Every run", "", said]
    lines = ["## Every run", "", f"| run | {_text(report.config.metric_name)} | status | change |"]
    lines.append("| ---: | ---: | --- | --- |")
    return [
        *lines,
        *(f"| {each.number} | {figure(each.value)} | {_text(each.word)} | {_said(each)} |" for each in report.runs),
    ]
