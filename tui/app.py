"""The viewer: follows a workspace's files, shows them, and appends what the person asks for as commands.

It never calls into the engine, and the engine does not know that it is there.
"""

import asyncio
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.actions import ActionParseResult
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.filter import LineFilter, Monochrome, NoColor
from textual.screen import Screen

from engine import activity, commands
from engine.errors import AutoresearchError
from engine.past import PastSession, home_of
from engine.workspace import Workspace
from tui import clipboard, terminal, theme
from tui.ascii import Ascii
from tui.asking import Question, Sentence
from tui.bottom_line import is_fresh
from tui.browser import Browser, SessionsView
from tui.browser_shelf import Shelf
from tui.compare_screen import Comparison
from tui.comparison import pair
from tui.condition import condition, is_thinking, trouble
from tui.configuration import Configuration, UnusableConfiguration
from tui.gpu import GpuWatch
from tui.help import Help, key_name
from tui.keymap import Section, bindings_of, checked, effective
from tui.main_screen import MainScreen
from tui.morning import AWAY, Morning, is_worth_saying
from tui.painter import LineView
from tui.panes.history import HistoryPlot
from tui.panes.pane import View
from tui.panes.run_filter import FilterPrompt
from tui.panes.runs import RunsView, marked_words
from tui.queue_screen import Queue, QueueView
from tui.run_log.view import RunLogView
from tui.searched import SearchedView
from tui.searching import Pattern
from tui.seen import Seen
from tui.session import Session
from tui.text import clean, count
from tui.view_state import Notice, ViewState, beside, config_of, subject

if TYPE_CHECKING:
    from tui.set_up import SetUp

POLL_SECONDS = 0.25
NOTE_SECONDS = 60.0
NOWHERE = Path("/nonexistent")


def view(viewer: "Viewer") -> int:
    """Show a session until the person leaves; the exit code. The engine goes on."""
    viewer.gpu = GpuWatch()
    viewer.gpu.start()
    try:
        return terminal.run(viewer)
    finally:
        viewer.gpu.stop()
        viewer.note_seen()


def set_up(workspace: Workspace, experiments: int | None, configuration: Configuration) -> int:
    """Have the person begin a session in ``workspace``, and show it; the exit code."""
    from tui.set_up import SetUp  # most screens never need it, and it needs git

    return view(Viewer(workspace, set_up=SetUp(workspace, experiments), configuration=configuration))


def browse(paths: Sequence[Path], configuration: Configuration) -> int:
    """Show the past sessions at these paths and on this machine until the person leaves; the exit code."""
    return terminal.run(Viewer(None, past=paths, configuration=configuration))


def watch(root: Path, configuration: Configuration) -> int:
    """Show a session that an outside agent drives until the person leaves; the exit code."""
    from tui.watching import WatchedSession

    workspace = Workspace(root)
    seen = Seen(workspace)
    if activity.is_our_engines(workspace):
        return view(Viewer(workspace, reads_only=True, configuration=configuration, seen=seen))
    session = WatchedSession(root).start()
    try:
        return view(Viewer(session.workspace, session=session, reads_only=True, configuration=configuration, seen=seen))
    finally:
        session.close()


@dataclass(frozen=True)
class _Look:
    """What the person looked at before a past session was opened."""

    workspace: Workspace
    session: Session
    main: MainScreen
    selected: int | None


