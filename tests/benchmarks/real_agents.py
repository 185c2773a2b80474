"""Two real agents drive the loop on a demo workspace: ``python -m tests.benchmarks.real_agents [DIRECTORY]``.

OpenCode (``opencode acp``) through the proposer ``agent``, and Codex (``codex exec``) and OpenCode (``opencode run``)
through ``command``. They are installed from the npm registry into DIRECTORY and get a home of their own there; the
model that they talk to is a server on loopback that answers with what is wanted of each experiment. Each drives a few
real experiments of one session with ``autoresearch-tui run --headless``: some 10 minutes in all. It needs npm.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from engine import events, knobs, ledger
from engine.events import EventFollower
from engine.workspace import Workspace
from tests.engine.drafters import drafters

PACKAGES = ("opencode-ai", "@openai/codex")
KEY = "REAL_AGENTS_KEY"
REMINDED = "That is no experiment"
NOTES = '```asi\n{"description": "%s", "hypothesis": "the scripted model says so"}\n```'
PROGRAM = Path(sys.executable).parent / "autoresearch-tui"

GOOD, CHEATING_TOO, CHEATING, NOTHING = "a good edit", "prepare.py too", "only prepare.py", "no edit"
STEPS = {
    "opencode acp": (GOOD, CHEATING_TOO, CHEATING, GOOD, NOTHING),
    "codex exec": (GOOD, CHEATING_TOO, GOOD, NOTHING),
    "opencode run": (GOOD, NOTHING),
}
"""What the model does in each experiment of each agent."""
KNOBS = ("MATRIX_LR", "EMBEDDING_LR", "UNEMBEDDING_LR", "WEIGHT_DECAY", "WARMDOWN_RATIO")
Edit = tuple[str, str, str]
"""A file, a line of it, and what is put in its place."""
CHEAT: Edit = ("prepare.py", "MAX_SEQ_LEN = 256", "MAX_SEQ_LEN = 1")


class Script:
    """What the model does: edits in the present experiment, and then its last words."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._steps: tuple[str, ...] = ()
        self._first = 0
        self.requests = 0

    def begin(self, steps: tuple[str, ...]) -> None:
        """The next agent's experiments begin."""
        self._steps, self._first, self.requests = steps, self._done, 0

    @property
    def _done(self) -> int:
        return len(ledger.read(self._workspace.ledger).experiments)

    @property
    def step(self) -> str:
        """What is wanted of the experiment that is thought of; past the last one, nothing."""
        return (*self._steps, *[NOTHING] * 99)[self._done - self._first]

    @property
    def words(self) -> str:
        return NOTES % f"{self.step}, says the script"

    def wanted(self, message: Any) -> list[Edit]:
        """The edits that follow on a person's last message: reminded, the model does without the cheat."""
        is_reminded = REMINDED in json.dumps(message)
        cheats = [] if is_reminded else [CHEAT]
        match self.step:
            case "a good edit":
                return [self._better()]
            case "prepare.py too":
                return [*cheats, self._better()]
            case "only prepare.py":
                return cheats
        return []

    def _better(self) -> Edit:
        """A knob of the incumbent, another one in each experiment, a fifth higher."""
        train = self._workspace.train.read_text()
        known = [name for name in KNOBS if name in knobs.read(train)]
        name = known[self._done % len(known)]
        value = knobs.read(train)[name]
        assert isinstance(value, int | float)
        return "train.py", f"{name} = {value}", f"{name} = {round(value * 1.2, 6)}"


