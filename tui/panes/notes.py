"""Pane 3: what was tried, why, what came of it, and what to do next (ASI); and what the session has learned."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from textual.app import ComposeResult

from engine import noise, spending
from engine.claims import Claim, Claims
from engine.events import IdeaQueued, MessageQueued
from engine.files import open_regular
from engine.ledger import FIRST_ASI_KEYS
from engine.noise import Draw
from engine.words import amount, money
from engine.workspace import DOCUMENT
from tui import markdown
from tui.painter import LineView
from tui.panes.pane import Pane, View
from tui.spans import Span, Spans, plain, wrap
from tui.status_line import STANDING_ROLES
from tui.text import bpb, change, clean, clean_lines, count, duration, memory
from tui.view_state import Subject, outcome, status_words

STATUS_ROLES = {"keep": "good", "discard": "muted", "crash": "bad", "checks_failed": "warn"}
LABEL = 12
"""Cells of the column of names."""
UNWRAPPED = 10_000
"""A width at which nothing is wrapped."""
TITLES = {"hypothesis": "hypothesis", "arch_change": "change", "result": "result", "next_action_hint": "next"}


def notes_of(subject: Subject, width: int) -> list[Spans]:
    """The notes on an experiment as lines of ``width`` cells; of a repeat first what it is and what came of it."""
    asi, word = _asi(subject), _word(subject)
    if clean(asi.get("result", "")) == word:
        asi.pop("result", None)
    lines = _repeat(subject, width)
    description = _description(subject)
    if description:
        lines += wrap((Span(description, "strong"),), width)
    lines += _verdict(subject, word, width)
    reason = clean(subject.verdict.reason) if subject.verdict else ""
    if reason not in ("", word, clean(asi.get("result", ""))):
        lines += wrap((Span(reason, "muted"),), width)
    if lines:
        lines.append(())
    if subject.claim is not None and not _is_all(subject.claim, subject.session):
        lines += _labelled("claim", _claim(subject.claim), width)
    for key in FIRST_ASI_KEYS:
        if asi.get(key) not in (None, ""):
            role = STATUS_ROLES.get(_status(subject), "") if key == "result" else ""
            lines += _entry(TITLES[key], asi[key], width, role if role in ("bad", "warn") else "")
    others = [key for key in asi if key not in FIRST_ASI_KEYS and asi[key] not in (None, "")]
    for key in others:
        lines += _entry(clean(key), asi[key], width)
    for note in subject.notes:
        lines += _entry("note", note, width, "accent")
    session = session_of(subject.session, width) if subject.session else []
    for part in (_draws(subject, width), session, _metrics(subject)):
        if part:
            lines += [*([()] if lines and lines[-1] else []), *part]
    return lines


def _repeat(subject: Subject, width: int) -> list[Spans]:
    """What a repeat is for, and its result; then the title of the notes on the experiment that is repeated."""
    repeat, result = subject.repeat, subject.result
    if repeat is None:
        return []
    asked = "by verify" if repeat.source == "verify" else "by a person"
    lines = wrap((Span(clean(repeat.description), "strong"),), width)
    if subject.is_live:
        state = "cut off, the next engine goes on with it" if subject.is_cut_off else "under way"
        lines += wrap((Span(state, "warn" if subject.is_cut_off else "accent"),), width)
    elif result is None or result.metric is None:
        lines += wrap((Span("ended without a metric", "bad"),), width)
    else:
        took = f"  took {duration(result.seconds)}" if result.seconds is not None else ""
        lines += wrap((Span(bpb(result.metric), "strong"), Span(took, "muted")), width)
    lines += wrap((Span(f"asked for {asked}: evidence on the noise, it changes no verdict", "muted"),), width)
    return [*lines, (), (Span(f"run {subject.run}", "title"),)]


def _is_all(claim: Claim, session: Claims | None) -> bool:
    """Whether the step is the session's whole gain, which is said anyway."""
    total = session.total if session else None
    return total is not None and (claim.run, claim.over) == (total.run, total.over)


