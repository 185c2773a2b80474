"""Any agent that speaks the Agent Client Protocol (agentclientprotocol.com), kept in one conversation.

The engine is the protocol's client: it starts the agent, gives it files of a draft to read, takes a new
train.py from it and nothing else, and answers its requests for permission by the same rule. The agent's
conversation goes on from experiment to experiment until its context is full; a new one starts from the
documents and the ledger, which is all that an agent needs to resume.
"""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

import acp
from acp.client.connection import ClientSideConnection
from acp.schema import EnvVarAuthMethod, PromptResponse, Usage

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
from engine.proposers.clock import Clock
from engine.proposers.draft import Draft
from engine.proposers.drafting import (
    asks_to_log_in,
    briefing,
    command_line,
    continuation,
    fault_of,
    propose,
    reminder,
)
from engine.proposers.foreign import one_line
from engine.proposers.leash import NOT_STARTED, Leash, environment
from engine.proposers.manners import Manners
from engine.proposers.voice import Voice
from engine.proposers.wire import Wire
from engine.settings import AgentSettings, Settings
from engine.supervisor import KILL_SECONDS
from engine.workspace import Workspace

AUTH_REQUIRED = -32000
"""The protocol's error for an agent that nobody has logged in to."""
MOST_OF_STDERR = 4096
MOST_OF_ITS_WORDS = 500
LONGEST_NAME = 60
MOST_TURNS = 2
"""Of one proposal: the request, and a reminder."""

T = TypeVar("T")


