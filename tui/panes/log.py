"""Pane 1: what the run prints, under one line of its progress; or what its proposer thought and said."""

from textual.app import ComposeResult

from tui.condition import SEARCH
from tui.painter import Lines
from tui.panes.pane import Pane, View
from tui.progress import Progress
from tui.run_log.view import RunLogView
from tui.spans import Span, Spans, fit
from tui.text import clean, count, duration
from tui.thoughts.view import ThoughtsView
from tui.view_state import Subject


class ProgressLine(Lines):
    """Loss, speed and the rest of the live run."""

    def __init__(self) -> None:
        super().__init__()
        self.progress: Progress | None = None

    def compose_lines(self, width: int, height: int) -> list[Spans]:
        return [fit(progress_spans(self.progress), width)] if self.progress else []


def progress_spans(progress: Progress) -> Spans:
    """step 1,234  loss 4.1234  12,345 tok/s  MFU 39.8%  12 s left."""
    parts: list[Spans] = []
    if progress.step is not None:
        parts.append((Span("step ", "muted"), Span(f"{progress.step:,}")))
    if progress.loss is not None:
        parts.append((Span("loss ", "muted"), Span(f"{progress.loss:.4f}", "strong")))
    if progress.tokens_per_second is not None:
        parts.append((Span(f"{progress.tokens_per_second:,.0f}"), Span(" tok/s", "muted")))
    if progress.mfu:
        parts.append((Span("MFU ", "muted"), Span(f"{progress.mfu:.1f}%")))
    if progress.remaining is not None:
        parts.append((Span(duration(progress.remaining)), Span(" left", "muted")))
    return tuple(span for at, part in enumerate(parts) for span in ((Span("   "), *part) if at else part))


class LogPane(Pane):
    """Follows the live run's log, or what the proposer thinks over the next one; or shows either of the selected run's.

    ``turn`` goes from the one to the other.
    """

    NUMBER, NAME = "1", "log"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._log = RunLogView(id="run-log")
        self._thoughts = ThoughtsView(id="thoughts")
        self._body: RunLogView | ThoughtsView = self._log
        self._progress_line = ProgressLine()
        self._about = ""
        self._wants_thoughts: bool | None = None
        """What a person wants to see instead of what would be shown; None: nothing else."""

    def compose(self) -> ComposeResult:
        yield self._progress_line
        yield self.instead
        yield self._log
        yield self._thoughts

    def on_mount(self) -> None:
        self._thoughts.add_class("-hidden")

    @property
    def body(self) -> RunLogView | ThoughtsView:
        return self._body

    @property
    def shows_thoughts(self) -> bool:
        return self._body is self._thoughts

    def turn(self) -> None:
        """From the log to what the proposer said, or back; the next ``show`` does it."""
        self._wants_thoughts = not (self.display and self.shows_thoughts)

    def show(self, view: View) -> None:
        subject = view.subject
        line = self._progress_line
        progress = view.state.progress if subject and subject.is_live and not subject.is_cut_off else None
        if line.progress != progress:
            line.progress = progress
            line.display = progress is not None
            line.refresh()
        thinks = is_thinking_aloud(view)
        if self._wants_thoughts == thinks:
            self._wants_thoughts = None
        if thinks if self._wants_thoughts is None else self._wants_thoughts:
            self._show_thoughts(view, thinks)
        else:
            self._show_log(view)
        self.on_following_view_changed()

    def _show_log(self, view: View) -> None:
        subject = view.subject
        self._turn_to(self._log)
        self._log.open(subject.log(view.workspace).log if subject else None)
        self._log.look()
        self._about = subject.name if subject else ""
        if self._log.line_count():
            self.say_instead("")
        elif subject is None:
            self.say_instead("What the training prints appears here with the first run.")
        elif subject.is_live:
            self.say_instead("The run has printed nothing yet.")
        else:
            self.say_instead(f"Run {subject.run} left no output.")

    def _show_thoughts(self, view: View, thinks: bool) -> None:
        subject = view.subject
        self._turn_to(self._thoughts)
        path = view.workspace.run_folder(subject.folder).transcript if subject else None
        self._thoughts.open(view.workspace.proposing if thinks else path)
        self._thoughts.look()
        if thinks:
            run = view.state.live_run or view.state.next_run
            self._about = f"the proposer, run {run}" + ("" if view.state.alive else " · cut off")
        else:
            self._about = f"the proposer, {subject.name}" if subject else "the proposer"
        self.say_instead(no_thoughts(subject) if self._thoughts.is_empty else "")

    def _turn_to(self, body: RunLogView | ThoughtsView) -> None:
        if body is self._body:
            return
        self.say_instead("")
        had_focus = self.screen.focused is self._body
        self._body.add_class("-hidden")
        body.remove_class("-hidden")
        self._body = body
        if had_focus:
            self.screen.set_focus(body)

    def on_following_view_changed(self) -> None:
        """Say whether the view follows, and what it does not show yet."""
        body = self.body
        if body.following:
            note = ""
        else:
            new = body.new_lines
            note = f"{count(new, 'new line')} below · f follows" if new else "standing still · f follows"
        self.entitle(self._about, note)


def is_thinking_aloud(view: View) -> bool:
    """The proposer has said something over the next experiment, or over mending the one that has just crashed."""
    if view.selected is not None or view.state.phase not in ("proposing", "mending"):
        return False
    try:
        return view.workspace.proposing.stat().st_size > 0
    except OSError:
        return False


def no_thoughts(subject: Subject | None) -> str:
    """Why there is nothing to read of what a run's proposer thought."""
    if subject is None:
        return "What the proposer thinks and says appears here."
    experiment, proposal = subject.experiment, subject.proposal
    source = clean(experiment.source if experiment else proposal.source if proposal else "")
    run = f"Run {subject.run}"
    if source == "baseline" or (subject.row is not None and subject.row.is_baseline):
        return f"{run} is the baseline: train.py as it was, nobody's proposal."
    if source == SEARCH:
        return f"{run} was proposed by the search, which does not think aloud."
    if source == "person":
        return f"{run} is a person's own commit."
    if source == "queue":
        return f"{run} is a person's idea, tried as it was written."
    return f"{run} came without a word of its proposer."
