"""Pane 3: what was tried, why, what came of it, and what to do next (ASI)."""

from collections.abc import Sequence
from typing import Any

import msgspec
from textual.app import ComposeResult

from engine.events import IdeaQueued
from engine.ledger import FIRST_ASI_KEYS
from tui.painter import LineView
from tui.panes.pane import Pane, View
from tui.spans import Span, Spans, wrap
from tui.text import bpb, change, clean, clean_lines, count, duration, memory
from tui.view_state import Subject, outcome, status_words

STATUS_ROLES = {"keep": "good", "discard": "muted", "crash": "bad", "checks_failed": "warn"}
LABEL = 12
"""Cells of the column of names."""
TITLES = {"hypothesis": "hypothesis", "arch_change": "change", "result": "result", "next_action_hint": "next"}


def notes_of(subject: Subject, width: int) -> list[Spans]:
    """The notes on an experiment as lines of ``width`` cells."""
    asi, word = _asi(subject), _word(subject)
    if clean(asi.get("result", "")) == word:
        asi.pop("result", None)
    lines: list[Spans] = []
    description = _description(subject)
    if description:
        lines += wrap((Span(description, "strong"),), width)
    lines += _verdict(subject, word, width)
    reason = clean(subject.verdict.reason) if subject.verdict else ""
    if reason not in ("", word, clean(asi.get("result", ""))):
        lines += wrap((Span(reason, "muted"),), width)
    if lines:
        lines.append(())
    for key in FIRST_ASI_KEYS:
        if asi.get(key) not in (None, ""):
            role = STATUS_ROLES.get(_status(subject), "") if key == "result" else ""
            lines += _entry(TITLES[key], asi[key], width, role if role in ("bad", "warn") else "")
    others = [key for key in asi if key not in FIRST_ASI_KEYS and asi[key] not in (None, "")]
    for key in others:
        lines += _entry(clean(key), asi[key], width)
    for note in subject.notes:
        lines += _entry("note", note, width, "accent")
    metrics = _metrics(subject)
    if metrics:
        if lines and lines[-1]:
            lines.append(())
        lines += metrics
    return lines


def queue_of(ideas: Sequence[IdeaQueued], width: int) -> list[Spans]:
    """The ideas that wait for their turn, as lines of ``width`` cells."""
    title = Span(f"{count(len(ideas), 'idea')} queued, the next one first", "title")
    return [(title,), *(line for idea in ideas for line in wrap((Span("· " + clean(idea.text)),), width, indent=2))]


def _asi(subject: Subject) -> dict[str, Any]:
    if subject.experiment is not None:
        return dict(subject.experiment.asi)
    return dict(subject.proposal.asi) if subject.proposal else {}


def _description(subject: Subject) -> str:
    if subject.experiment is not None:
        return clean(subject.experiment.description)
    return clean(subject.proposal.description) if subject.proposal else ""


def _status(subject: Subject) -> str:
    experiment = subject.experiment
    if experiment is not None and experiment.inconclusive:
        return "discard"
    return subject.verdict.status if subject.verdict else experiment.status if experiment else ""


def _word(subject: Subject) -> str:
    return outcome(subject.experiment) if subject.experiment else status_words(_status(subject))


def _verdict(subject: Subject, word: str, width: int) -> list[Spans]:
    experiment = subject.experiment
    if not word:
        return []
    spans = [Span(word, STATUS_ROLES.get(_status(subject), ""))]
    if experiment and experiment.metric is not None:
        spans.append(Span(f"  {bpb(experiment.metric)}", "strong"))
        if subject.row and subject.row.is_baseline:
            spans.append(Span("  the baseline", "muted"))
        elif subject.row and (delta := change(subject.row.delta)):
            spans.append(Span(f"  {delta} to its incumbent", "muted"))
    return wrap(tuple(spans), width)


def _entry(title: str, value: Any, width: int, role: str = "") -> list[Spans]:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode("utf-8", "replace")
    label = title[: LABEL - 2].ljust(LABEL)
    lines: list[Spans] = []
    for paragraph in clean_lines(text):
        for piece in wrap((Span(paragraph.strip(), role),), max(8, width - LABEL)):
            lead = label if not lines else " " * LABEL
            lines.append((Span(lead, "title"), *piece))
    return lines


def _metrics(subject: Subject) -> list[Spans]:
    experiment = subject.experiment
    if experiment is None:
        return []
    figures = [(clean(name), _figure(name, value)) for name, value in experiment.metrics.items() if name != "val_bpb"]
    if experiment.seconds is not None:
        figures.append(("took", duration(experiment.seconds)))
    if experiment.commit:
        figures.append(("commit", clean(experiment.commit)[:12]))
    if experiment.source:
        figures.append(("proposed by", clean(experiment.source)))
    wide = max((len(name) for name, _ in figures), default=0) + 2
    return [(Span(name.ljust(wide), "muted"), Span(value)) for name, value in figures]


def _figure(name: str, value: float) -> str:
    if name == "peak_memory_mb":
        return memory(value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


class NotesView(LineView):
    """The notes, wrapped to the pane."""

    def __init__(self) -> None:
        super().__init__()
        self._subject: Subject | None = None
        self._ideas: Sequence[IdeaQueued] = ()
        self._lines: list[Spans] = []
        self._made_for: object = None

    def show(self, subject: Subject | None, ideas: Sequence[IdeaQueued]) -> None:
        if (
            subject is None
            or self._subject is None
            or (subject.run, subject.is_live)
            != (
                self._subject.run,
                self._subject.is_live,
            )
        ):
            self.scroll_to(y=0, animate=False)
        self._subject, self._ideas = subject, ideas
        self._make()

    def on_resize(self) -> None:
        self._make()

    def _make(self) -> None:
        width = max(16, self.size.width - 1)
        wanted = (self._subject, self._ideas, width)
        if wanted != self._made_for:
            self._made_for = wanted
            notes = notes_of(self._subject, width) if self._subject else []
            queue = queue_of(self._ideas, width) if self._ideas else []
            self._lines = [*notes, *([()] if notes and queue else []), *queue]
            self.refresh_lines_now()

    def line_count(self) -> int:
        return len(self._lines)

    def line_at(self, y: int) -> Spans:
        return self._lines[y]


class NotesPane(Pane):
    """What is known of the experiment in words; with none selected also the ideas that wait."""

    NUMBER, NAME = "3", "notes"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._body = NotesView()

    def compose(self) -> ComposeResult:
        yield self.instead
        yield self._body

    @property
    def body(self) -> NotesView:
        return self._body

    def show(self, view: View) -> None:
        self.body.show(view.subject, view.state.ideas if view.selected is None else ())
        self.entitle(view.subject.name if view.subject else "")
        self.say_instead("" if self.body.line_count() else "What is tried and why, and what came of it, appears here.")