class _Session:
    """One agent's process, and one conversation with it."""

    def __init__(self, settings: AgentSettings, workspace: Workspace) -> None:
        self._settings = settings
        self._workspace = workspace
        self.draft = Draft(workspace)
        self.manners = Manners(self.draft)
        self.name = settings.command[0] if settings.command else ""
        self.known = 0
        """How many of the segment's experiments the agent was told of."""
        self.turns = 0
        self._sent = 0
        self._id = ""
        self._logins = ""
        self._stderr = bytearray()
        self._leash: Leash | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._wire: Wire | None = None
        self._connection: ClientSideConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._over: asyncio.Task[None] | None = None

    @property
    def is_full(self) -> bool:
        """Whether the next proposal is to have a conversation of its own."""
        if self.turns >= self._settings.session_turns:
            return True
        if self.manners.context_share is not None:
            return self.manners.context_share >= self._settings.session_share
        read = self._wire.read if self._wire else 0
        return self._sent + read >= self._settings.session_bytes

    async def start(self, clock: Clock) -> None:
        """Start the agent and the conversation. Raises NothingToProposeError."""
        given = environment(self._settings.environment, self.draft.path)
        command = command_line(self._settings.command, given, self._workspace, "agent")
        leash = self._leash = Leash(command, self.draft.path, self._settings.grace_seconds)
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                *leash.command,
                cwd="/",
                env=given | leash.own,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=leash.descriptors,
                start_new_session=True,
            )
        finally:
            leash.started()
        assert process.stdin and process.stdout and process.stderr
        self._reading = asyncio.create_task(self._read_stderr(process.stderr))
        self._wire = Wire(process.stdout, process.stdin, self.manners.garbage)
        connection = self._connection = ClientSideConnection(self.manners, self._wire)
        greeting = await clock.run(
            connection.initialize(
                acp.PROTOCOL_VERSION,
                client_capabilities=self.manners.capabilities,
                client_info=self.manners.introduction,
            )
        )
        if greeting.protocol_version != acp.PROTOCOL_VERSION:
            raise NeedsPersonError(
                f"{self.name} speaks version {greeting.protocol_version} of the Agent Client Protocol, "
                f"and this is version {acp.PROTOCOL_VERSION}: update one of the two."
            )
        if greeting.agent_info:
            self.name = one_line(greeting.agent_info.title or greeting.agent_info.name, LONGEST_NAME)
        logins = "; or ".join(
            f"set {', '.join(each.name for each in method.vars)} and name it in [agent] environment"
            if isinstance(method, EnvVarAuthMethod)
            else f"{method.name}: {method.description}"
            if method.description
            else method.name
            for method in greeting.auth_methods or []
        )
        self._logins = one_line(logins, MOST_OF_ITS_WORDS)
        session = await clock.run(connection.new_session(cwd=str(self.draft.path)))
        if self._settings.mode:
            await clock.run(connection.set_session_mode(mode_id=self._settings.mode, session_id=session.session_id))
        self._id = session.session_id

    async def prompt(self, text: str, clock: Clock) -> PromptResponse:
        """One turn. Where it has to end before the agent ends it, it is cancelled, and this raises."""
        assert self._connection
        self._sent += len(text)
        answer = asyncio.ensure_future(self._connection.prompt(prompt=[acp.text_block(text)], session_id=self._id))
        try:
            return await clock.wait(answer)
        except NothingToProposeError:
            if not await self._cancel(answer):
                await self.end()
            raise
        finally:
            answer.cancel()
            with suppress(BaseException):
                await answer

    @property
    def has_begun(self) -> bool:
        """Whether there is a conversation: ``start`` came to its end."""
        return bool(self._id)

    @property
    def has_ended(self) -> bool:
        return self._process is None or self._process.returncode is not None or self._leash is None

    async def complaint(self) -> str:
        """What an agent that is no more said at the end, for a person."""
        code = await self._exit_code(self._settings.grace_seconds)
        lines = reversed(self._stderr.decode("utf-8", "replace").splitlines())
        last = next((said for line in lines if (said := one_line(line, MOST_OF_ITS_WORDS))), "")
        if code == NOT_STARTED and last:
            return last
        strange = self._wire.garbage if self._wire else 0
        words = "" if code is None else f" with exit status {code}"
        words += f"; it printed {strange} lines that are no messages: does it speak ACP?" if strange else ""
        return f"it ended in the middle of a proposal{words}" + (f"; its last words: {last}" if last else "")

    def login_wanted(self) -> str:
        how = self._logins or "log in with its own command in a terminal, or name its key in [agent] environment"
        return f"{self.name} needs a login ({how}): do it in a terminal, then resume."

    async def end(self) -> None:
        """Leave no process and no draft behind."""
        leash, self._leash = self._leash, None
        if leash is not None:
            leash.let_go()
        await self._exit_code(self._settings.grace_seconds + KILL_SECONDS)
        self.draft.remove()
        await self._exit_code(self._settings.grace_seconds)

    async def _cancel(self, answer: "asyncio.Future[PromptResponse]") -> bool:
        """Ask the agent to stop; returns whether it did."""
        assert self._connection
        try:
            await asyncio.wait_for(self._connection.cancel(self._id), self._settings.grace_seconds)
        except OSError:  # a TimeoutError is one
            return False
        await asyncio.wait({answer}, timeout=self._settings.grace_seconds)
        return answer.done() and answer.exception() is None

    async def _exit_code(self, seconds: float) -> int | None:
        """How the agent exited; None where it has not within so many seconds."""
        if self._process is None:
            return None
        if self._over is None:
            self._over = asyncio.create_task(self._wind_up(self._process))
        await asyncio.wait({self._over}, timeout=seconds)
        return self._process.returncode

    async def _wind_up(self, process: asyncio.subprocess.Process) -> None:
        """Hear no more of the agent, but read its pipes to their end: asyncio takes them for a part of the process."""
        if self._connection is not None:
            with suppress(OSError):
                await self._connection.close()
        assert process.stdout and self._reading
        while await process.stdout.read(MOST_OF_STDERR):
            pass
        await self._reading
        await process.wait()

    async def _read_stderr(self, stream: asyncio.StreamReader) -> None:
        while chunk := await stream.read(MOST_OF_STDERR):
            self._stderr = (self._stderr + chunk)[-MOST_OF_STDERR:]


