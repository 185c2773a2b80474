"""How a report writes numbers, and the sentences that all of its forms have in common."""

import math
import time

from engine.harmless import clean
from engine.ledger import FIRST_ASI_KEYS
from engine.reporting import LARGEST, Failures, Report, Run
from engine.words import amount, counted, listed, money

MINUS = "−"
MOST_LISTED = 12
"""Runs or lines that are named by their numbers."""
LONGEST_UNIT = 10
"""Characters."""


def figure(value: float | None) -> str:
    """A metric: 1.7421, 15234.5, 3.21e-05, >1e+150; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    if size >= LARGEST:
        text = f"{'>' if value > 0 else '<-'}{LARGEST:.4g}"
    elif size == 0 or 0.01 <= size < 100:
        text = f"{value + 0.0:.4f}"
    elif size < 1e7:
        text = f"{value:,.1f}" if size >= 1000 else f"{value:.2f}" if size >= 100 else f"{value:.4g}"
    else:
        text = f"{value:.4g}"
    return text.replace("-", MINUS, 1) if value < 0 else text


def change(value: float) -> str:
    """A difference with its sign: of a small one the first two figures that are not 0."""
    if value == 0:
        return "±0"
    size = abs(value)
    digits = 4 if size >= 0.001 else 1 - math.floor(math.log10(size))
    text = figure(size) if size >= 0.01 else f"{size:.{digits}f}" if size >= 1e-6 else f"{size:.2g}"
    return ("+" if value > 0 else MINUS) + text


def percent(report: Report) -> str:
    """The gain as a share of the baseline, with its sign; empty where there is none."""
    if report.gain is None or report.baseline is None or not report.baseline.value:
        return ""
    share = 100 * report.gain / abs(report.baseline.value)
    if not math.isfinite(share) or share == 0:
        return ""
    size = abs(share)
    words = f"{size:.2g}" if size < 0.01 or size >= 1e7 else f"{size:,.{2 if size < 10 else 1}f}"
    return ("+" if share > 0 else MINUS) + f"{words}%"


def hours(seconds: float) -> str:
    """9.3 hours, 12 minutes."""
    if seconds >= 2 * 3600:
        return f"{seconds / 3600:.1f} hours"
    return counted(round(seconds / 60), "minute") if seconds >= 90 else counted(round(seconds), "second")


def date(seconds: float | None) -> str:
    """2026-11-24 03:12, in the machine's own time zone; empty where nobody knows, or it is no time."""
    try:
        return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return ""


def runs_of(runs: tuple[Run, ...]) -> str:
    """Runs 8, 19 and 41."""
    return f"{'run' if len(runs) == 1 else 'runs'} {listed([each.number for each in runs], MOST_LISTED)}"


def headline(report: Report) -> str:
    """What came of the session, in a sentence."""
    name, baseline, best = report.config.metric_name, report.baseline, report.best
    if not report.runs:
        return "No experiment has been recorded yet."
    if baseline is None or best is None:
        return f"None of the {counted(len(report.runs), 'run')} gave a {name}."
    after = f"after {counted(report.tried, 'experiment')}"
    if report.gain is None:
        return f"Nothing has beaten the baseline's {name} of {figure(baseline.value)}{unit(report)} {after}."
    share = percent(report)
    by = f"{change(report.gain)}{f', {share}' if share else ''}"
    return f"{name} went from {figure(baseline.value)} to {figure(best.value)}{unit(report)} ({by}) {after}."


def unit(report: Report) -> str:
    """The metric's unit as it stands behind a figure, with the space between them."""
    return f" {said[:LONGEST_UNIT]}" if (said := clean(report.unit)) else ""


def which(report: Report) -> str:
    """That there is more in the ledger than is told here; empty where there is not."""
    if report.segments < 2:
        return ""
    number = report.segment + 1
    other = f"`--segment {3 - number}` is another" if report.segments == 2 else "`--segment N` tells another"
    return f"segment {number} of {report.segments}; {other}"


