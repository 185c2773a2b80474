"""The viewer: follows a workspace's files, shows them, and appends what the person asks for as commands.

It never calls into the engine, and the engine does not know that it is there.
"""

import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from engine import commands
from engine.workspace import Workspace
from tui import terminal, theme
from tui.asking import Question, Sentence
from tui.bottom_line import is_fresh
from tui.condition import condition, is_thinking, trouble
from tui.gpu import GpuWatch
from tui.help import Help, Section, key_name
from tui.main_screen import MainScreen
from tui.painter import LineView
from tui.panes.history import HistoryPlot
from tui.panes.pane import View
from tui.panes.run_filter import FilterPrompt
from tui.panes.runs import RunsView, marked_words
from tui.queue_screen import Queue, QueueView
from tui.searched import SearchedView
from tui.searching import Pattern
from tui.session import Session
from tui.text import count
from tui.view_state import Notice, ViewState, beside, subject

POLL_SECONDS = 0.25


def view(workspace: Workspace) -> int:
    """Show the session in ``workspace`` until the person leaves; the exit code. The engine goes on."""
    gpu = GpuWatch()
    gpu.start()
    try:
        return terminal.run(Viewer(workspace, gpu=gpu))
    finally:
        gpu.stop()


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
        Binding("d", "diff_base", "diff", id="view.diff-base", tooltip="Diff against parent, incumbent, baseline"),
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
        workspace: Workspace,
        *,
        session: Session | None = None,
        gpu: GpuWatch | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.workspace = workspace
        self.session = session or Session(workspace)
        self.selected: int | None = None
        """The run that the person looks at; None: the live one."""
        self.crash_report: Path | None = None
        self.main = MainScreen()
        self._gpu = gpu
        self._clock = clock
        self._own_notice: Notice | None = None
        self.animation_level = "none"
        for each in (theme.CALM, theme.SIXTEEN):
            self.register_theme(each)
        self.theme = theme.theme_for()

    # What is shown

    def get_default_screen(self) -> Screen[None]:
        return self.main

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return theme.FALLBACK

    @property
    def state(self) -> ViewState:
        return self.session.state

    def on_ready(self) -> None:
        self.poll()
        self.set_interval(POLL_SECONDS, self.poll)

    def poll(self) -> None:
        """Look what is new in the files, and show it."""
        if not self.main.is_running:
            return  # the screen is being taken down
        try:
            self.session.poll()
        except OSError as error:
            self.say(f"The session's files can't be read: {error}", "bad")
        self.refresh_view()

    def refresh_view(self) -> None:
        """Show what is known now."""
        state, now = self.state, self._clock()
        gpu = self._gpu.latest if self._gpu else None
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
        for binding in self.BINDINGS:
            if isinstance(binding, Binding) and binding.show:
                words = wanting if binding.action == "pause" else binding.description
                keys.append((key_name(binding.key.split(",")[0]), words))
        return keys

    def _notice(self, now: float) -> Notice | None:
        fresh = [each for each in (self.state.notice, self._own_notice) if is_fresh(each, now)]
        return max((each for each in fresh if each), key=lambda each: each.at, default=None)

    def say(self, text: str, role: str = "") -> None:
        """Show a short-lived message."""
        self._own_notice = Notice(self._clock(), text, role)

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
        self.push_screen(Queue(self.state, lambda change, words: self._send(change, "queue", words)))

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

    def on_runs_view_chosen(self, message: RunsView.Chosen) -> None:
        self.select(message.run)

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
        if self.selected is None and self.main.is_zoomed:
            self.main.zoom()
        self.select(None)

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

    def action_diff_base(self) -> None:
        self.main.diff_pane.next_base()
        self.refresh_view()

    def action_help(self) -> None:
        self.push_screen(Help(self.help_sections()))

    def help_sections(self) -> Iterable[Section]:
        """Every binding of the program, by where it works."""

        def named(prefix: str) -> list[BindingType]:
            return [each for each in self.BINDINGS if isinstance(each, Binding) and (each.id or "").startswith(prefix)]

        yield "The session", named("session.")
        yield "What is shown", named("view.")
        yield "Panes", named("pane.")
        yield "The program", named("app.")
        yield "In the log, the notes and the diff", LineView.BINDINGS
        yield "In the history", HistoryPlot.BINDINGS
        yield "In the runs", RunsView.BINDINGS
        yield "In the queue", [*QueueView.BINDINGS, *Queue.BINDINGS]

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        for binding in self.BINDINGS:
            if isinstance(binding, Binding) and binding.action != "command_palette":
                yield SystemCommand(
                    f"{binding.tooltip}", f"{key_name(binding.key)}", lambda action=binding.action: self._run(action)
                )
        yield SystemCommand("Change the theme", "colours", self.action_change_theme)

    def _run(self, action: str) -> None:
        self.call_later(self.run_action, action)

    # Leaving

    def action_leave(self) -> None:
        self.exit()

    def leave_soon(self) -> None:
        """Close the screen; may be called from a signal's handler."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.exit)

    def goodbye(self) -> str:
        """What to print when the screen is gone."""
        back = f"`autoresearch-tui {self.workspace.root}` comes back to it."
        if not self.state.alive:
            return f"No engine runs in {self.workspace.root} ({condition(self.state).word}): {back}"
        again = " again" if self.state.is_repeating else ""
        doing = f", at run {self.state.live_run}{again}" if self.state.live_run is not None else ""
        done = count(len(self.state.rows), "experiment")
        return f"The engine goes on{doing} ({done} so far). {back}"

    def _fatal_error(self) -> None:
        """Textual's own would print thousands of lines."""
        try:
            self.workspace.state.mkdir(exist_ok=True)
            report = self.workspace.state / f"screen-{time.strftime('%Y%m%d-%H%M%S')}.log"
            report.write_text(traceback.format_exc(), encoding="utf-8")
            self.crash_report = report
        except OSError:
            self.crash_report = None
        self._close_messages_no_wait()