def _draws(subject: Subject, width: int) -> list[Spans]:
    """Every run of the experiment's train.py where there is more than one, and of it without a kept change."""
    experiment = subject.experiment
    if experiment is None:
        return []
    own = noise.own_draws(experiment)
    lines: list[Spans] = []
    for without in sorted({each.without or 0 for each in subject.repeats} | ({0} if len(own) > 1 else set())):
        repeats = [each for each in subject.repeats if (each.without or 0) == without]
        first = [] if without else own
        runs = [*first, *(Draw(each.metric, each.seed) for each in repeats if each.metric is not None)]
        failed = sum(each.metric is None for each in repeats)
        words = []
        if runs:
            mean = sum(each.metric for each in runs) / len(runs)
            each_one = ", ".join(_draw_words(run) for run in runs)
            words.append(f"mean {bpb(mean)} of {count(len(runs), 'run')}: {each_one}" if len(runs) > 1 else each_one)
        if failed:
            words.append(f"{failed} gave no metric")
        lines += _labelled(f"without {without}" if without else "repeats", (Span("; ".join(words)),), width)
    return lines


def _draw_words(draw: Draw) -> str:
    return bpb(draw.metric) + ("" if draw.seed is None else f" (seed {draw.seed})")


def _claim(claim: Claim) -> Spans:
    return (Span(str(claim.standing), STANDING_ROLES[claim.standing]), Span(f": {claim.reason}"))


def session_of(found: Claims, width: int) -> list[Spans]:
    """What may be claimed of the whole session, and the noise that it is measured by."""
    lines: list[Spans] = []
    total = found.total
    if total is not None:
        words = f" better than run {total.over}, "
        lead = (Span(bpb(total.gain), "strong"), Span(words, "muted")) if total.gain > 0 else ()
        lines += _labelled("session", (*lead, *_claim(total)), width)
    said = total.reason if total else ""
    if found.floor is not None and found.floor.text not in said:
        lines += _labelled("noise", (Span(found.floor.text),), width)
    elif found.floor is None and total is None:
        lines += _labelled("noise", (Span(found.no_floor, "muted"),), width)
    return lines


def queue_of(ideas: Sequence[IdeaQueued], messages: Sequence[MessageQueued], width: int) -> list[Spans]:
    """What a person said that waits for its turn, as lines of ``width`` cells."""
    lines: list[Spans] = []
    if messages:
        verb = "waits" if len(messages) == 1 else "wait"
        title = f"{count(len(messages), 'message')} {verb} for the proposer's next turn"
        lines += _listed(title, [each.text for each in messages], width)
    if ideas:
        lines += [()] if lines else []
        title = f"{count(len(ideas), 'idea')} queued, the next one first"
        lines += _listed(title, [each.text for each in ideas], width)
    return lines


def _listed(title: str, texts: Sequence[str], width: int) -> list[Spans]:
    entries = (line for text in texts for line in wrap((Span("· " + clean(text)),), width, indent=2))
    return [*wrap((Span(title, "title"),), width), *entries]


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
    lines: list[Spans] = []
    for paragraph in clean_lines(text):
        lines += _labelled(title if not lines else "", (Span(paragraph.strip(), role),), width)
    return lines


def _labelled(title: str, spans: Spans, width: int) -> list[Spans]:
    """A name in its column, and beside it what it names."""
    pieces = wrap(spans, max(8, width - LABEL))
    return [
        (Span((title[: LABEL - 1] if at == 0 else "").ljust(LABEL), "title"), *piece) for at, piece in enumerate(pieces)
    ]


def _metrics(subject: Subject) -> list[Spans]:
    experiment = subject.experiment
    if experiment is None:
        return []
    figures = [
        (clean(name), figure_words(name, value)) for name, value in experiment.metrics.items() if name != "val_bpb"
    ]
    if experiment.seconds is not None:
        figures.append(("took", duration(experiment.seconds)))
    if experiment.commit:
        figures.append(("commit", clean(experiment.commit)[:12]))
    if experiment.source:
        figures.append(("proposed by", clean(experiment.source)))
    if cost := cost_words(spending.of(experiment.cost)):
        figures.append(("proposal", cost))
    wide = max((len(name) for name, _ in figures), default=0) + 2
    return [(Span(name.ljust(wide), "muted"), Span(value)) for name, value in figures]


def cost_words(spent: spending.Spent) -> str:
    """34 s, 12.3k tokens in, 410 out, $0.02."""
    words = [f"{spent.seconds:,.0f} s" if spent.seconds < 120 else duration(spent.seconds)] if spent.seconds else []
    if spent.tokens:
        words += [f"{amount(spent.tokens_in)} tokens in", f"{amount(spent.tokens_out)} out"]
    return ", ".join([*words, money(spent.dollars)] if spent.dollars else words)


