"""What an ACP agent may do, and what is heard of it: the client's side of the protocol.

It reads files of its draft and writes train.py (and its notes); other requests are refused, in words that
the agent can read. It gets no terminal.
"""

from importlib import metadata
from typing import Any

import acp
from acp.schema import (
    AgentMessageChunk,
    AgentPlanUpdate,
    AgentThoughtChunk,
    AllowedOutcome,
    ClientCapabilities,
    CreateTerminalResponse,
    DeniedOutcome,
    EnvVariable,
    FileEditToolCallContent,
    FileSystemCapabilities,
    Implementation,
    KillTerminalResponse,
    PermissionOption,
    ReadTextFileResponse,
    ReleaseTerminalResponse,
    RequestPermissionResponse,
    TerminalOutputResponse,
    TextContentBlock,
    ToolCallProgress,
    ToolCallStart,
    ToolCallUpdate,
    UsageUpdate,
    WaitForTerminalExitResponse,
    WriteTextFileResponse,
)

from engine.files import open_regular, write_atomically
from engine.proposers.draft import MOST_OF_A_FILE, OUTPUT, Draft
from engine.proposers.voice import Voice
from engine.workspace import TRAIN

READS = ("read", "search", "think")
EDITS = ("edit",)
MOST_OF_AN_ANSWER = 1 << 16
MOST_TOOLS = 500
MOST_REFUSED = 20
MOST_GARBAGE_SAID = 5
_PATHS = frozenset("path filepath abspath absolutepath targetfile targetpath file filename notebookpath".split())  # noqa: SIM905


