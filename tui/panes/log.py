"""Pane 1: what the run prints, under its progress and the curve of its loss; or what its proposer thought and said."""

from pathlib import Path

from textual.app import ComposeResult

from engine.ledger import Experiment
from tui.ascii import is_in_ascii
from tui.condition import SEARCH
from tui.loss_curve import Curve, CurveReader, draw, standing_words
from tui.painter import Lines
from tui.panes.pane import Pane, View
from tui.progress import Progress
from tui.run_log.view import RunLogView
from tui.spans import Span, Spans, fit, width
from tui.status_line import GAP, bar
from tui.text import clean, count, duration
from tui.thoughts.view import ThoughtsView
from tui.view_state import Subject, ViewState

TALL, TALLER = 12, 24
"""Rows of the pane from which on the curve has more than one of them, and more than a few."""
BROAD = 90
"""Cells of the pane, likewise."""
LOW = 6
"""Rows of the pane below which there is no curve."""
BAR = 12
LOST = {True: "run.log has the last run's output only", False: "there is no run.log here"}
"""Of a session that an outside agent drives."""


class ProgressLine(Lines):
    """How far the live run is, its loss, its speed."""

    def __init__(self) -> None:
        super().__init__()
        self._progress: Progress | None = None
        self._elapsed: float | None = None

    def show(self, progress: Progress | None, elapsed: float | None) -> None:
        wanted = (progress, elapsed and int(elapsed))
        if wanted != (self._progress, self._elapsed):
            self._progress, self._elapsed = wanted
            self.display = progress is not None
            self.refresh()

    def compose_lines(self, width: int, height: int) -> list[Spans]:
        return [progress_spans(self._progress, self._elapsed, width)] if self._progress else []


def progress_spans(progress: Progress, elapsed: float | None, cells: int) -> Spans:
    """████▌······· 38%  0:11, 0:19 left  loss 4.1234  step 1,234  12,345 tok/s  MFU 39.8%, as far as there is room."""
    parts: list[Spans] = []
    if progress.percent is not None:
        parts.append((*bar(progress.percent / 100, BAR), Span(f" {progress.percent:.0f}%")))
    left = progress.remaining
    if elapsed is not None and left is not None:
        parts.append((Span(duration(elapsed)), Span(", ", "muted"), Span(duration(left)), Span(" left", "muted")))
    if progress.loss is not None:
        parts.append((Span("loss ", "muted"), Span(f"{progress.loss:.4f}", "strong")))
    if progress.step is not None:
        parts.append((Span("step ", "muted"), Span(f"{progress.step:,}")))
    if progress.tokens_per_second is not None:
        parts.append((Span(f"{progress.tokens_per_second:,.0f}"), Span(" tok/s", "muted")))
    if progress.mfu:
        parts.append((Span("MFU ", "muted"), Span(f"{progress.mfu:.1f}%")))
    while len(parts) > 1 and sum(width(part) + len(GAP.text) for part in parts) - len(GAP.text) > cells:
        parts.pop()
    return fit(tuple(span for at, part in enumerate(parts) for span in ((GAP, *part) if at else part)), cells)


class CurveLines(Lines):
    """The loss of the run that is shown, over that of the incumbent of its time, and by how much it is ahead."""

    def __init__(self) -> None:
        super().__init__()
        self._mine: CurveReader | None = None
        self._rival: CurveReader | None = None
        self._rival_name = ""
        self._drawn: list[Spans] = []

    def show(self, mine: Path | None, rival: Path | None, rival_name: str, rows: int) -> None:
        """Take in what was added to the logs, and draw if that changed anything, in ``rows`` rows at most."""
        self._mine = _reader(self._mine, mine)
        self._rival = _reader(self._rival, rival)
        self._rival_name = rival_name
        for reader in (self._mine, self._rival):
            if reader is not None:
                reader.advance()
        height = rows if self._mine is not None and self._mine.curve.last is not None else 0
        self.display = height > 0
        self.styles.height = height
        drawn = self._drawn
        if height and self.compose_lines(self.size.width, height) != drawn:
            self.refresh()

    def compose_lines(self, width: int, height: int) -> list[Spans]:
        mine, rival = self._mine, self._rival
        if mine is None or not width or not height:
            return []
        other = rival.curve if rival is not None and rival.curve.last is not None else None
        words: Spans = ()
        if rival is not None and other is not None and not (rival.is_behind or mine.is_behind):
            words = standing_words(mine.curve, other, self._rival_name)
        self._drawn = _laid_out(mine.curve, other, words, width, height, plain=is_in_ascii(self.app))
        return self._drawn


