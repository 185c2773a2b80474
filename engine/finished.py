"""The commits of a finished branch: what each one holds, and the message that it gets."""

from collections.abc import Iterable
from dataclasses import dataclass

from engine.harmless import clean
from engine.reporting import Kept, Report
from engine.reporting.figures import change, figure
from engine.words import counted

SUBJECT = 100
"""Characters of a subject; the rest of a longer one is said below it."""
PARAGRAPH = 2000
"""Characters of anything that a proposer wrote."""
MOST_LISTED = 200
"""Kept changes that the one commit of a squashed branch names."""


@dataclass(frozen=True)
class Step:
    """One commit that is to be made."""

    commit: str
    """Whose files it has …"""
    paths: tuple[str, ...]
    """… as far as these go."""
    message: str
    author: str = ""
    """The commit whose author and time it takes over; empty: who finishes, now."""
    figures: str = ""
    """The metric before and after."""
    standing: str = ""
    """How far the evidence for it goes."""

    @property
    def subject(self) -> str:
        return self.message.split("\n", 1)[0]

    @property
    def said(self) -> str:
        """For a person who reads the plan."""
        facts = ", ".join(each for each in (self.figures, self.standing) if each)
        return f"{self.subject}  [{facts}]" if facts else self.subject


def kept_step(
    kept: Kept, report: Report, session: str, commit: str, paths: tuple[str, ...], *, own_words: str = ""
) -> Step:
    """For a kept change; ``own_words``: the message of a person who committed it."""
    experiment, name = kept.run.experiment, report.config.metric_name
    said = own_words.strip() or _text(experiment.description.removeprefix("experiment: ")) or f"run {kept.run.number}"
    moved = f"{clean(name)} {figure(kept.before)} → {figure(kept.after)} ({change(kept.after - kept.before)})"
    where = f"Run {kept.run.number} of {session}" + (f", segment {report.segment + 1}" if report.segments > 1 else "")
    equal = ". It is no gain, but simpler" if kept.gain == 0 else ""
    told = [moved, f"{where}{equal}.\nEvidence: {kept.claim.standing}; {kept.claim.reason}."]
    if hypothesis := _text(experiment.asi.get("hypothesis", "")):
        told.append(f"Hypothesis: {hypothesis}")
    return Step(commit, paths, _message(said, told), author=commit, figures=moved, standing=str(kept.claim.standing))


def measured_step(run: int, baseline: str, paths: tuple[str, ...], said: list[str], *, author: str) -> Step:
    """For what a baseline has that the commit before it has not; ``said``: the messages of who made it so."""
    told = f"As run {run}, a baseline, measured it."
    if author:
        return Step(baseline, paths, _message(said[0].strip() or "no message", [told]), author=author)
    what = paths[0] if len(paths) == 1 else counted(len(paths), "file")
    subjects = [f"- {_text(each.split(chr(10), 1)[0])[:SUBJECT]}" for each in said[:MOST_LISTED]]
    return Step(baseline, paths, _message(f"{clean(what)}: as run {run}, a baseline, measured it", _lines(subjects)))


def squashed(steps: tuple[Step, ...], headline: str, commit: str, paths: Iterable[str]) -> Step:
    """All of it as one."""
    listed = [f"- {each.said}" for each in steps[:MOST_LISTED]]
    if len(steps) > MOST_LISTED:
        listed.append(f"- and {len(steps) - MOST_LISTED} more")
    return Step(commit, tuple(sorted(paths)), _message(headline, _lines(listed)))


def _lines(lines: list[str]) -> list[str]:
    return ["\n".join(lines)] if lines else []


def _text(said: object) -> str:
    """One line of what a proposer wrote."""
    words = " ".join(clean(said).split())
    return words if len(words) <= PARAGRAPH else words[: PARAGRAPH - 1] + "…"


def _message(said: str, paragraphs: list[str]) -> str:
    """A subject and what is to be read below it."""
    subject, _, rest = said.partition("\n")
    if len(subject) > SUBJECT:
        rest, subject = f"{subject}\n{rest}", subject[: SUBJECT - 1].rstrip() + "…"
    return "\n\n".join(each for each in (subject, rest.strip(), *paragraphs) if each) + "\n"
