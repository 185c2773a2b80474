"""autoresearch.md, the living document: a fresh agent can resume from it alone.

A person writes in it too. The engine writes between two markers only, and commits the file by itself.
"""

import time
from collections import Counter
from string import Template

from engine import knobs
from engine.claims import claims
from engine.errors import UnusableWorkspace
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
    """Bring the engine's part up to date and commit it. Where it says already what there is to say, or the session's
    branch is not checked out, nothing is written: it may be called whenever no experiment is under way.

    Returns whether it was left alone: a person has uncommitted edits in it, or it is not UTF-8.
    """
    if not _has_branch(repository, history):
        return False
    committed = repository.read("HEAD", DOCUMENT)
    if committed is None:
        return False
    try:
        text = committed.decode("utf-8")
    except UnicodeDecodeError:
        return True
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        return False
    updated = f"{before}{BEGIN}\n\n{learned(history)}\n{END}{after}"
    if updated == text:
        return False
    if not repository.is_clean(DOCUMENT):
        return True
    count = len(history.segment.experiments)
    message = f"notes: what {_runs(count)} {'has' if count == 1 else 'have'} shown"
    repository.commit({DOCUMENT: updated.encode()}, message, parent=repository.head())
    return False


def _has_branch(repository: Repository, history: History) -> bool:
    """Whether the session's branch is checked out."""
    wanted = history.segment.config.branch
    try:
        return wanted is None or repository.branch() == wanted
    except UnusableWorkspace:
        return False


def learned(history: History) -> str:
    """What the session has shown so far, as Markdown."""
    segment, best, baseline = history.segment, history.incumbent, history.segment.baseline
    if best is None or baseline is None or best.metric is None or baseline.metric is None:
        return "No run has produced a metric yet.\n"
    experiments = segment.experiments
    kept = [each for each in experiments if each.kept and each is not baseline]
    counts = Counter(each.result if each.inconclusive else each.status for each in experiments)
    state = [_runs(len(experiments)), f"{len(kept)} kept", f"{counts['crash']} crashed"]
    if failed := counts["checks_failed"]:
        state.append(f"{failed} failed {'its' if failed == 1 else 'their'} checks")
    lines = [
        f"State on {time.strftime('%Y-%m-%d %H:%M', time.localtime(experiments[-1].timestamp))}: {', '.join(state)}.",
        f"Baseline {baseline.metric:.6f} (run {baseline.run}), incumbent {best.metric:.6f} (run {best.run}, "
        f"commit {best.commit[:12]}).",
    ]
    found = claims(segment)
    if (total := found.total) is not None:
        gain = f"Better than the baseline by {total.gain:.6f}" if total.gain > 0 else "Its gain over the baseline"
        lines.append(f"{gain}, {total.standing}: {total.reason}.")
    lines.append(f"Noise floor: {found.floor.text if found.floor else 'not measured yet'}.")
    standings = {each.run: str(each.standing) for each in found.steps}
    latest = experiments[-LATEST_SHOWN:]
    title = f"The last {_runs(len(latest))}" if len(latest) < len(experiments) else "Every run"
    lines += _list("The incumbent's knobs", [f"- `{name} = {value!r}`" for name, value in _knobs(history, best)])
    lines += _list("What was kept, in order", [_line(each, standings.get(each.run, "")) for each in kept])
    lines += _list(title, [_line(each) for each in latest])
    dead_ends = [_line(each) for each in _dead_ends(experiments)]
    lines += _list(
        "Dead ends (crashed, refused, or worse than the incumbent of their time; the worst first)", dead_ends
    )
    return "\n".join(lines) + "\n"


def _list(title: str, entries: list[str]) -> list[str]:
    """A title over its entries; nothing where there are none."""
    return ["", f"{title}:", "", *entries] if entries else []


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _knobs(history: History, experiment: Experiment) -> list[tuple[str, knobs.Value]]:
    """The knobs of an experiment's train.py that make a difference: a seed does not."""
    source = history.train_of(experiment)
    return [each for each in knobs.read(source).items() if not knobs.is_seed(each[0])] if source else []


def _dead_ends(experiments: tuple[Experiment, ...]) -> list[Experiment]:
    failed = [each for each in experiments if not each.kept and not each.inconclusive]
    worst_first = sorted(failed, key=lambda each: (each.status == "discard", -(each.metric or 0.0)))
    return worst_first[:BEST_SHOWN]


def _line(experiment: Experiment, standing: str = "") -> str:
    without_verdict = experiment.result if experiment.inconclusive else None
    facts = [f"run {experiment.run}", without_verdict or experiment.status.replace("_", " ")]
    if experiment.status != "checks_failed" and not without_verdict:
        facts.append("no metric" if experiment.metric is None else f"{experiment.metric:.6f}")
    if standing:
        facts.append(standing)
    reason = experiment.asi.get("result", "")
    line = f"- {', '.join(facts)}: {experiment.description}"
    return f"{line} ({reason})" if reason not in ("", without_verdict) else line