def _laid_out(mine: Curve, rival: Curve | None, words: Spans, cells: int, rows: int, *, plain: bool) -> list[Spans]:
    if rows > 1:
        return [fit(words, cells), *draw(mine, rival, cells, rows - 1, plain=plain)]
    beside = (*words, GAP) if words else ()
    return [(*beside, *draw(mine, rival, max(1, cells - width(beside)), 1)[0])]


def _reader(reader: CurveReader | None, path: Path | None) -> CurveReader | None:
    if path is None:
        return None
    return reader if reader is not None and reader.path == path else CurveReader(path)


def curve_rows(width: int, height: int) -> int:
    """Rows for the curve in a pane of this size: one of words and some of the curve, or one for both."""
    if height < LOW:
        return 0
    if width < BROAD or height < TALL:
        return 1
    return 5 if height < TALLER else 9


def rival_of(state: ViewState, about: Subject) -> Experiment | None:
    """What a run's loss is compared with: the incumbent of its time; of a repeat the first run. A baseline has none."""
    if about.is_live and not about.repeat:
        return state.incumbent
    if about.row is None or about.repeat:
        return about.experiment
    segment, run = state.ledger.segments[about.row.experiment.segment], about.row.experiment.run
    return next((each for each in reversed(segment.experiments) if each.run < run and each.kept), None)


class LogPane(Pane):
    """Follows the live run's log, or what the proposer thinks over the next one; or shows either of the selected run's.

    ``turn`` goes from the one to the other.
    """

    NUMBER, NAME = "1", "log"
    NOTE_MATTERS = True

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._log = RunLogView(id="run-log")
        self._thoughts = ThoughtsView(id="thoughts")
        self._body: RunLogView | ThoughtsView = self._log
        self._progress_line = ProgressLine()
        self._curve = CurveLines()
        self._about = ""
        self._wants_thoughts: bool | None = None
        """What a person wants to see instead of what would be shown; None: nothing else."""

    def compose(self) -> ComposeResult:
        yield self._progress_line
        yield self._curve
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
        started = view.state.started
        progress = view.state.progress if subject and subject.is_live and not subject.is_cut_off else None
        self._progress_line.show(progress, view.now - started.started if started else None)
        thinks = is_thinking_aloud(view)
        if self._wants_thoughts == thinks:
            self._wants_thoughts = None
        if thinks if self._wants_thoughts is None else self._wants_thoughts:
            self._show_thoughts(view, thinks)
        else:
            self._show_log(view)
        self._show_curve(view)
        self.on_following_view_changed()

    def _show_curve(self, view: View) -> None:
        about = view.subject
        if about is None or self.shows_thoughts or not self.display:
            self._curve.show(None, None, "", 0)
            return
        rival = rival_of(view.state, about)
        other = view.workspace.run_folder(rival.folder_number).log if rival else None
        name = (
            "the incumbent"
            if rival is not None and rival is view.state.incumbent
            else f"run {rival.run}"
            if rival
            else ""
        )
        self._curve.show(about.log(view.workspace).log, other, name, curve_rows(*self.size))

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
        elif subject.is_next:
            self.say_instead("It has not been run yet.")
        elif subject.is_live:
            self.say_instead("The run has printed nothing yet.")
        elif view.state.is_watched:
            self.say_instead(f"What run {subject.run} printed is not kept: {LOST[view.workspace.run_log.exists()]}.")
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
