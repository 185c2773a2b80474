"""The viewer: follows a workspace's files, shows them, and appends what the person asks for as commands.

It never calls into the engine, and the engine does not know that it is there.
"""

import asyncio
import gc
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.actions import ActionParseResult
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.filter import LineFilter, Monochrome, NoColor
from textual.screen import Screen

from engine import activity
from engine.errors import AutoresearchError
from engine.past import PastSession, home_of
from engine.workspace import Workspace
from tui import bindings, terminal, theme
from tui.ascii import Ascii
from tui.bottom_line import is_fresh
from tui.browser import Browser, SessionsView
from tui.browser_shelf import Shelf
from tui.compare_screen import Comparison
from tui.condition import condition, trouble
from tui.configuration import Configuration, UnusableConfiguration
from tui.gpu import GpuWatch
from tui.help import Help, key_name
from tui.keymap import Section, bindings_of, checked, effective
from tui.main_screen import MainScreen
from tui.morning import AWAY, Morning, is_worth_saying
from tui.moving import Mover
from tui.painter import LineView
from tui.panes.history import HistoryPlot
from tui.panes.pane import View
from tui.panes.runs import RunsView
from tui.queue_screen import Queue, QueueView
from tui.run_log.view import RunLogView
from tui.seen import Seen
from tui.session import Session
from tui.steering import Requester
from tui.text import count
from tui.view_state import Notice, subject

if TYPE_CHECKING:
    from tui.set_up import SetUp

POLL_SECONDS = 0.25
SETTLED_SECONDS = 2.0
"""After the first frame, by when all is loaded that a session's screen needs."""
NOTE_SECONDS = 60.0
HELP = "help"
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


def watch(root: Path, configuration: Configuration, file: Path | None = None) -> int:
    """Show a session that an outside agent drives until the person leaves; the exit code.

    ``file``: of a session that is over, in place of the one in ``root``.
    """
    from tui.watching import WatchedSession

    workspace = Workspace(root)
    seen = Seen(workspace)
    if file is None and activity.is_our_engines(workspace):
        return view(Viewer(workspace, reads_only=True, configuration=configuration, seen=seen))
    session = WatchedSession(root, file=file).start()
    try:
        return view(Viewer(session.workspace, session=session, reads_only=True, configuration=configuration, seen=seen))
    finally:
        session.close()


def keep_what_is_loaded() -> None:
    """Let the garbage collector pass over what stays anyway: walking all of it takes as long as four frames."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class _Look:
    """What the person looked at before a past session was opened."""

    workspace: Workspace
    session: Session
    main: MainScreen
    selected: int | None


class Viewer(Requester, Mover, inherit_bindings=False):
    """Keys in, commands out; everything else is the panes'."""

    CSS_PATH = "app.tcss"
    TITLE = "autoresearch"
    ENABLE_COMMAND_PALETTE = True
    ESCAPE_TO_MINIMIZE = False
    BINDINGS: ClassVar[list[BindingType]] = bindings.EVERYWHERE

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
        self.selected = None
        self.crash_report: Path | None = None
        self.main = MainScreen()
        self._home: _Look | None = None
        self._helped: list[Section] = []
        """What the help says that is installed."""
        self.gpu = gpu
        self._clock = clock
        self._seen = seen
        self._since: float | None = None
        """When the person looked before; None where that is not known."""
        self._looked_at = clock()
        """When the person last did something here."""
        self._keys_of = {}
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

    def on_ready(self) -> None:
        self.poll()
        self.set_interval(POLL_SECONDS, self.poll)
        if not self.is_headless:
            self.set_timer(SETTLED_SECONDS, keep_what_is_loaded)
        if self._seen is not None:
            self._since = self._seen.last()
            self.set_interval(NOTE_SECONDS, self.note_seen)
            if is_worth_saying(self.state, self._since, self._clock()):
                self.action_morning()
            self.note_seen()

    def action_morning(self) -> None:
        since = None if self.is_past else self._since
        self.push_screen(Morning(self.state, since, self._clock()))

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
            if binding.show:
                words = wanting if binding.action == "pause" else binding.description
                keys.append((key_name(binding.key.split(",")[0]), words))
        return [("esc", "past runs"), *keys] if self.is_past else keys

    def _notice(self, now: float) -> Notice | None:
        fresh = [each for each in (self.state.notice, self._own_notice) if is_fresh(each, now)]
        return max((each for each in fresh if each), key=lambda each: each.at, default=None)

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
        requests = [each.action for each in self.BINDINGS if isinstance(each, Binding) and bindings.is_request(each)]
        if self.refusal and isinstance(action, str) and action in requests:
            self.say(self.refusal, "warn")
            self.refresh_view()
            return True
        return await super().run_action(action, default_namespace, namespaces)

    def action_past(self) -> None:
        if self.is_past:
            self.come_back()
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

    def come_back(self) -> None:
        if self._home is not None:
            self.pop_screen()
            self._own_notice = None
            home, self._home = self._home, None
            self.session.close()
            self.workspace, self.session, self.main = home.workspace, home.session, home.main
            self.selected = home.selected

    def action_help(self) -> None:
        sections: list[Section] = [(title, tuple(bindings)) for title, bindings in self.help_sections()]
        if sections != self._helped:
            if self._helped:
                self.uninstall_screen(HELP)
            self.install_screen(Help(sections), HELP)
            self._helped = sections
        self.push_screen(HELP)

    def help_sections(self) -> Iterable[Section]:
        """Every binding that does something here, by where it works."""

        def named(prefix: str) -> list[Binding]:
            return [each for each in self._bindings_now() if (each.id or "").startswith(prefix)]

        if requests := named("session."):
            yield "The session", requests
        yield "What is shown", named("view.")
        yield "Panes", named("pane.")
        yield "The program", named("app.")
        for title, section in (*self._in_panes(), *self._alone()):
            yield title, [effective(each, self._keys_of) for each in bindings_of(section)]

    def _bindings_now(self) -> list[Binding]:
        """What works in every pane now, with the keys that it is on."""
        acting = (each for each in bindings_of(self.BINDINGS) if not (self.refusal and bindings.is_request(each)))
        return [effective(each, self._keys_of) for each in acting]

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


def _last_run_of(past: PastSession) -> int | None:
    """The run that shows an earlier segment; None shows the last one."""
    return past.last_run if past.segment < past.segments - 1 else None
