"""An agent that speaks ACP over stdio and does what its last prompt says: ``behave: NAME VALUE``.

What it is told without such words (a reminder) it takes as told again. In the loop it does for each proposal what the
next line of its script says (tests.engine.nights).
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import acp
from acp.schema import (
    Cost,
    InitializeResponse,
    NewSessionResponse,
    PermissionOption,
    PromptResponse,
    ToolCallLocation,
    ToolCallUpdate,
    Usage,
    UsageUpdate,
)

ASKED = re.compile(r"behave: ([a-z-]+)(?: (\S+))?")
OPTIONS = [
    PermissionOption(option_id="always", name="Always", kind="allow_always"),
    PermissionOption(option_id="yes", name="Yes", kind="allow_once"),
    PermissionOption(option_id="no", name="No", kind="reject_once"),
]
NOTES = (
    '```json\n{"description": "a higher rate", "hypothesis": "it learns faster", "next_action_hint": "higher"}\n```\n'
)
MEGABYTES_OF_THOUGHTS = 10
SCRIPT = os.environ.get("AGENT_SCRIPT", "")


def next_of_script() -> list[tuple[str, str]]:
    """The script's first line, which is taken out of it; so that an agent that is started anew reads on."""
    if not SCRIPT:
        return []
    first, *rest = Path(SCRIPT).read_text().splitlines() or ["nothing"]
    Path(SCRIPT).write_text("".join(f"{line}\n" for line in rest))
    name, _, value = first.partition(" ")
    return [(name, value)]


def note(session: str, behaviour: str, text: str) -> None:
    """Write down what the agent is told, for whoever wrote the script."""
    if SCRIPT:
        with Path(f"{SCRIPT}.told").open("a") as file:
            file.write(json.dumps({"session": session, "behaviour": behaviour, "text": text}) + "\n")