def standing(report: Report) -> str:
    """How far the evidence for the whole gain goes, in a sentence; empty where there is no gain."""
    if report.total is None:
        return ""
    return f"The gain is {report.total.standing}: {report.total.reason}."


def thoughts(run: Run) -> list[tuple[str, str]]:
    """What was thought over a run, by whoever proposed it, and by people since: each a name and a text."""
    asi = run.experiment.asi
    names = [name for name in (*FIRST_ASI_KEYS, *asi) if asi.get(name) not in (None, "", run.experiment.description)]
    said = [(name.replace("_", " "), str(asi[name])) for name in dict.fromkeys(names)]
    return [*said, *(("a person's note", note.text) for note in run.notes)]


def lesson(run: Run) -> str:
    """What a run taught, in a line; empty where nobody said."""
    asi = run.experiment.asi
    said = [str(asi[name]) for name in ("result", "next_action_hint") if asi.get(name)]
    return "; ".join([*said, *(note.text for note in run.notes)])


def changes_of(failures: Failures, most: int = 3) -> str:
    """What the experiments that failed for one reason had tried."""
    said = list(dict.fromkeys(clean(each.experiment.description) for each in failures.runs))
    return "; ".join(said[:most]) + (f"; {len(said) - most} more" if len(said) > most else "")


def method(report: Report) -> str:
    """How it was found, in a sentence."""
    name, way = report.config.metric_name, "lower" if report.lower_is_better else "higher"
    who = f", proposed by {report.facts.proposer}," if report.facts.proposer else ""
    return (
        f"Each experiment is one change{who} that is trained within the same budget and kept where {name} is {way} "
        "than the best so far; what is not kept is taken back, so that each one starts from the best."
    )


def counts(report: Report) -> str:
    """100: 7 kept, 83 discarded, 9 crashed, 1 skipped."""
    words = [each.word for each in report.runs if each is not report.baseline]
    found = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(["kept", *sorted(set(words))]))
    return f"{report.tried}: {found}" if words else str(report.tried)


def budget(report: Report) -> list[tuple[str, str]]:
    """What it took: each a name and a figure."""
    spent = report.spent
    lines = [("Experiments", counts(report))]
    if report.began and report.ended and report.ended > report.began:
        lines.append(("When", f"{date(report.began)} to {date(report.ended)} ({hours(report.ended - report.began)})"))
    if report.run_seconds:
        lines.append(("Time in runs", hours(report.run_seconds)))
    if report.repeats:
        lines.append(("Repeats of a configuration", counted(report.repeats, "run")))
    if spent.tokens:
        lines.append(("Tokens of the proposer", f"{amount(spent.tokens_in)} in, {amount(spent.tokens_out)} out"))
    if spent.dollars:
        lines.append(("Dollars for proposals", money(spent.dollars)))
    if spent.seconds:
        lines.append(("Time of the proposer", hours(spent.seconds)))
    return lines


def strength(confidence: float) -> str:
    """What a session's confidence says, in words."""
    return "likely real" if confidence >= 2 else "marginal" if confidence >= 1 else "noise"


def evidence(report: Report) -> list[tuple[str, str]]:
    """How far the figures can be trusted."""
    lines = [("Claim", f"{report.total.standing}: {report.total.reason}" if report.total else "none: nothing was kept")]
    lines.append(("Noise floor", report.floor.text if report.floor else "not measured: nothing was repeated"))
    words = "≥ 2 likely real, 1–2 marginal, < 1 noise; of the session as a whole"
    known = "–" if report.confidence is None else f"{report.confidence:.1f} ({words})"
    lines.append(("Confidence", known))
    if report.bad_lines:
        numbers = listed([each.number for each in report.bad_lines], MOST_LISTED)
        lines.append(("Lines that could not be read", f"{len(report.bad_lines)} ({numbers})"))
    return lines
