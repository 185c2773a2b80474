"""Pane 3: what was tried, why, what came of it, and what to do next (ASI)."""

from typing import Any

import msgspec
from textual.app import ComposeResult

from engine.ledger import FIRST_ASI_KEYS
from tui.painter import LineView
from tui.panes.pane import Pane, View
from tui.spans import Span, Spans, wrap
from tui.text import bpb, change, clean, clean_lines, duration, memory
from tui.view_state import Subject

STATUS_ROLES = {"keep": "good", "discard": "muted", "crash": "bad", "checks_failed": "bad"}
LABEL = 12
"""Cells of the column of names."""
TITLES = {"hypothesis": "hypothesis", "arch_change": "change", "result": "result", "next_action_hint": "next"}


def notes_of(subject: Subject, width: int) -> list[Spans]:
    """The notes on an experiment as lines of ``width`` cells."""
    asi = _asi(subject)
    lines: list[Spans] = []
    description = _description(subject)
    if description:
        lines += wrap((Span(description, "strong"),), width)
    lines += _verdict(subject, width)
    if lines:
        lines.append(())
    for key in FIRST_ASI_KEYS:
        if asi.get(key) not in (None, ""):
            lines += _entry(TITLES[key], asi[key], width)
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


def _asi(subject: Subject) -> dict[str, Any]:
    if subject.experiment is not None:
        return subject.experiment.asi
    return subject.proposal.asi if subject.proposal else {}


def _description(subject: Subject) -> str:
    if subject.experiment is not None:
        return clean(subject.experiment.description)
    return clean(subject.proposal.description) if subject.proposal else ""


def _verdict(subject: Subject, width: int) -> list[Spans]:
    experiment = subject.experiment
    status = subject.verdict.status if subject.verdict else experiment.status if experiment else ""
    if not status:
        return []
    word = "skipped" if experiment and experiment.skipped else clean(status).replace("_", " ")
    spans = [Span(word, STATUS_ROLES.get(status, ""))]
    if experiment and experiment.metric is not None:
        spans.append(Span(f"  {bpb(experiment.metric)}", "strong"))
        if subject.row and subject.row.is_baseline:
            spans.append(Span("  the baseline", "muted"))
        elif subject.row and subject.row.delta is not None:
            spans.append(Span(f"  {change(subject.row.delta)} to its incumbent", "muted"))
    lines = wrap(tuple(spans), width)
    if subject.verdict and clean(subject.verdict.reason):
        lines += wrap((Span(clean(subject.verdict.reason), "muted"),), width)
    return lines


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
        self._lines: list[Spans] = []
        self._made_for: tuple[Subject | None, int] | None = None

    def show(self, subject: Subject | None) -> None:
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
        self._subject = subject
        self._make()

    def on_resize(self) -> None:
        self._make()

    def _make(self) -> None:
        wanted = (self._subject, self.size.width)
        if wanted != self._made_for:
            self._made_for = wanted
            self._lines = notes_of(self._subject, max(16, self.size.width - 1)) if self._subject else []
            self.refresh_lines_now()

    def line_count(self) -> int:
        return len(self._lines)

    def line_at(self, y: int) -> Spans:
        return self._lines[y]


class NotesPane(Pane):
    """What is known of the experiment in words."""

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
        self.body.show(view.subject)
        self.entitle(view.subject.name if view.subject else "")
        self.say_instead("" if self.body.line_count() else "What is tried and why, and what came of it, appears here.")