class Viewer(App[None], inherit_bindings=False):
    """Keys in, commands out; everything else is the panes'."""

    CSS_PATH = "app.tcss"
    TITLE = "autoresearch"
    ENABLE_COMMAND_PALETTE = True
    ESCAPE_TO_MINIMIZE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "pause", id="session.pause", tooltip="Pause after this experiment, or go on"),
        Binding("s", "skip", "skip", id="session.skip", tooltip="End this experiment, log it as skipped, go on"),
        Binding("m", "message", "message", id="session.message", tooltip="Write a sentence to the proposer"),
        Binding("i", "idea", "idea", id="session.idea", tooltip="Queue an idea that goes before the proposer's own"),
        Binding("Q", "queue", "queue", id="session.queue", show=False, tooltip="The ideas that wait: order, take out"),
        Binding(
            "e",
            "rescued",
            "rescued edit",
            id="session.rescued",
            show=False,
            tooltip="Run the edit of train.py that was saved and taken back as the next experiment",
        ),
        Binding("a", "annotate", "note", id="session.annotate", tooltip="Write a note on the run that is shown"),
        Binding("z", "zoom", "zoom", id="view.zoom", tooltip="Give the pane the whole screen, or give it back"),
        Binding("f", "follow", "follow", id="view.follow", tooltip="To the end of the log, and follow it"),
        Binding(
            "t",
            "thoughts",
            "thoughts",
            id="view.thoughts",
            tooltip="The run's log, or what its proposer thought and said",
        ),
        Binding("slash", "search", "search", id="view.search", tooltip="Look for a text, or a /regular expression/"),
        Binding("n", "seek(1)", "next", id="view.next-hit", tooltip="To the next line that was found", show=False),
        Binding("N", "seek(-1)", "before", id="view.hit-before", tooltip="To the line found before", show=False),
        Binding(
            "L",
            "learnings",
            "learnings",
            id="view.learnings",
            show=False,
            tooltip="The run's notes, or what the session has learned (autoresearch.md)",
        ),
        Binding(
            "M",
            "morning",
            "morning",
            id="view.morning",
            show=False,
            tooltip="What happened since you last looked: kept, worth, failed",
        ),
        Binding("d", "diff_base", "diff", id="view.diff-base", tooltip="Diff against parent, incumbent, baseline"),
        Binding(
            "y",
            "copy",
            "copy",
            id="view.copy",
            show=False,
            tooltip="Copy the page of the log, the notes, diff or run",
        ),
        Binding(
            "c",
            "compare",
            "compare",
            id="view.compare",
            show=False,
            tooltip="Compare the two marked runs, or the one that is shown with the incumbent",
        ),
        Binding("o", "sort", "sort", id="view.sort", show=False, tooltip="Sort the runs by the next of their figures"),
        Binding(
            "F",
            "filter",
            "filter",
            id="view.filter",
            show=False,
            tooltip="Only some runs: status:keep metric<0.98",
        ),
        Binding(
            "r",
            "rerun",
            "re-run",
            id="session.rerun",
            tooltip="Queue one more run of the selected experiment, or of the incumbent",
        ),
        Binding(
            "escape",
            "live",
            "live",
            id="view.live",
            tooltip="End the search; else clear the selection: back to the live run",
            show=False,
        ),
        Binding("b", "past", "past", id="view.past", tooltip="Past runs, this session's and others'", show=False),
        Binding("1", "pane('log')", "log", id="pane.log", tooltip="Go to the training log", show=False),
        Binding("2", "pane('history')", "history", id="pane.history", tooltip="Go to the val_bpb history", show=False),
        Binding("3", "pane('notes')", "notes", id="pane.notes", tooltip="Go to the notes", show=False),
        Binding("4", "pane('diff')", "diff", id="pane.diff", tooltip="Go to the diff", show=False),
        Binding("5", "pane('runs')", "runs", id="pane.runs", tooltip="Go to the runs", show=False),
        Binding("tab", "step(1)", "next pane", id="pane.next", tooltip="Go to the next pane", show=False),
        Binding("shift+tab", "step(-1)", "pane before", id="pane.before", tooltip="Go to the pane before", show=False),
        Binding("ctrl+p", "command_palette", "palette", id="app.palette", tooltip="Every command by name", show=False),
        Binding("question_mark", "help", "help", id="app.help", tooltip="All keys"),
        Binding("q,ctrl+c", "leave", "leave", id="app.leave", tooltip="Leave the screen; the engine goes on"),
        Binding(
            "ctrl+q", "stop", "stop", id="session.stop", tooltip="Stop the engine: after this run, or now", show=False
        ),
    ]

    def __init__(
        self,
        workspace: Workspace | None,
        *,
        session: Session | None = None,
        gpu: GpuWatch | None = None,
        past: Sequence[Path] = (),
        set_up: "SetUp | None" = None,
        clock: Callable[[], float] = time.time,
        configuration: Configuration | None = None,
        seen: Seen | None = None,
        reads_only: bool = False,
    ) -> None:
        """``workspace``: None for the past runs alone, those at ``past`` first; ``set_up``: what begins its session;
        ``reads_only``: it is watched, and nothing is asked of whatever drives it."""
        super().__init__()
        self._first = set_up
        """The screen that begins the session; None once that is done."""
        self._parting = ""
        """What to say in place of how the session stands, where none was begun."""
        self._past = past
        self._has_home = workspace is not None
        self._reads_only = reads_only
        self.workspace = workspace or Workspace(NOWHERE)
        self.session = session or Session(self.workspace)
        self.selected: int | None = None
        """The run that the person looks at; None: the live one."""
        self.crash_report: Path | None = None
        self.main = MainScreen()
        self._home: _Look | None = None
        self.gpu = gpu
        self._clock = clock
        self._own_notice: Notice | None = None
        self._seen = seen
        self._since: float | None = None
        """When the person looked before; None where that is not known."""
        self._looked_at = clock()
        """When the person last did something here."""
        self._keys_of: dict[str, str] = {}
        """The keys that a person gave to bindings, by their ids."""
        self.animation_level = "none"
        self.ansi_theme_dark = theme.OF_RUNS
        for each in (theme.CALM, theme.SIXTEEN):
            self.register_theme(each)
        self.theme = theme.theme_for()
        self.configuration = Configuration()
        if configuration is not None:
            self._set_up(configuration)

    def _set_up(self, configuration: Configuration) -> None:
        """Raises UnusableConfiguration where it asks for what there is not."""
        self.configuration = configuration
        if configuration.theme:
            if configuration.theme not in self.available_themes:
                names = ", ".join(sorted(self.available_themes))
                raise UnusableConfiguration(f"there is no theme {configuration.theme}: there are {names}")
            self.theme = configuration.theme
        if configuration.keymap:
            everywhere = bindings_of(self.BINDINGS)
            self._keys_of = checked(configuration.keymap, everywhere, self._in_panes(), self._alone())
            self.set_keymap(self._keys_of)

    # What is shown

    def get_default_screen(self) -> Screen[None]:
        if self._first is not None:
            return self._first
        return self.main if self._has_home else Browser(Shelf(self._past))

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's own would only make grey what NO_COLOR wants without colours."""
        filters = [each for each in super().get_line_filters() if not isinstance(each, Monochrome)]
        if self.no_color:
            filters.append(NoColor())
        if self.configuration.ascii:
            filters.append(Ascii())
        return filters

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return theme.FALLBACK

    @property
    def state(self) -> ViewState:
        return self.session.state

    def on_ready(self) -> None:
        self.poll()
        self.set_interval(POLL_SECONDS, self.poll)
        if self._seen is not None:
            self._since = self._seen.last()
            self.set_interval(NOTE_SECONDS, self.note_seen)
            if is_worth_saying(self.state, self._since, self._clock()):
                self.action_morning()
            self.note_seen()

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key | events.MouseDown):
            now = self._clock()
            if now - self._looked_at >= AWAY:
                self._since = self._looked_at
            self._looked_at = now
        await super().on_event(event)

    def note_seen(self) -> None:
        """Remember when the person last did something here; a screen that nobody looks at may stay open for days."""
        if self._seen is not None:
            self._seen.note(self._looked_at)

    def poll(self) -> None:
        """Look what is new in the files, and show it."""
        if not self.main.is_running:
            return  # the screen is being taken down
        try:
            self.session.poll()
        except (OSError, AutoresearchError) as error:
            self.say(f"The session's files can't be read: {error}", "bad")
        self.refresh_view()

    def refresh_view(self) -> None:
        """Show what is known now."""
        state, now = self.state, self._clock()
        gpu = self.gpu.latest if self.gpu else None
        self.main.status.show(state, now, gpu, self.workspace.root.name)
        self.main.trouble.show(trouble(state))
        self.main.bottom.show(self._keys(), self._notice(now))
        if isinstance(self.screen, Queue):
            self.screen.show(state)
        about = subject(state, self.selected)
        self.main.show(View(self.workspace, state, self.selected, about, now))

    def _keys(self) -> list[tuple[str, str]]:
        wanting = "resume" if self.state.is_to_pause else "pause"
        keys = []
        for binding in self._bindings_now():
            if binding.show and not (self.refusal and _is_request(binding)):
                words = wanting if binding.action == "pause" else binding.description
                keys.append((key_name(binding.key.split(",")[0]), words))
        return [("esc", "past runs"), *keys] if self.is_past else keys

    def _notice(self, now: float) -> Notice | None:
        fresh = [each for each in (self.state.notice, self._own_notice) if is_fresh(each, now)]
        return max((each for each in fresh if each), key=lambda each: each.at, default=None)

    def say(self, text: str, role: str = "") -> None:
        """Show a short-lived message."""
        self._own_notice = Notice(self._clock(), text, role)

    # A session to be begun

    async def on_set_up_begun(self) -> None:
        self._first = None
        await self.push_screen(self.main)
        self.poll()

    def on_set_up_left(self, message: "SetUp.Left") -> None:
        self._parting = message.parting
        self.exit()

    # Past sessions

    @property
    def is_past(self) -> bool:
        """A past session is shown, and nothing may be asked of its engine."""
        return self._home is not None

    @property
    def refusal(self) -> str:
        """Why nothing can be asked of what drives the session; empty where it can."""
        if self.is_past:
            return "A past session is looked at only: esc goes back to the past runs."
        if self._reads_only:
            return "This session is watched only: whatever drives it takes nothing from here."
        return ""

    async def run_action(
        self,
        action: "str | ActionParseResult",
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        requests = [each.action for each in self.BINDINGS if isinstance(each, Binding) and _is_request(each)]
        if self.refusal and isinstance(action, str) and action in requests:
            self.say(self.refusal, "warn")
            self.refresh_view()
            return True
        return await super().run_action(action, default_namespace, namespaces)

    def action_past(self) -> None:
        if self.is_past:
            self._come_back()
        else:
            self.push_screen(Browser(Shelf([self.workspace.root])))

    def on_browser_closed(self) -> None:
        if self._has_home:
            self.pop_screen()
        else:
            self.exit()

    def on_browser_opened(self, message: Browser.Opened) -> None:
        if message.session.path == self.workspace.ledger:
            self.pop_screen()
            self.select(_last_run_of(message.session))
        else:
            self.run_worker(self._open_past(message.session), group="past", exclusive=True)

    async def _open_past(self, past: PastSession) -> None:
        session = _past_session(past.path)
        workspace = session.workspace
        trouble = ""
        try:
            await asyncio.to_thread(session.poll)
        except (OSError, AutoresearchError) as error:
            trouble = getattr(error, "strerror", None) or str(error)
        if not isinstance(self.screen, Browser):
            session.close()
            return  # the person has gone elsewhere
        if not session.state.ledger.segments:
            session.close()
            self.screen.say(f"It can't be opened: {trouble or 'it holds no session any more.'}")
            return
        self._home = _Look(self.workspace, self.session, self.main, self.selected)
        self.workspace, self.session, self.main = workspace, session, MainScreen()
        self.selected = _last_run_of(past)
        self._own_notice = None
        await self.push_screen(self.main)
        self.poll()

    def _come_back(self) -> None:
        """From a past session to the list of them."""
        if self._home is not None:
            self.pop_screen()
            self._own_notice = None
            home, self._home = self._home, None
            self.session.close()
            self.workspace, self.session, self.main = home.workspace, home.session, home.main
            self.selected = home.selected

    # What is asked of the engine

    def _send(self, command: commands.AnyCommand, kind: str, words: str) -> None:
        try:
            self.session.send(command, kind)
        except OSError as error:
            self.say(f"That could not be written down for the engine: {error}", "bad")
        else:
            if self.state.alive:
                self.say(words)
            else:
                self.say("No engine runs: the next one to start takes this up.", "warn")
        self.refresh_view()

    def action_pause(self) -> None:
        if self.state.is_to_pause:
            self._send(commands.Resume(), "resume", "Asked the engine to go on.")
        else:
            self._send(commands.Pause(), "pause", "Asked the engine to pause after this experiment.")

    def action_skip(self) -> None:
        run = self.state.live_run
        if run is None and is_thinking(self.state):
            self._take_turn_away(self.state.next_run)
            return
        if run is None or not self.state.alive:
            self.say("Nothing runs that could be skipped.", "warn")
            self.refresh_view()
            return
        if self.state.ended is not None:
            self.say(f"Run {run} has ended: there is nothing left of it to skip.", "warn")
            self.refresh_view()
            return

        def answered(key: str | None) -> None:
            if key == "y":
                self._send(commands.Skip(run=run), "skip", f"Asked the engine to skip run {run}.")

        what = f"Skip run {run}? It is ended and logged as skipped."
        if self.state.is_repeating:
            what = f"Skip this repeat of run {run}? It is ended without a metric."
        self.push_screen(Question(what, {"y": "yes", "n": "no"}), answered)

    def _take_turn_away(self, run: int) -> None:
        def answered(key: str | None) -> None:
            if key == "y":
                self._send(commands.Skip(run=run), "skip", "Asked the engine to go on with the search.")

        what = f"Take this turn away from the {self.state.proposer}? The search proposes run {run}."
        self.push_screen(Question(what, {"y": "yes", "n": "no"}), answered)

    def action_stop(self) -> None:
        if not self.state.alive:
            self.say("No engine runs here. q leaves.", "warn")
            self.refresh_view()
            return

        def answered(key: str | None) -> None:
            if key in ("a", "n"):
                words = "Asked the engine to stop now." if key == "n" else "Asked the engine to stop after this run."
                self._send(commands.Stop(now=key == "n"), "stop", words)

        self.push_screen(Question("Stop the engine?", {"a": "after this run", "n": "now, ending the run"}), answered)

    def action_message(self) -> None:
        def answered(text: str | None) -> None:
            if text:
                self._send(commands.Message(text=text), "message", "The proposer gets it at the next experiment.")

        self.push_screen(Sentence("message", "a sentence to the proposer · enter sends · esc cancels"), answered)

    def action_idea(self) -> None:
        def answered(text: str | None) -> None:
            if text:
                self._send(commands.Enqueue(text=text), "idea", "Asked the engine to queue the idea.")

        self.push_screen(Sentence("idea", "what to try next, KNOB=value for instance · enter queues"), answered)

    def action_queue(self) -> None:
        def ask(change: commands.Unqueue | commands.Reorder, words: str) -> None:
            self._send(change, "queue", words)

        self.push_screen(Queue(self.state, ask, self._keys_of))

    def action_rescued(self) -> None:
        if self.state.rescued is None:
            self.say("No edit of train.py was saved in this session.", "warn")
            self.refresh_view()
            return
        self._send(commands.Enqueue(text=self.state.rescued), "idea", "Asked the engine to run the saved edit next.")

    def action_rerun(self) -> None:
        incumbent, segment = self.state.incumbent, self.state.segment
        run = self.selected if self.selected is not None else incumbent.run if incumbent else None
        if run is None or segment is None:
            self.say("There is no run to repeat yet.", "warn")
            self.refresh_view()
            return
        if all(each.run != run for each in segment.experiments):
            self.say(f"Run {run} is of an earlier segment: only what is comparable is run again.", "warn")
            self.refresh_view()
            return
        which = f"run {run}" + (", the incumbent" if incumbent and run == incumbent.run else "")
        self._send(commands.Enqueue(text=f"re-run {run}"), "rerun", f"Asked the engine for one more run of {which}.")

    def action_annotate(self) -> None:
        about = subject(self.state, self.selected)
        if about is None:
            self.say("There is no run to write a note on yet.", "warn")
            self.refresh_view()
            return
        run = about.run

        def answered(text: str | None) -> None:
            if text:
                self._send(
                    commands.Annotate(run=run, text=text), "note", f"Asked the engine to keep the note on run {run}."
                )

        self.push_screen(Sentence(f"note on run {run}", "enter keeps it · esc cancels"), answered)

    # Moving about

    def select(self, run: int | None) -> None:
        """Look at a run; None: at the live one."""
        self.selected = run
        self.refresh_view()

    def action_select(self, step: int) -> None:
        self.select(beside(self.state, self.selected, step))

    def action_choose(self, run: int | None) -> None:
        self.select(run)

    def on_runs_view_chosen(self, message: RunsView.Chosen) -> None:
        self.select(message.run)

    def action_copy(self) -> None:
        text = self.main.current.copied()
        if text:
            self.run_worker(self._copy(clipboard.without_controls(text)), group="copy", exclusive=True)
        else:
            self.say("There is nothing to copy in this pane.", "warn")
            self.refresh_view()

    async def _copy(self, text: str) -> None:
        copied = text
        if not (clipboard.is_in_tmux() and await asyncio.to_thread(clipboard.to_tmux, text)):
            copied = clipboard.fitting(text)
            self.copy_to_clipboard(copied)
        self.say(clipboard.copied_words(copied, text))
        self.refresh_view()

    def action_compare(self) -> None:
        state = self.state
        found = pair(state, self.selected, self.main.runs_pane.body.marked)
        if isinstance(found, str):
            self.say(found, "warn")
            self.refresh_view()
        else:
            config = config_of(state, found[1])
            metric, lower_is_better = clean(config.metric_name), config.best_direction != "higher"
            self.push_screen(Comparison(self.workspace, *found, metric, lower_is_better=lower_is_better))

    def action_sort(self) -> None:
        self.main.runs_pane.next_order()
        self.main.go_to("runs")
        self.refresh_view()

    def action_filter(self) -> None:
        def show_only(text: str) -> str:
            problem = self.main.runs_pane.choose(text, self.state)
            self.refresh_view()
            return problem

        self.main.go_to("runs")
        self.push_screen(FilterPrompt(self.main.runs_pane.body.filter.text, show_only))

    def action_mark(self) -> None:
        about = subject(self.state, self.selected)
        if about is None or about.row is None:
            self.say("Only a run that has its line can be marked.", "warn")
        else:
            runs = self.main.runs_pane.body
            runs.toggle(about.run)
            self.say(marked_words(runs.marked))
        self.refresh_view()

    def action_search(self) -> None:
        body = self.main.current.body
        if not isinstance(body, SearchedView):
            self.say("A plot has no text: search in the runs, 5.", "warn")
            self.refresh_view()
            return

        def answered(text: str | None) -> None:
            if text:
                try:
                    body.look_for(Pattern(text))
                except ValueError as error:
                    self.say(str(error), "bad")
                self.refresh_view()

        self.push_screen(Sentence("/", "a text, or /an expression/ · enter finds · esc cancels"), answered)

    def action_seek(self, by: int) -> None:
        body = self.main.current.body
        if isinstance(body, SearchedView) and body.found:
            body.seek(by)
        else:
            self.say("Nothing is looked for in this pane: / asks what.", "warn")
        self.refresh_view()

    def on_searched_view_said(self, message: SearchedView.Said) -> None:
        self.say(message.text, message.role)
        self.refresh_view()

    def action_live(self) -> None:
        body = self.main.current.body
        if isinstance(body, SearchedView) and body.found:
            body.look_for(None)
            self.refresh_view()
            return
        if self.is_past and not self.main.is_zoomed:
            self._come_back()
            return
        if (self.selected is None or self.is_past) and self.main.is_zoomed:
            self.main.zoom()
        self.select(self.selected if self.is_past else None)

    def action_pane(self, name: str) -> None:
        self.main.go_to(name)
        self.refresh_view()

    def action_step(self, by: int) -> None:
        self.main.step(by)
        self.refresh_view()

    def action_zoom(self) -> None:
        self.main.zoom()
        self.refresh_view()

    def action_follow(self) -> None:
        self.main.log_pane.body.follow()

    def action_thoughts(self) -> None:
        self.main.log_pane.turn()
        self.main.go_to("log")
        self.refresh_view()

    def action_learnings(self) -> None:
        notes = self.main.notes_pane
        if self.main.current is notes or not notes.shows_learnings:
            notes.turn()
        self.main.go_to("notes")
        self.refresh_view()

    def action_morning(self) -> None:
        since = None if self.is_past else self._since
        self.push_screen(Morning(self.state, since, self._clock()))

    def action_diff_base(self) -> None:
        self.main.diff_pane.next_base()
        self.refresh_view()

    def action_help(self) -> None:
        self.push_screen(Help(self.help_sections()))

    def help_sections(self) -> Iterable[Section]:
        """Every binding of the program, by where it works."""

        def named(prefix: str) -> list[Binding]:
            return [each for each in self._bindings_now() if (each.id or "").startswith(prefix)]

        yield "The session", named("session.")
        yield "What is shown", named("view.")
        yield "Panes", named("pane.")
        yield "The program", named("app.")
        for title, section in (*self._in_panes(), *self._alone()):
            yield title, [effective(each, self._keys_of) for each in bindings_of(section)]

    def _bindings_now(self) -> list[Binding]:
        """What works in every pane, with the keys that it is on."""
        return [effective(each, self._keys_of) for each in bindings_of(self.BINDINGS)]

    @staticmethod
    def _in_panes() -> Iterable[Section]:
        """What works in one pane, or in the past runs, only."""
        yield "In the log, the notes and the diff", LineView.BINDINGS
        yield "In the log", RunLogView.BINDINGS
        yield "In the history", HistoryPlot.BINDINGS
        yield "In the runs", RunsView.BINDINGS
        yield "In the past runs", [*SessionsView.BINDINGS, *Browser.BINDINGS]

    @staticmethod
    def _alone() -> Iterable[Section]:
        """What works in a screen over the others."""
        from tui.set_up import Choices, SetUp

        yield "In a comparison", Comparison.BINDINGS
        yield "In the queue", [*QueueView.BINDINGS, *Queue.BINDINGS]
        yield "In the set-up", [*SetUp.BINDINGS, *Choices.BINDINGS]

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        for binding in self._bindings_now():
            if binding.action != "command_palette":
                yield SystemCommand(
                    f"{binding.tooltip}", f"{key_name(binding.key)}", lambda action=binding.action: self._run(action)
                )
        yield SystemCommand("Change the theme", "colours", self.action_change_theme)

    def _run(self, action: str) -> None:
        self.call_later(self.run_action, action)

    # Leaving

    def on_unmount(self) -> None:
        """Leave nothing of a past session that is still open."""
        if self._home is not None:
            self.session.close()

    def action_leave(self) -> None:
        self.exit()

    def leave_soon(self) -> None:
        """Close the screen; may be called from a signal's handler."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.exit)

    def goodbye(self) -> str:
        """What to print when the screen is gone."""
        if not self._has_home or self._first is not None:
            return self._parting
        workspace, state = (
            (self._home.workspace, self._home.session.state) if self._home else (self.workspace, self.state)
        )
        if self._reads_only:
            return f"{workspace.root} was watched only: `autoresearch-tui watch {workspace.root}` looks again."
        back = f"`autoresearch-tui {workspace.root}` comes back to it."
        if not state.alive:
            return f"No engine runs in {workspace.root} ({condition(state).word}): {back}"
        again = " again" if state.is_repeating else ""
        doing = f", at run {state.live_run}{again}" if state.live_run is not None else ""
        done = count(len(state.rows), "experiment")
        return f"The engine goes on{doing} ({done} so far). {back}"

    def _fatal_error(self) -> None:
        """Textual's own would print thousands of lines."""
        try:
            home = self._home.workspace if self._home else self.workspace
            is_ours = home.state.is_dir() and not self._reads_only
            place = home.state if is_ours else Path(tempfile.gettempdir())  # nothing is made for a report
            report = place / f"screen-{time.strftime('%Y%m%d-%H%M%S')}.log"
            report.write_text(traceback.format_exc(), encoding="utf-8")
            self.crash_report = report
        except OSError:
            self.crash_report = None
        self._close_messages_no_wait()


def _past_session(path: Path) -> Session:
    """A past session: ours with its runs' folders, another tool's with what git says of its commits."""
    from tui.watching import WatchedSession

    workspace = Workspace(path.parent)
    if path == workspace.ledger and workspace.runs.is_dir():
        return Session(workspace, past=path)
    return WatchedSession(home_of(path), file=path).start()


def _is_request(binding: Binding) -> bool:
    """It asks the engine for something."""
    return (binding.id or "").startswith("session.")


def _last_run_of(past: PastSession) -> int | None:
    """The run that shows an earlier segment; None shows the last one."""
    return past.last_run if past.segment < past.segments - 1 else None