class Model(BaseHTTPRequestHandler):
    """Chat completions and responses, streamed."""

    script: Script
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._send("application/json", json.dumps({"object": "list", "data": [{"id": "scripted"}]}))

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.script.requests += 1
        if self.path.endswith("/responses"):
            self._send("text/event-stream", "".join(_events(request, self.script)))
        else:
            self._send("text/event-stream", "".join(_chunks(request, self.script)))

    def _send(self, kind: str, body: str) -> None:
        content = body.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def _chunks(request: dict[str, Any], script: Script) -> Iterator[str]:
    """A chat completion: read and edit each file in turn, then the last words."""
    messages = request["messages"]
    last = max(number for number, each in enumerate(messages) if each["role"] == "user")
    done = sum(each["role"] == "tool" for each in messages[last:])
    steps = [
        step
        for path, old, new in script.wanted(messages[last])
        for step in (("read", path, "", ""), ("edit", path, old, new))
    ]
    if request.get("tools") and done < len(steps):
        name, path, old, new = steps[done]
        arguments = {"filePath": path} | ({"oldString": old, "newString": new} if name == "edit" else {})
        call = {"name": name, "arguments": json.dumps(arguments)}
        delta: dict[str, Any] = {
            "tool_calls": [{"index": 0, "id": f"call{done}", "type": "function", "function": call}]
        }
        reason = "tool_calls"
    else:
        delta, reason = {"content": script.words if request.get("tools") else "A title"}, "stop"
    frame = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    for choice in (
        {"delta": {"role": "assistant"} | delta, "finish_reason": None},
        {"delta": {}, "finish_reason": reason},
    ):
        yield f"data: {json.dumps(frame | {'choices': [{'index': 0} | choice]})}\n\n"
    yield f"data: {json.dumps(frame | {'choices': [], 'usage': usage})}\n\n"
    yield "data: [DONE]\n\n"


def _events(request: dict[str, Any], script: Script) -> Iterator[str]:
    """A response: one shell command that makes all edits, then the last words."""
    items = request["input"]
    last = max(number for number, each in enumerate(items) if each.get("role") == "user")
    edits = script.wanted(items[last])
    is_done = not edits or any(each.get("type", "").endswith("_output") for each in items[last:])
    if is_done:
        content = [{"type": "output_text", "text": script.words, "annotations": []}]
        item = {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": content}
    else:
        command = " && ".join(f"sed -i 's/{old}/{new}/' {path}" for path, old, new in edits)
        item = {"type": "function_call", "id": "f1", "call_id": "call1"} | _shell(request["tools"], command)
    usage = {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}
    frame = {"id": "r1", "object": "response", "model": "scripted", "usage": usage}
    for name, rest in (
        ("response.created", {"response": frame | {"status": "in_progress", "output": []}}),
        ("response.output_item.done", {"output_index": 0, "item": item}),
        ("response.completed", {"response": frame | {"status": "completed", "output": [item]}}),
    ):
        yield f"event: {name}\ndata: {json.dumps({'type': name} | rest)}\n\n"


def _shell(tools: list[dict[str, Any]], command: str) -> dict[str, str]:
    """A call of whatever this Codex names its shell."""
    names = {each.get("name") for each in tools}
    if "exec_command" in names:
        return {"name": "exec_command", "arguments": json.dumps({"cmd": command})}
    if "shell_command" in names:
        return {"name": "shell_command", "arguments": json.dumps({"command": command})}
    return {"name": "shell", "arguments": json.dumps({"command": ["bash", "-c", command]})}


@contextmanager
def _served(script: Script) -> Iterator[str]:
    handler = type("Scripted", (Model,), {"script": script})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()


def _install(directory: Path) -> Path:
    """The agents' programs."""
    programs = directory / "node_modules" / ".bin"
    if not all((programs / name).exists() for name in ("opencode", "codex")):
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(directory), *PACKAGES], check=True)
    return programs


def _configure(home: Path, url: str, *, edits: str) -> None:
    """A home in which both agents know the scripted model, and no other; OpenCode may edit, or has to ask."""
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Scripted",
        "options": {"baseURL": url, "apiKey": f"{{env:{KEY}}}"},
        "models": {"scripted": {"name": "Scripted", "limit": {"context": 100000, "output": 4000}}},
    }
    config = {
        "autoupdate": False,
        "share": "disabled",
        "model": "loopback/scripted",
        "small_model": "loopback/scripted",
        "permission": {"edit": edits, "bash": "deny", "webfetch": "deny"},
        "provider": {"loopback": provider},
    }
    (home / ".config" / "opencode").mkdir(parents=True, exist_ok=True)
    (home / ".config" / "opencode" / "opencode.json").write_text(json.dumps(config))
    (home / ".codex").mkdir(exist_ok=True)
    (home / ".codex" / "config.toml").write_text(
        'model = "scripted"\nmodel_provider = "loopback"\n[model_providers.loopback]\nname = "Scripted"\n'
        f'base_url = "{url}"\nenv_key = "{KEY}"\nwire_api = "responses"\n'
    )