class Agent:
    """The agent that [agent] in autoresearch.toml names."""

    name = "agent"
    reads_prose = True

    def __init__(self, settings: Settings, workspace: Workspace) -> None:
        self._settings = settings
        self._workspace = workspace
        self._session: _Session | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._asking = threading.Lock()
        self._closing = threading.Event()

    def ask(self, context: Context, watch: Watch = SILENT) -> Proposal:
        with self._asking:
            clock = Clock(self._settings.agent.limit_seconds, watch, self._closing)
            try:
                return self._in_loop(self._ask(context, clock))
            except NothingToProposeError as error:
                error.cost = replace(error.cost, seconds=clock.seconds)
                raise

    def tell(self, result: Result) -> None:
        """It is told with the next request."""

    def reflect(self, result: Result) -> str:
        return ""

    def require(self) -> None:
        chosen = self._settings.agent
        command_line(chosen.command, environment(chosen.environment, self._workspace.drafts), self._workspace, "agent")

    def close(self) -> None:
        self._closing.set()
        with self._asking:
            if self._loop is not None and self._thread is not None:
                self._in_loop(self._end())
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join()
                self._loop.close()
                self._loop = self._thread = None
            self._closing.clear()

    async def _ask(self, context: Context, clock: Clock) -> Proposal:
        try:
            return await self._propose(context, clock)
        except NeedsPersonError:
            await self._end()
            raise
        except NothingToProposeError:
            if self._session is not None and not self._session.has_begun:
                await self._end()
            raise
        except acp.RequestError as error:
            raise await self._refusal(error) from error
        except (OSError, ValueError) as error:  # pydantic's, of an answer that the protocol has not, is a ValueError
            session, words = self._session, one_line(str(error), MOST_OF_ITS_WORDS)
            if session is not None and isinstance(error, ConnectionError):
                words = await session.complaint()
            name = session.name if session else "the agent"
            await self._end()
            if asks_to_log_in(words) and session is not None:
                raise NeedsPersonError(f"{session.login_wanted()} It said: {words}") from error
            raise ProposerTroubleError(f"{name} gave no proposal: {words}") from error

    async def _propose(self, context: Context, clock: Clock) -> Proposal:
        voice = Voice(clock.watch)
        session = self._session
        if session is not None and (session.is_full or session.has_ended):
            await self._end()
            session = None
        if session is None:
            session = self._session = _Session(self._settings.agent, self._workspace)
            session.manners.listen(voice)
            await session.start(clock)
            text = briefing(context, self._settings)
        else:
            session.manners.listen(voice)
            text = continuation(context, self._settings, session.known)
        session.draft.lay_out(context, briefing(context, self._settings))
        session.known = len(context.history)
        session.turns += 1
        fault, cost = "", Cost()
        try:
            for remaining in reversed(range(MOST_TURNS)):
                dollars = session.manners.dollars
                response = await session.prompt(text, clock)
                cost += _cost(response.usage, _difference(dollars, session.manners.dollars))
                voice.flush()
                changes = session.draft.changes()
                for each in changes.others:
                    voice.say("refused", each)
                fault = fault_of(changes, context)
                if not fault:
                    said, refused = session.manners.answer, session.manners.refused
                    cost = replace(cost, seconds=clock.seconds)
                    return propose(context, changes, said, refused, source=self.name, cost=cost)
                if response.stop_reason == "refusal":
                    raise ProposerTroubleError(f"{session.name} refused to propose anything.")
                if remaining:
                    voice.say("refused", f"reminded: it {fault}")
                    text = reminder(fault, session.manners.refused)
            raise ProposerTroubleError(f"{session.name} {fault}, and after a reminder too.")
        except NothingToProposeError as error:
            error.cost = cost
            raise

    async def _refusal(self, error: acp.RequestError) -> NothingToProposeError:
        """What an agent's error means for the loop. The conversation is over: nobody knows what is left of it."""
        session = self._session
        assert session
        detail = error.data if isinstance(error.data, str) else ""
        if isinstance(error.data, dict):
            detail = str(error.data.get("details") or error.data.get("message") or "")
        words = one_line(f"{error} {detail}", MOST_OF_ITS_WORDS)
        await self._end()
        if error.code == AUTH_REQUIRED or asks_to_log_in(words):
            return NeedsPersonError(f"{session.login_wanted()} It said: {words}")
        return ProposerTroubleError(f"{session.name} gave no proposal: {words}")

    async def _end(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.end()

    def _in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it in the thread that the agent's pipes belong to."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="agent", daemon=True)
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _cost(usage: Usage | None, dollars: float | None) -> Cost:
    """Of one turn, as far as the agent reports it."""
    return Cost(
        tokens_in=usage.input_tokens + (usage.cached_read_tokens or 0) if usage else 0,
        tokens_out=usage.output_tokens + (usage.thought_tokens or 0) if usage else 0,
        dollars=dollars,
    )


def _difference(before: float | None, after: float | None) -> float | None:
    """What a proposal cost, of a conversation's cost before and after it."""
    return None if after is None else max(0.0, after - (before or 0.0))
