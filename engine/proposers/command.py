"""Any program that edits train.py in the directory where it is started: a headless agent, or a person's script.

What it must know is in files of its draft and on its standard input; what it prints is heard by the line,
and the notes are looked for in it. It is started anew for every proposal.
"""

import codecs
import os
import selectors
import subprocess
import threading
import time
from typing import IO

from engine.proposers import (
    SILENT,
    Context,
    Cost,
    NeedsPersonError,
    NothingToProposeError,
    Proposal,
    ProposerTroubleError,
    Result,
    Watch,
)
from engine.proposers.clock import POLL_SECONDS, Clock
from engine.proposers.draft import CONTEXT, Draft
from engine.proposers.drafting import (
    asks_to_log_in,
    briefing,
    command_line,
    fault_of,
    propose,
    reminder,
    task,
)
from engine.proposers.foreign import one_line
from engine.proposers.leash import NOT_STARTED, Leash, environment
from engine.proposers.presets import PRESETS
from engine.proposers.voice import Voice
from engine.settings import Settings
from engine.supervisor import KILL_SECONDS
from engine.workspace import Workspace

READ_AT_ONCE = 1 << 16
MOST_OF_AN_ANSWER = 1 << 16
MOST_TURNS = 2
"""Of one proposal: the request, and a reminder."""


class _Ear:
    """One of the program's outputs."""

    def __init__(self, kind: str, stream: IO[bytes]) -> None:
        self.stream = stream
        self.text = ""
        """The end of what was heard."""
        self._kind = kind
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        os.set_blocking(stream.fileno(), False)

    def listen(self, voice: Voice) -> bool:
        """Hear what there is; returns whether there may be more some time."""
        try:
            chunk = os.read(self.stream.fileno(), READ_AT_ONCE)
        except BlockingIOError:
            return True
        text = self._decoder.decode(chunk, final=not chunk)
        self.text = (self.text + text)[-MOST_OF_AN_ANSWER:]
        voice.stream(self._kind, text)
        return bool(chunk)


class Command:
    """The program that [command] in autoresearch.toml names."""

    name = "command"
    reads_prose = True

    def __init__(self, settings: Settings, workspace: Workspace) -> None:
        self._all_settings = settings
        self._settings = settings.command
        self._workspace = workspace
        self._asking = threading.Lock()
        self._closing = threading.Event()

    def ask(self, context: Context, watch: Watch = SILENT) -> Proposal:
        with self._asking:
            clock = Clock(self._settings.limit_seconds, watch, self._closing)
            try:
                draft = Draft(self._workspace)
                try:
                    return self._propose(context, clock, draft)
                finally:
                    draft.remove()
            except NothingToProposeError as error:
                error.cost = Cost(seconds=clock.seconds)
                raise
            except OSError as error:
                raise ProposerTroubleError(f"the command could not be given a draft: {error}") from error

    def tell(self, result: Result) -> None:
        """It is told with the next request."""

    def reflect(self, result: Result) -> str:
        return ""

    def require(self) -> None:
        given = environment(self._settings.environment, self._workspace.drafts)
        command_line(self._template, given, self._workspace, "command")

    def close(self) -> None:
        self._closing.set()
        with self._asking:
            self._closing.clear()

    def _propose(self, context: Context, clock: Clock, draft: Draft) -> Proposal:
        voice = Voice(clock.watch)
        draft.lay_out(context, briefing(context, self._all_settings))
        prompt, fault = f"Read {CONTEXT} and do what it says. {task(context)}", ""
        for remaining in reversed(range(MOST_TURNS)):
            answer = self._run(prompt, draft, clock, voice)
            changes = draft.changes()
            for each in changes.others:
                voice.say("refused", each)
            fault = fault_of(changes, context)
            if not fault:
                return propose(context, changes, answer, [], source=self.name, cost=Cost(seconds=clock.seconds))
            if remaining:
                voice.say("refused", f"reminded: it {fault}")
                prompt = f"Read {CONTEXT} and do what it says. {reminder(fault, [])}"
        raise ProposerTroubleError(f"{self._program} {fault}, and after a reminder too.")

    @property
    def _program(self) -> str:
        return self._settings.preset or (self._settings.command or ["the command"])[0]

    @property
    def _template(self) -> list[str]:
        """The command line with its blanks."""
        if self._settings.preset and self._settings.preset not in PRESETS:
            raise NeedsPersonError(
                f"[command] preset {self._settings.preset!r} is none of {', '.join(PRESETS)}: take one, or set command."
            )
        return list(PRESETS[self._settings.preset].command) if self._settings.preset else self._settings.command

    def _command(self, prompt: str, draft: Draft) -> list[str]:
        context = str(draft.path / CONTEXT)
        words = (word.replace("{context}", context).replace("{prompt}", prompt) for word in self._template)
        return [*words, *self._settings.arguments]

    def _run(self, prompt: str, draft: Draft, clock: Clock, voice: Voice) -> str:
        """Run it to its end and return what it printed; when this returns or raises, nothing of it is left."""
        given = environment(self._settings.environment, draft.path)
        command = command_line(self._command(prompt, draft), given, self._workspace, "command")
        leash = Leash(command, draft.path, self._settings.grace_seconds)
        try:
            with (draft.path / CONTEXT).open("rb") as context:
                process = subprocess.Popen(
                    leash.command,
                    cwd="/",
                    env=given | leash.own,
                    stdin=context,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pass_fds=leash.descriptors,
                    start_new_session=True,
                )
        except OSError:
            leash.let_go()
            raise
        leash.started()
        assert process.stdout and process.stderr
        with process.stdout, process.stderr:
            said, muttered = _Ear("message", process.stdout), _Ear("thought", process.stderr)
            try:
                _hear_out(process, [said, muttered], clock, voice)
            finally:
                leash.let_go()
                _wait_for(process, self._settings.grace_seconds + KILL_SECONDS)
                voice.flush()
        if process.returncode != 0:
            raise self._trouble(process.returncode, said.text, muttered.text)
        return said.text

    def _trouble(self, code: int, said: str, muttered: str) -> NothingToProposeError:
        lines = [line for line in f"{said}\n{muttered}".splitlines() if line.strip()]
        last = one_line(lines[-1], 300) if lines else ""
        if code == NOT_STARTED and last:
            return NeedsPersonError(f"{last}: mend [command] in autoresearch.toml.")
        words = f"{self._program} ended with exit status {code}" + (f": {last}" if last else "")
        if any(asks_to_log_in(line) for line in lines[-5:]):
            return NeedsPersonError(
                f"{words}. Log in with its own command in a terminal, or name its key in [command] environment; "
                "then resume."
            )
        return ProposerTroubleError(f"{words}.")


def _hear_out(process: subprocess.Popen[bytes], ears: list[_Ear], clock: Clock, voice: Voice) -> None:
    """Listen until the program is over. Raises NothingToProposeError where it has to end before."""
    with selectors.DefaultSelector() as selector:
        for ear in ears:
            selector.register(ear.stream, selectors.EVENT_READ, ear)
        while selector.get_map():
            is_over = process.poll() is not None
            ready = selector.select(0 if is_over else POLL_SECONDS)
            for key, _ in ready:
                if not key.data.listen(voice):
                    selector.unregister(key.fileobj)
            clock.check()
            if is_over and not ready:
                return  # somebody who got away holds the pipes open
    while process.poll() is None:
        clock.check()
        time.sleep(POLL_SECONDS)


def _wait_for(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()  # the leash; what it held is ended with the draft
        process.wait()