class Manners(acp.Client):
    """The client that one agent talks to."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._voice: Voice | None = None
        self._tools: dict[str, ToolCallStart] = {}
        self._answer = ""
        self._garbage = 0
        self.refused: list[str] = []
        """What it was not allowed in this proposal, in words."""
        self.context_share: float | None = None
        """How full the agent says its context is."""
        self.dollars: float | None = None
        """What the agent says the conversation has cost so far."""
        self.capabilities = ClientCapabilities(
            fs=FileSystemCapabilities(read_text_file=True, write_text_file=True), terminal=False
        )
        self.introduction = Implementation(name="autoresearch-tui", version=metadata.version("autoresearch-tui"))

    def listen(self, voice: Voice) -> None:
        """A new proposal begins."""
        self._voice = voice
        self._tools.clear()
        self._answer = ""
        self.refused = []

    @property
    def answer(self) -> str:
        """What the agent said in this proposal; of a long answer, the end."""
        return self._answer

    def garbage(self, line: str) -> None:
        """It wrote something that is no message."""
        self._garbage += 1
        if self._garbage <= MOST_GARBAGE_SAID:
            self._say("error", f"not a message: {line}")

    async def session_update(self, session_id: str, update: Any, **kwargs: Any) -> None:
        match update:
            case AgentThoughtChunk(content=TextContentBlock(text=text)):
                self._stream("thought", text)
            case AgentMessageChunk(content=TextContentBlock(text=text)):
                self._answer = (self._answer + text)[-MOST_OF_AN_ANSWER:]
                self._stream("message", text)
            case AgentPlanUpdate(entries=entries):
                self._say("plan", "; ".join(f"[{_mark(entry.status)}] {entry.content}" for entry in entries))
            case ToolCallStart():
                if len(self._tools) < MOST_TOOLS:
                    self._tools[update.tool_call_id] = update
                self._say("tool", update.title)
            case ToolCallProgress():
                self._progress(update)
            case UsageUpdate(used=used, size=size):
                self.context_share = used / size if size else None
                if update.cost and update.cost.currency.upper() == "USD":
                    self.dollars = update.cost.amount

    async def request_permission(
        self, session_id: str, tool_call: ToolCallUpdate, options: list[PermissionOption], **kwargs: Any
    ) -> RequestPermissionResponse:
        known = self._tools.get(tool_call.tool_call_id)
        kind = tool_call.kind or (known.kind if known else None)
        title = tool_call.title or (known.title if known else "") or "something"
        paths = _paths(tool_call) or (_paths(known) if known else set())
        allowed = self._allows(kind, paths)
        if not allowed:
            self._refuse(f"it asked for {title} ({kind or 'of no kind'})")
        wanted = ("allow_once", "allow_always") if allowed else ("reject_once", "reject_always")
        for each in wanted:
            for option in options:
                if option.kind == each:
                    return RequestPermissionResponse(
                        outcome=AllowedOutcome(outcome="selected", option_id=option.option_id)
                    )
        return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))

    async def read_text_file(
        self, session_id: str, path: str, line: int | None = None, limit: int | None = None, **kwargs: Any
    ) -> ReadTextFileResponse:
        if not self._is_inside(path):
            raise self._refusal(f"it asked to read {path}", "only files of your working directory can be read")
        try:
            with open_regular(self._draft.path / path) as file:
                content = file.read(MOST_OF_A_FILE).decode("utf-8", "replace")
        except FileNotFoundError as error:
            raise acp.RequestError.resource_not_found(path) from error
        except OSError as error:
            raise acp.RequestError.invalid_params({"details": str(error)}) from error
        if line is not None or limit is not None:
            first = max((line or 1) - 1, 0)
            lines = content.splitlines(keepends=True)
            content = "".join(lines[first : None if limit is None else first + limit])
        return ReadTextFileResponse(content=content)

    async def write_text_file(
        self, session_id: str, path: str, content: str, **kwargs: Any
    ) -> WriteTextFileResponse | None:
        if not self._is_output(path):
            raise self._refusal(f"it tried to write {path}", f"only {TRAIN} may be written")
        data = content.encode("utf-8", "surrogatepass")
        if len(data) > MOST_OF_A_FILE:
            raise self._refusal(f"it tried to write {len(data)} bytes", "it is too long")
        try:
            write_atomically(self._draft.path / path, data)
        except OSError as error:
            raise acp.RequestError.internal_error({"details": str(error)}) from error
        return WriteTextFileResponse()

    async def create_terminal(
        self,
        session_id: str,
        command: str,
        args: list[str] | None = None,
        env: list[EnvVariable] | None = None,
        cwd: str | None = None,
        output_byte_limit: int | None = None,
        **kwargs: Any,
    ) -> CreateTerminalResponse:
        raise self._refusal(f"it asked for a terminal: {command}", "there is no terminal")

    async def terminal_output(self, session_id: str, terminal_id: str, **kwargs: Any) -> TerminalOutputResponse:
        raise acp.RequestError.method_not_found("terminal/output")

    async def release_terminal(
        self, session_id: str, terminal_id: str, **kwargs: Any
    ) -> ReleaseTerminalResponse | None:
        raise acp.RequestError.method_not_found("terminal/release")

    async def wait_for_terminal_exit(
        self, session_id: str, terminal_id: str, **kwargs: Any
    ) -> WaitForTerminalExitResponse:
        raise acp.RequestError.method_not_found("terminal/wait_for_exit")

    async def kill_terminal(self, session_id: str, terminal_id: str, **kwargs: Any) -> KillTerminalResponse | None:
        raise acp.RequestError.method_not_found("terminal/kill")

    async def create_elicitation(self, message: str, mode: Any, **kwargs: Any) -> Any:
        self._say("message", message)
        raise acp.RequestError.method_not_found("elicitation/create")

    async def complete_elicitation(self, elicitation_id: str, **kwargs: Any) -> None:
        """Nothing was asked of a person."""

    async def ext_method(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        raise acp.RequestError.method_not_found(method)

    async def ext_notification(self, method: str, params: dict[str, Any]) -> None:
        """An agent's own; nothing follows from it."""

    def on_connect(self, conn: acp.Agent) -> None:
        """The engine speaks first."""

    def _progress(self, update: ToolCallProgress) -> None:
        known = self._tools.get(update.tool_call_id)
        if known is not None:
            self._tools[update.tool_call_id] = known.model_copy(
                update={
                    name: value
                    for name in ("title", "kind", "locations", "content", "raw_input")
                    if (value := getattr(update, name)) is not None
                }
            )
        if update.status in ("completed", "failed"):
            title = update.title or (known.title if known else update.tool_call_id)
            self._say("tool", f"{title}: {update.status}")

    def _allows(self, kind: str | None, paths: set[str]) -> bool:
        if kind in READS:
            return all(self._is_inside(path) for path in paths)
        return kind in EDITS and bool(paths) and all(self._is_output(path) for path in paths)

    def _is_inside(self, path: str) -> bool:
        draft = self._draft.path.resolve()
        return (draft / path).resolve().is_relative_to(draft)

    def _is_output(self, path: str) -> bool:
        """Whether it is train.py (or the notes), and no link to anything else."""
        draft = self._draft.path.resolve()
        return (draft / path).resolve() in [draft / name for name in OUTPUT] and not (draft / path).is_symlink()

    def _refusal(self, what: str, why: str) -> acp.RequestError:
        self._refuse(what)
        return acp.RequestError.invalid_params({"details": why})

    def _refuse(self, what: str) -> None:
        if len(self.refused) < MOST_REFUSED:
            self.refused.append(what[:200])
        self._say("refused", what)

    def _say(self, kind: str, text: str) -> None:
        if self._voice is not None:
            self._voice.say(kind, text)

    def _stream(self, kind: str, text: str) -> None:
        if self._voice is not None:
            self._voice.stream(kind, text)


def _mark(status: str) -> str:
    return {"completed": "x", "in_progress": ">"}.get(status, " ")


def _paths(call: ToolCallStart | ToolCallUpdate) -> set[str]:
    """The files that a tool call is about, as far as it says."""
    paths = {location.path for location in call.locations or []}
    paths |= {each.path for each in call.content or [] if isinstance(each, FileEditToolCallContent)}
    if isinstance(call.raw_input, dict):
        for name, value in call.raw_input.items():
            if isinstance(value, str) and value and name.lower().replace("_", "") in _PATHS:
                paths.add(value)
    return paths