def figure_words(name: str, value: float) -> str:
    """One of a run's metrics, as it is shown."""
    if name == "peak_memory_mb":
        return memory(value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


class NotesView(LineView):
    """The notes, wrapped to the pane."""

    def __init__(self) -> None:
        super().__init__()
        self._subject: Subject | None = None
        self._ideas: Sequence[IdeaQueued] = ()
        self._messages: Sequence[MessageQueued] = ()
        self._lines: list[Spans] = []
        self._made_for: object = None

    def show(
        self, subject: Subject | None, ideas: Sequence[IdeaQueued] = (), messages: Sequence[MessageQueued] = ()
    ) -> None:
        if (
            subject is None
            or self._subject is None
            or (subject.name, subject.log_folder) != (self._subject.name, self._subject.log_folder)
        ):
            self.scroll_to(y=0, animate=False)
        self._subject, self._ideas, self._messages = subject, ideas, messages
        self._make()

    def on_resize(self) -> None:
        self._make()

    def _make(self) -> None:
        width = max(16, self.room)
        wanted = (self._subject, self._ideas, self._messages, width)
        if wanted != self._made_for:
            self._made_for = wanted
            self._lines = self.lines_of(width)
            self.refresh_lines_now()

    def lines_of(self, width: int) -> list[Spans]:
        """All of it in lines of ``width`` cells."""
        notes = notes_of(self._subject, width) if self._subject else []
        queue = queue_of(self._ideas, self._messages, width)
        return [*notes, *([()] if notes and queue else []), *queue]

    def line_count(self) -> int:
        return len(self._lines)

    def line_at(self, y: int) -> Spans:
        return self._lines[y]


class LearningsView(LineView):
    """autoresearch.md, what the session has learned, rendered."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._path: Path | None = None
        self._read: object = None
        self._text = ""
        self._lines: list[Spans] = []
        self._made_for: object = None

    def show(self, path: Path) -> None:
        """Show the document as it is now; it is read again only where it was written."""
        try:
            status = path.stat()
            state = (path, status.st_ino, status.st_size, status.st_mtime_ns)
            if state != self._read:
                with open_regular(path) as file:
                    self._text = file.read(4 * markdown.LONGEST).decode("utf-8", "replace")
                self._read = state
        except OSError:
            self._read, self._text = None, ""
        if path != self._path:
            self._path = path
            self.scroll_to(y=0, animate=False)
        self._make()

    def on_resize(self) -> None:
        self._make()

    def _make(self) -> None:
        width = max(16, self.room)
        if (self._text, width) != self._made_for:
            self._made_for = (self._text, width)
            self._lines = self.lines_of(width)
            self.refresh_lines_now()

    def lines_of(self, width: int) -> list[Spans]:
        """The document in lines of ``width`` cells."""
        return markdown.markdown_lines(self._text, width)

    def line_count(self) -> int:
        return len(self._lines)

    def line_at(self, y: int) -> Spans:
        return self._lines[y]


class NotesPane(Pane):
    """What is known of the experiment in words; with none selected also the ideas and messages that wait.

    On its second page what the session has learned.
    """

    NUMBER, NAME = "3", "notes"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._notes = NotesView()
        self._learnings = LearningsView(id="learnings")
        self._body: NotesView | LearningsView = self._notes

    def compose(self) -> ComposeResult:
        yield self.instead
        yield self._notes
        yield self._learnings

    def on_mount(self) -> None:
        super().on_mount()
        self._learnings.display = False

    @property
    def body(self) -> NotesView | LearningsView:
        return self._body

    @property
    def shows_learnings(self) -> bool:
        return self._body is self._learnings

    def turn(self) -> None:
        """To the other page; the next view fills it."""
        self.say_instead("")
        self._body = self._notes if self.shows_learnings else self._learnings
        self._notes.display = not self.shows_learnings
        self._learnings.display = self.shows_learnings

    def copied(self) -> str:
        """All of the notes, each on one line."""
        return "\n".join(plain(line).rstrip() for line in self.body.lines_of(UNWRAPPED))

    def show(self, view: View) -> None:
        if self.shows_learnings:
            self._learnings.show(view.workspace.document)
            self.entitle(DOCUMENT)
            self.say_instead("" if self.body.line_count() else f"There is no {DOCUMENT} with what was learned here.")
            return
        queued = (view.state.ideas, view.state.messages) if view.selected is None else ()
        self._notes.show(view.subject, *queued)
        self.entitle(view.subject.name if view.subject else "")
        self.say_instead("" if self.body.line_count() else "What is tried and why, and what came of it, appears here.")
