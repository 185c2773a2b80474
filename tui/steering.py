"""What a person asks of the engine: each is a command that is appended, and a sentence that says so."""

from engine import commands
from tui.asking import Question, Sentence
from tui.condition import is_thinking
from tui.looker import Looker
from tui.queue_screen import Queue
from tui.view_state import subject


class Requester(Looker, inherit_bindings=False):
    """The actions whose bindings are called ``session.``."""

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