def _choose(workspace: Workspace, proposer: str, table: str, values: dict[str, str]) -> None:
    """Set the workspace up for a proposer, as a person does: by an edit of autoresearch.toml between two engines."""
    text = workspace.settings.read_text()
    text = re.sub(r'(?m)^proposer = "\w+"(?=.*what chooses)', f'proposer = "{proposer}"', text)
    for name, value in values.items():
        head, line = rf"(?ms)(^\[{table}\].*?^{name} = )", r"[^#\n]*"
        text = re.sub(head + line, lambda found, value=value: f"{found[1]}{value} ", text, count=1)
    workspace.settings.write_text(text)


def _drive(name: str, workspace: Workspace, script: Script) -> None:
    """The agent's experiments, a line each."""
    steps = STEPS[name]
    script.begin(steps)
    before = ledger.read(workspace.ledger).experiments
    follower = EventFollower(workspace.events)
    list(follower)
    command = [PROGRAM, "run", str(workspace.root), "--headless", "--experiments", str(len(before) - 1 + len(steps))]
    began = time.monotonic()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    print(
        f"\n{name}: {len(steps)} experiments, exit status {done.returncode}, {time.monotonic() - began:.0f} s, "
        f"{script.requests} requests",
        flush=True,
    )
    if done.returncode or "--verbose" in sys.argv:
        print(done.stderr)
    for step, each in zip(steps, ledger.read(workspace.ledger).experiments[len(before) :], strict=False):
        metric = "-" if each.metric is None else f"{each.metric:.6f}"
        print(f"  {step:<16}run {each.run}: {each.source:<8}{each.status:<9}{metric}  {each.description}, {each.cost}")
        if dropped := each.asi.get("dropped"):
            print(f"  {'':<16}{dropped}")
    for event in follower:
        if isinstance(event, events.ProposalFailed):
            print(f"  {event.problem}")
    left = len(drafters(workspace)), len(list(workspace.drafts.glob("*")))
    git = subprocess.run(["git", "status", "--short"], cwd=workspace.root, capture_output=True, text=True, check=True)
    print(
        f"  processes and drafts left: {left}; changed in the work tree: {git.stdout.split() or 'nothing'}", flush=True
    )


def main() -> None:
    """Install, configure and drive them."""
    places = [each for each in sys.argv[1:] if not each.startswith("-") and each != "real_agents"]
    if shutil.which("npm") is None:
        sys.exit("npm is not installed: the agents come from its registry.")
    directory = Path(places[0] if places else tempfile.mkdtemp(prefix="real-agents-")).resolve()
    programs = _install(directory)
    workspace = Workspace.at(Path(tempfile.mkdtemp(prefix="demo-", dir=directory)))
    subprocess.run([PROGRAM, "demo", str(workspace.root), "--headless", "--experiments", "0"], check=True)
    script = Script(workspace)
    with _served(script) as url, tempfile.TemporaryDirectory(prefix="home-", dir=directory) as home:
        _configure(Path(home), url, edits="ask")
        os.environ |= {"HOME": home, KEY: "no-secret", "PATH": f"{programs}:{os.environ['PATH']}"}
        for name in [name for name in os.environ if name.startswith("XDG_")]:
            del os.environ[name]
        limits = {"environment": f'["{KEY}"]', "limit_seconds": "120"}
        _choose(workspace, "agent", "agent", {"command": '["opencode", "acp"]'} | limits)
        _drive("opencode acp", workspace, script)
        _choose(workspace, "command", "command", {"preset": '"codex"'} | limits)
        _drive("codex exec", workspace, script)
        _configure(Path(home), url, edits="allow")
        _choose(workspace, "command", "command", {"preset": '"opencode"'} | limits)
        _drive("opencode run", workspace, script)


if __name__ == "__main__":
    main()
