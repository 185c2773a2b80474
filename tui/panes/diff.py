"""Pane 4: what the experiment changed in train.py."""

from pathlib import Path

from rich.cells import cell_len
from textual.app import ComposeResult

from engine.workspace import Workspace
from tui.diff import compare, knob_line, partners, patch_text, read_patch, styled
from tui.painter import LineView
from tui.panes.pane import Pane, View
from tui.spans import Span, Spans, wrap
from tui.view_state import Subject, ViewState

BASES = ("parent", "incumbent", "baseline")


class DiffView(LineView):
    """The lines of one patch, under the knobs that it changes."""

    def __init__(self) -> None:
        super().__init__()
        self._patch: list[str] = []
        self._partners: dict[int, int] = {}
        self._top: list[Spans] = []
        self._widest = 0

    def show(self, patch: list[str]) -> None:
        self._patch = patch
        self._partners = partners(patch)
        self._widest = max((cell_len(line) for line in patch), default=0)
        self.scroll_to(x=0, y=0, animate=False)
        self._lay_out()

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        knobs = knob_line(self._patch)
        self._top = [*wrap(knobs, max(16, self.room)), (Span(""),)] if knobs else []
        self.refresh_lines_now()

    def line_count(self) -> int:
        return len(self._top) + len(self._patch)

    def line_width(self) -> int:
        return self._widest

    def line_at(self, y: int) -> Spans:
        if y < len(self._top):
            return self._top[y]
        at = y - len(self._top)
        return styled(self._patch[at], self._patch[self._partners[at]] if at in self._partners else "")


class DiffPane(Pane):
    """Against the parent (what the proposer changed), today's incumbent, or the baseline (all that came together)."""

    NUMBER, NAME = "4", "diff"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._body = DiffView()
        self._base = 0
        self._shown: object = None
        self._patch: list[str] | None = None
        self._compared: tuple[Path | None, Path] | None = None
        """The two train.py; or None, and the patch that the experiment came with."""

    def compose(self) -> ComposeResult:
        yield self.instead
        yield self._body

    @property
    def body(self) -> DiffView:
        return self._body

    @property
    def base(self) -> str:
        return BASES[self._base]

    def next_base(self) -> str:
        """Compare with the next of BASES from now on."""
        self._base = (self._base + 1) % len(BASES)
        return self.base

    def show(self, view: View) -> None:
        subject, state = view.subject, view.state
        if subject is None:
            self.entitle()
            self.say_instead("What an experiment changes in train.py appears here.")
            return
        folder = subject.files(view.workspace)
        other = self._other(view.workspace, subject, state)
        source = folder.diff if other is None else folder.train
        self._compared = (other, source)
        wanted = (folder, self.base, other, _mark(source))
        if wanted != self._shown:
            self._shown = wanted
            self._patch = read_patch(folder.diff) if other is None else compare(other, folder.train)
            self.body.show(self._patch or [])
        added = sum(1 for line in self._patch or [] if line.startswith("+") and not line.startswith("+++"))
        removed = sum(1 for line in self._patch or [] if line.startswith("-") and not line.startswith("---"))
        base = f"run {subject.run}" if subject.repeat and self.base == "parent" else self.base
        self.entitle(f"{subject.short_name} against {base}", f"+{added} −{removed}" if self._patch else "")
        self.say_instead(self._words(subject, state))

    def copied(self) -> str:
        """The whole diff, as a patch."""
        return patch_text(*self._compared) if self._compared and self._patch else ""

    def _other(self, workspace: Workspace, subject: Subject, state: ViewState) -> Path | None:
        """The train.py to compare with; None for the patch that the experiment came with."""
        if subject.repeat and self.base == "parent":
            return workspace.run_folder(subject.folder).train
        segment = state.ledger.segments[subject.experiment.segment] if subject.experiment else state.segment
        experiment = {"incumbent": segment.incumbent, "baseline": segment.baseline}.get(self.base) if segment else None
        return workspace.run_folder(experiment.folder_number).train if experiment else None

    def _words(self, subject: Subject, state: ViewState) -> str:
        if self._patch:
            return ""
        if subject.run in state.lacks:
            return state.lacks[subject.run]
        if state.is_watched and self._patch is None:
            return f"No train.py of run {subject.run} is known."
        if self._patch is None:
            return (
                "Its train.py is not there yet." if subject.is_live else f"Run {subject.run} left no files to compare."
            )
        if subject.repeat and self.base == "parent":
            return f"train.py of run {subject.run}, unchanged: its seed too."
        if self.base != "parent":
            return f"train.py of run {subject.run} is the {self.base}'s, unchanged."
        if subject.row.is_baseline if subject.row else state.baseline is None:
            return "The baseline: train.py as it is, unchanged."
        return f"Run {subject.run} changed nothing in train.py."


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
