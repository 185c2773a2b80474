"""Pane 1: what the run prints, under one line of its progress."""

from textual.app import ComposeResult

from tui.painter import Lines
from tui.panes.pane import Pane, View
from tui.progress import Progress
from tui.run_log.view import RunLogView
from tui.spans import Span, Spans, fit
from tui.text import count, duration


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
    """Follows the live run's log, or shows the selected run's."""

    NUMBER, NAME = "1", "log"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._body = RunLogView(id="run-log")
        self._progress_line = ProgressLine()

    def compose(self) -> ComposeResult:
        yield self._progress_line
        yield self.instead
        yield self._body

    @property
    def body(self) -> RunLogView:
        return self._body

    def show(self, view: View) -> None:
        subject = view.subject
        line = self._progress_line
        progress = view.state.progress if subject and subject.is_live and not subject.is_cut_off else None
        if line.progress != progress:
            line.progress = progress
            line.display = progress is not None
            line.refresh()
        self.body.open(subject.log(view.workspace).log if subject else None)
        self.body.look()
        self._about = subject.name if subject else ""
        self.on_run_log_view_changed()
        if self.body.line_count():
            self.say_instead("")
        elif subject is None:
            self.say_instead("What the training prints appears here with the first run.")
        elif subject.is_live:
            self.say_instead("The run has printed nothing yet.")
        else:
            self.say_instead(f"Run {subject.run} left no output.")

    _about = ""

    def on_run_log_view_changed(self) -> None:
        """Say whether the view follows, and what it does not show yet."""
        log = self.body
        if log.following:
            note = ""
        else:
            new = log.new_lines
            note = f"{count(new, 'new line')} below · f follows" if new else "standing still · f follows"
        self.entitle(self._about, note)