class Scripted(acp.Agent):
    def __init__(self) -> None:
        self.client: Any = None
        self.draft = Path()
        self.session = ""
        self.behaviour, self.value = "nothing", ""
        self.reminded = False
        self.text = self.left = ""
        self.cancelled = asyncio.Event()

    def on_connect(self, conn: Any) -> None:
        self.client = conn

    async def initialize(self, protocol_version: int, **kwargs: Any) -> InitializeResponse:
        if "--version-99" in sys.argv:
            protocol_version = 99
        if "--mute" in sys.argv or (SCRIPT and os.path.exists(f"{SCRIPT}.mute")):  # noqa: PTH110, ASYNC240
            await asyncio.Event().wait()
        return InitializeResponse(protocol_version=protocol_version)

    async def new_session(self, cwd: str, **kwargs: Any) -> NewSessionResponse:
        if "--nobody" in sys.argv:
            raise acp.RequestError.auth_required()
        self.draft, self.session = Path(cwd), f"session-{os.getpid()}"
        return NewSessionResponse(session_id=self.session)

    async def cancel(self, session_id: str, **kwargs: Any) -> None:
        self.cancelled.set()

    async def prompt(self, prompt: list[Any], session_id: str, **kwargs: Any) -> PromptResponse:
        text = "".join(block.text for block in prompt)
        self.text = text
        is_reminder = text.startswith("That is no experiment")
        asked = ASKED.findall(text) or ([] if is_reminder else next_of_script())
        self.reminded = not asked
        if asked:
            self.behaviour, self.value = asked[-1]
        note(self.session, "reminded" if is_reminder else self.behaviour, text)
        self.cancelled.clear()
        stop = await getattr(self, self.behaviour.replace("-", "_"))() or "end_turn"
        return PromptResponse(stop_reason=stop, usage=Usage(total_tokens=12, input_tokens=10, output_tokens=2))

    async def edit(self) -> None:
        """A good edit, read and written through the client."""
        train = (await self.client.read_text_file(path=str(self.draft / "train.py"), session_id=self.session)).content
        changed = self.left = re.sub(r"MATRIX_LR = .*", f"MATRIX_LR = {self.value}", train)
        await self.client.write_text_file(path=str(self.draft / "train.py"), content=changed, session_id=self.session)
        await self.say(f"I raised it in {self.session}.\n\n{NOTES}")

    async def plain(self) -> None:
        """An edit on the disk, and no notes."""
        self.write_train()
        await self.say("Raised the rate of the matrices. It was low.")

    async def notes(self) -> None:
        self.write_train()
        (self.draft / "asi.json").write_text('{"hypothesis": "from a file"}')

    async def nothing(self) -> None:
        await self.say("I looked around.")

    async def again(self) -> None:
        """What it left the last time."""
        (self.draft / "train.py").write_text(self.left)

    async def slip(self) -> None:
        """An edit that crashes trivially; mended in vain where it was one already."""
        await self.mend()
        with (self.draft / "train.py").open("a") as file:
            file.write(f"slip_{self.value.replace('.', '_')}\n")

    async def mend(self) -> None:
        """The edit without the slip."""
        train = (self.draft / "train.py").read_text()
        (self.draft / "train.py").write_text(re.sub(r"^slip_.*\n", "", train, flags=re.MULTILINE))
        await self.edit()

    async def deep(self) -> None:
        """What is too deep for Python's parser."""
        (self.draft / "train.py").write_text(f"x = {'-' * 100_000}1\n")

    async def late(self) -> None:
        if self.reminded:
            await self.edit()

    async def question(self) -> None:
        await self.say("Shall I raise the learning rate?")

    async def prepare(self) -> None:
        """An edit of prepare.py through the client; it goes on with train.py."""
        try:
            await self.client.write_text_file(
                path=str(self.draft / "prepare.py"), content="cheat = True\n", session_id=self.session
            )
        except acp.RequestError as error:
            await self.say(f"refused: {error} {error.data}\n")
        await self.edit()

    async def meek(self) -> None:
        """It ends its turn at a refusal, as real agents do, and edits train.py where it is told of it again."""
        if not self.reminded:
            with suppress(acp.RequestError):
                path = str(self.draft / "prepare.py")
                await self.client.write_text_file(path=path, content="cheat = True\n", session_id=self.session)
        elif "was refused" in self.text:
            await self.edit()

    async def behind(self) -> None:
        """An edit of prepare.py behind the client's back; in the loop of the one that the runs read, too."""
        if SCRIPT:
            (self.draft.parents[2] / "prepare.py").write_text("cheat = True\n")
        (self.draft / "prepare.py").unlink()
        (self.draft / "prepare.py").write_text("cheat = True\n")
        (self.draft / "plan.txt").write_text("cheat")
        await self.edit()

    async def only_behind(self) -> None:
        (self.draft / "prepare.py").unlink()
        (self.draft / "prepare.py").write_text("cheat = True\n")

    async def relative(self) -> None:
        """A good edit by paths from its working directory, which the protocol does not know."""
        train = (await self.client.read_text_file(path="train.py", session_id=self.session)).content
        changed = re.sub(r"MATRIX_LR = .*", f"MATRIX_LR = {self.value}", train)
        await self.client.write_text_file(path="./train.py", content=changed, session_id=self.session)

    async def outside(self) -> None:
        """Files that are none of its business."""
        for path in ("/etc/passwd", str(self.draft / ".." / ".." / ".." / "train.py")):
            for attempt in (
                self.client.read_text_file(path=path, session_id=self.session),
                self.client.write_text_file(path=path, content="cheat = True\n", session_id=self.session),
            ):
                try:
                    await attempt
                except acp.RequestError:
                    continue
                raise SystemExit(f"{path} was served")
        await self.edit()

    async def terminal(self) -> None:
        try:
            await self.client.create_terminal(command="sh", session_id=self.session)
        except acp.RequestError:
            await self.edit()

    async def permission(self) -> None:
        """It asks before each thing that it would do, and edits only if it may."""
        answers = []
        for kind, name in (("edit", "train.py"), ("edit", "prepare.py"), ("execute", ""), ("read", "context.md")):
            call = ToolCallUpdate(
                tool_call_id=f"{kind}-{name}",
                title=f"{kind} {name}",
                kind=kind,  # type: ignore[arg-type]
                locations=[ToolCallLocation(path=str(self.draft / name))] if name else None,
            )
            answer = await self.client.request_permission(tool_call=call, options=OPTIONS, session_id=self.session)
            answers.append(answer.outcome.option_id)
        if answers == ["yes", "no", "no", "yes"]:
            await self.edit()
        else:
            await self.say(f"was answered {answers}")

    async def plan(self) -> None:
        await self.update(acp.update_plan([acp.plan_entry("raise the rate"), acp.plan_entry("look at depth")]))
        await self.update(acp.start_tool_call("1", "Edit train.py", kind="edit"))
        await self.edit()
        await self.update(acp.update_tool_call("1", status="completed"))

    async def thoughts(self) -> None:
        for _ in range(MEGABYTES_OF_THOUGHTS):
            await self.update(acp.update_agent_thought_text("hmm, a thought\n" * (1 << 16)))
        await self.edit()

    async def expensive(self) -> None:
        """It says what it cost, and that its context is nearly full."""
        cost = Cost(amount=0.25, currency="USD")
        await self.update(UsageUpdate(session_update="usage_update", used=90, size=100, cost=cost))
        await self.edit()

    async def garbage(self) -> None:
        sys.stdout.write("npm warn deprecated\n[1, 2]\n{\n")
        sys.stdout.flush()
        await self.edit()

    async def hang(self) -> None:
        """It ends neither when it is asked to nor at SIGTERM, and it has a child in a session of its own."""
        subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"],
            start_new_session=True,
        )
        await asyncio.sleep(600)

    async def slow(self) -> str:
        await self.update(acp.update_agent_thought_text("thinking slowly\n"))
        await self.cancelled.wait()
        return "cancelled"

    async def crash(self) -> None:
        self.write_train()
        sys.stderr.write("Segmentation fault (no core)\n")
        sys.stderr.flush()
        sys.stdout.write('{"jsonrpc": "2.0", "method": "session/upd')
        sys.stdout.flush()
        os._exit(3)

    async def rude(self) -> None:
        """Its error draws on the screen."""
        raise acp.RequestError(-32603, "\x1b[2Jno\nmodel\x07")

    async def login(self) -> None:
        raise acp.RequestError.auth_required({"message": "the token has expired"})

    async def limit(self) -> None:
        raise acp.RequestError(-32603, "Internal error", {"details": "429 Too Many Requests: rate limit"})

    async def link(self) -> None:
        (self.draft / "train.py").unlink()
        (self.draft / "train.py").symlink_to("/etc/passwd")

    async def fifo(self) -> None:
        (self.draft / "train.py").unlink()
        os.mkfifo(self.draft / "train.py")

    async def huge(self) -> None:
        with (self.draft / "train.py").open("wb") as file:
            file.truncate(1 << 30)

    async def broken(self) -> None:
        (self.draft / "train.py").write_text("DEPTH = = 4\n")

    def write_train(self) -> None:
        train = (self.draft / "train.py").read_text()
        (self.draft / "train.py").write_text(re.sub(r"MATRIX_LR = .*", f"MATRIX_LR = {self.value}", train))

    async def say(self, text: str) -> None:
        await self.update(acp.update_agent_message_text(text))

    async def update(self, update: Any) -> None:
        await self.client.session_update(session_id=self.session, update=update)


if __name__ == "__main__":
    if "--garbage" in sys.argv:
        while True:
            print("Welcome! Please choose a theme:")
    asyncio.run(acp.run_agent(Scripted()))
