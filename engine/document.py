"""autoresearch.md, the living document: a fresh agent can resume from it alone.

A person writes in it too. The engine writes between two markers only, and commits the file by itself.
"""

import time
from string import Template

from engine import knobs
from engine.history import History
from engine.ledger import Experiment
from engine.repository import Repository
from engine.workspace import DOCUMENT, Workspace

BEGIN = "<!-- autoresearch: written by the engine, from here … -->"
END = "<!-- … to here -->"
BEST_SHOWN = 10
LATEST_SHOWN = 10


def compose(template: str, facts: dict[str, str]) -> str:
    """The document of a new session from its template (assets/autoresearch.md)."""
    return Template(template).substitute(facts, learned=f"{BEGIN}\n\nNothing yet.\n\n{END}")


def update(workspace: Workspace, repository: Repository, history: History) -> bool:
    """Bring the engine's part up to date and commit it.

    Returns whether it was left alone: a person has uncommitted edits in it, or it is not UTF-8.
    """
    committed = repository.read("HEAD", DOCUMENT)
    if committed is None:
        return False
    if not repository.is_clean(DOCUMENT):
        return True
    try:
        text = committed.decode("utf-8")
    except UnicodeDecodeError:
        return True
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        return False
    updated = f"{before}{BEGIN}\n\n{learned(history)}\n{END}{after}"
    if updated != text:
        count = len(history.segment.experiments)
        repository.commit(
            {DOCUMENT: updated.encode()}, f"notes: what {count} runs have shown", parent=repository.head()
        )
    return False


def learned(history: History) -> str:
    """What the session has shown so far, as Markdown."""
    segment, best, baseline = history.segment, history.incumbent, history.segment.baseline
    if best is None or baseline is None or best.metric is None or baseline.metric is None:
        return "No run has produced a metric yet.\n"
    experiments = segment.experiments
    kept = [each for each in experiments if each.kept and each is not baseline]
    lines = [
        f"State on {time.strftime('%Y-%m-%d %H:%M', time.localtime(experiments[-1].timestamp))}: "
        f"{len(experiments)} runs, {len(kept)} kept, {sum(each.crashed for each in experiments)} crashed.",
        f"Baseline {baseline.metric:.6f} (run {baseline.run}), incumbent {best.metric:.6f} (run {best.run}, "
        f"commit {best.commit[:12]}).",
        "",
        "The incumbent's knobs:",
        "",
        *(f"- `{name} = {value!r}`" for name, value in _knobs(history, best).items()),
        "",
        "What was kept, in order:",
        "",
        *(_line(each) for each in kept),
        "",
        f"The last {LATEST_SHOWN} runs:",
        "",
        *(_line(each) for each in experiments[-LATEST_SHOWN:]),
        "",
        "Dead ends (worse than the incumbent of their time, the worst first):",
        "",
        *(_line(each) for each in _dead_ends(experiments)),
    ]
    return "\n".join(lines) + "\n"


def _knobs(history: History, experiment: Experiment) -> dict[str, knobs.Value]:
    source = history.train_of(experiment)
    return knobs.read(source) if source else {}


def _dead_ends(experiments: tuple[Experiment, ...]) -> list[Experiment]:
    failed = [each for each in experiments if not each.kept and not each.skipped]
    worst_first = sorted(failed, key=lambda each: (each.metric is not None, -(each.metric or 0.0)))
    return worst_first[:BEST_SHOWN]


def _line(experiment: Experiment) -> str:
    metric = "no metric" if experiment.metric is None else f"{experiment.metric:.6f}"
    reason = experiment.asi.get("result", "")
    line = f"- run {experiment.run}, {experiment.status}, {metric}: {experiment.description}"
    return f"{line} ({reason})" if reason else line
