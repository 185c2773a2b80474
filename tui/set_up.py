"""The set-up screen, for a directory without a session: a few choices, what the doctor finds, and enter."""

import datetime
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from engine import beginning, past, preflight, settings
from engine.beginning import Plan
from engine.doctor import has_gpu
from engine.errors import AutoresearchError
from engine.finding import Finding
from engine.initialize import PROFILES
from engine.settings import PROPOSERS
from engine.workspace import LEDGER, SETTINGS, Workspace
from tui.bottom_line import key_spans
from tui.doctor import finding_lines
from tui.painter import Lines, LineView
from tui.set_up_work import Beginning, Examination
from tui.spans import Span, Spans, fit, wrap
from tui.text import clean, place

LOOK_SECONDS = 0.1
LABEL = 10
"""Cells of the column of labels."""
MEANINGS = {
    "gpu": "one NVIDIA GPU, 5 minutes of training a run",
    "demo": "any CPU, 20 seconds a run, on the shipped corpus",
    "search": "over the knobs of train.py; needs no model and no network",
    "agent": "a coding agent that speaks the Agent Client Protocol",
    "command": "any program that edits train.py: claude, codex, gemini, …",
    "chat": "a model behind an OpenAI-compatible endpoint",
    "hybrid": "the search, and a model on some turns",
}
EXAMPLES = {
    "agent": "what starts it: opencode acp",
    "command": "a preset or a command line: claude",
    "chat": "the model, and its endpoint's URL",
    "hybrid": "the model, and its endpoint's URL",
}


class Text(Lines):
    """Lines that somebody else composes, on as many as they need."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._spans: Spans = ()

    def say(self, spans: Spans) -> None:
        if spans != self._spans:
            self._spans = spans
            self.refresh()
        self.styles.height = max(1, len(self.compose_lines(self.app.size.width, 0)))

    def compose_lines(self, width: int, height: int) -> list[Spans]:
        return [(Span(" "), *line) for line in wrap(self._spans, max(8, width - 2))]


class Choices(Lines, can_focus=True):
    """One of a few words; left and right choose."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "choose(-1)", "before", id="set-up.before", tooltip="Choose the one before"),
        Binding("right,l,space", "choose(1)", "next", id="set-up.next", tooltip="Choose the next one"),
    ]

    class Chosen(Message):
        """Another one was chosen."""

    def __init__(self, label: str, words: Sequence[str], chosen: str, *, is_fixed: str = "") -> None:
        """``is_fixed``: why there is no choice."""
        super().__init__(id=f"set-up-{label}")
        self.value = chosen
        self._label = label
        self._words = words
        self._is_fixed = is_fixed

    def action_choose(self, by: int) -> None:
        if not self._is_fixed and not self.screen.has_class("-busy"):
            self.value = self._words[(self._words.index(self.value) + by) % len(self._words)]
            self.refresh()
            self.post_message(self.Chosen())

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def compose_lines(self, width: int, height: int) -> list[Spans]:
        spans = [Span(f" {self._label:<{LABEL}} ", "key" if self.has_focus else "muted")]
        for word in [self.value] if self._is_fixed else self._words:
            is_chosen = word == self.value
            spans += [Span(f"[{word}]" if is_chosen else f" {word} ", "strong" if is_chosen else "muted"), Span(" ")]
        meaning = self._is_fixed or MEANINGS[self.value]
        below = (Span(" " * (LABEL + 3)), Span(meaning, "muted"))
        return [fit(tuple(spans), width), fit(below, width)]


class _Findings(LineView):
    """What the doctor finds, or how far the beginning is."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Spans] = []

    def show(self, lines: list[Spans]) -> None:
        if lines != self.lines:
            self.lines = lines
            self.refresh_lines_now()

    def line_count(self) -> int:
        return len(self.lines)

    def line_at(self, y: int) -> Spans:
        return self.lines[y]


class SetUp(ModalScreen[None]):
    """Posts ``Begun`` once the engine runs, ``Left`` when the person thinks better of it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "begin", "begin", id="set-up.begin", tooltip="Begin the session", priority=True),
        Binding("up,shift+tab", "app.focus_previous", "up", id="set-up.up", tooltip="To the choice above"),
        Binding("down,tab", "app.focus_next", "down", id="set-up.down", tooltip="To the choice below"),
        Binding("pageup", "page(-1)", "page up", id="set-up.page-up", tooltip="The findings, a page up"),
        Binding("pagedown", "page(1)", "page down", id="set-up.page-down", tooltip="The findings, a page down"),
        Binding("escape,ctrl+c", "leave", "leave", id="set-up.leave", tooltip="Leave everything as it is"),
    ]

    class Begun(Message):
        """The session is begun."""

    class Left(Message):
        """The screen is to be closed; ``parting`` is what to say."""

        def __init__(self, parting: str) -> None:
            super().__init__()
            self.parting = parting

    def __init__(self, workspace: Workspace, experiments: int | None = None) -> None:
        super().__init__()
        self._workspace = workspace
        self._experiments = experiments
        self._examination = Examination(workspace)
        self._beginning: Beginning | None = None
        self._is_leaving = False
        self._refusal = ""
        self._top, self._message, self._keys = Text(id="set-up-top"), Text(id="set-up-message"), Text(id="set-up-keys")
        self.tag = Input(compact=True, max_length=60, id="set-up-tag")
        self.using = Input(compact=True, max_length=1000, id="set-up-using")
        self.profile = Choices("profile", PROFILES, "gpu" if has_gpu() else "demo")
        fixed, proposer = self._settled_proposer()
        self.proposer = Choices("proposer", PROPOSERS, proposer, is_fixed=fixed)
        self._using_row = Horizontal(Label(f" {'using':<{LABEL}} "), self.using, classes="set-up-row")
        self.findings = _Findings()
        self._frame = Vertical(self.findings, id="set-up-findings")
        for box in (self.tag, self.using):
            box.cursor_blink = False

    def _settled_proposer(self) -> tuple[str, str]:
        """Why there is none to choose, and whom autoresearch.toml names."""
        if not self._workspace.settings.exists():
            return "", "search"
        try:
            return f"as {SETTINGS} says, which is there already", settings.load(self._workspace).proposer
        except AutoresearchError:
            return f"{SETTINGS} is there already, and not usable", "search"

    def compose(self) -> ComposeResult:
        yield self._top
        yield Horizontal(Label(f" {'tag':<{LABEL}} "), self.tag, classes="set-up-row")
        yield self.profile
        yield self.proposer
        yield self._using_row
        yield self._message
        yield self._frame
        yield self._keys

    def on_mount(self) -> None:
        root = self._workspace.root
        made = "; a repository is made of it" if beginning.lacks_repository(self._workspace) else ""
        where = "is new" if not root.exists() else "holds no session yet"
        said = [Span("Set-up   ", "title"), Span(f"{place(root)} {where}{made}.", "muted")]
        if (other := past.file_in(root)) is not None and other.name != LEDGER:
            said.append(Span(f" Another tool's is there: `autoresearch-tui watch {place(root)}` shows it.", "accent"))
        self._top.say(tuple(said))
        self.tag.value = f"{datetime.date.today():%b%d}".lower()
        self.tag.focus()
        self._adapt()
        self._looking = self.set_interval(LOOK_SECONDS, self._look)
        self._look()

    def on_resize(self) -> None:
        self.call_after_refresh(self._look)

    @property
    def plan(self) -> Plan:
        """What is chosen."""
        return Plan(self.tag.value.strip(), self.profile.value, self.proposer.value, self.using.value.strip())

    def on_choices_chosen(self) -> None:
        self._adapt()

    def on_input_changed(self) -> None:
        self._refusal = ""

    def _adapt(self) -> None:
        """To another choice."""
        self._refusal = ""
        needed = self.proposer.value in EXAMPLES and not self._workspace.settings.exists()
        self._using_row.display = needed
        if needed:
            self.using.placeholder = EXAMPLES[self.proposer.value]

    def _look(self) -> None:
        """Show what is new."""
        plan = self.plan
        width = max(40, self.findings.room)
        if self._beginning is None:
            self._examination.want(Plan("", plan.profile, plan.proposer, plan.using))
            lines = [line for each in _worst_first(self._examination.findings) for line in finding_lines(each, width)]
            if self._examination.is_under_way:
                lines.append((Span(" · looking…", "muted"),))
            title = "what this machine has"
        else:
            lines = [fit((Span(f" {clean(line)}"),), width) for line in self._beginning.lines]
            title = "beginning"
            if self._beginning.is_over:
                self._conclude(self._beginning)
        self._frame.border_title = title
        self.findings.show(lines)
        if self._beginning is not None:
            self.findings.scroll_end(animate=False)
        self._describe(plan)

    def _describe(self, plan: Plan) -> None:
        branch = f"{preflight.BRANCHES}{clean(plan.tag)}-{datetime.date.today()}"
        if self._refusal:
            self._message.say((Span(clean(self._refusal), "bad"),))
        elif self._is_leaving:
            self._message.say((Span("Ending what is under way…", "warn"),))
        elif self._beginning is not None:
            words = f"Beginning {branch}: esc ends that, `autoresearch-tui prepare` goes on with it."
            self._message.say((Span(words, "accent"),))
        else:
            self._message.say((Span(f"enter begins {branch}: one commit on a branch of its own.", "muted"),))
        keys = [("enter", "begin"), ("↑ ↓", "move"), ("← →", "choose"), ("pgdn", "findings"), ("esc", "leave")]
        shown = keys if self._beginning is None else keys[-1:]
        self._keys.say(key_spans(shown, self.size.width - 1)[1:])  # Text has a margin of its own

    def _conclude(self, work: Beginning) -> None:
        self._beginning = None
        self.set_class(False, "-busy")
        self.tag.disabled = self.using.disabled = False
        if work.has_begun:
            self._looking.stop()
            self.post_message(self.Begun())
        elif self._is_leaving:
            self.post_message(self.Left(self._parting()))
        else:
            self._refusal = work.refusal
            self.tag.focus()

    def _parting(self) -> str:
        root = self._workspace.root
        if not preflight.has_session(self._workspace):
            return ""
        what = f"`autoresearch-tui prepare {root}` goes on with its data, then `autoresearch-tui {root}` starts it."
        return f"The session is begun: {what}"

    def action_begin(self) -> None:
        if self._beginning is None:
            self._refusal = ""
            self.set_class(True, "-busy")
            self.tag.disabled = self.using.disabled = True
            self._beginning = Beginning(self._workspace, self.plan, self._experiments)
            self._beginning.start()
            self._look()

    def action_page(self, by: int) -> None:
        self.findings.scroll_relative(y=by * max(1, self.findings.size.height - 1), animate=False)

    def action_leave(self) -> None:
        if self._beginning is None:
            self.post_message(self.Left(""))
        else:
            self._is_leaving = True
            self._beginning.stop()
            self._look()


def _worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """What is in the way on top; that no session was begun yet is known."""
    told = [each for each in findings if each.name != "session"]
    return sorted(told, key=lambda each: (False, None, True).index(each.ok))
