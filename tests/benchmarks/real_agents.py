"""Two real agents against a scripted model: ``python -m tests.benchmarks.real_agents [DIRECTORY]``.

OpenCode (``opencode acp``) through the proposer ``agent``, and Codex (``codex exec``) and OpenCode (``opencode run``)
through ``command``. They are installed from the npm registry into DIRECTORY and get a home of their own there; the
model that they talk to is a server on loopback that answers with what an experiment asks for. It needs npm.
"""

import json
import os
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

from engine.proposers import Context, NothingToProposeError, Proposer, Watch
from engine.proposers.agent import Agent
from engine.proposers.command import Command
from engine.proposers.leash import MARK
from engine.settings import AgentSettings, CommandSettings, Settings
from engine.workspace import Workspace
from tests.engine.drafters import drafters
from tests.engine.workspaces import PREPARE, TRAIN

PACKAGES = ("opencode-ai", "@openai/codex")
KEY = "REAL_AGENTS_KEY"
REMINDED = "That is no experiment"
NOTES = '```asi\n{"description": "%s", "hypothesis": "the scripted model says so"}\n```'
Edit = tuple[str, str, str]
"""A file, a line of it, and what is put in its place."""
RATE: Edit = ("train.py", "MATRIX_LR = 0.04", "MATRIX_LR = 0.05")
HIGHER: Edit = ("train.py", "MATRIX_LR = 0.04", "MATRIX_LR = 0.06")
CHEAT: Edit = ("prepare.py", "MAX_SEQ_LEN = 256", "MAX_SEQ_LEN = 1")
EXPERIMENTS: dict[str, list[Edit]] = {
    "a good edit": [RATE],
    "prepare.py too": [CHEAT, RATE],
    "only prepare.py": [CHEAT],
    "no edit": [],
    "a good edit again": [HIGHER],
}


class Script:
    """What the model does: edits in the present experiment, and then its last words."""

    def __init__(self) -> None:
        self.edits: list[Edit] = []
        self.words = ""
        self.requests = 0

    def wanted(self, message: Any) -> list[Edit]:
        """The edits that follow on a person's last message: reminded, the model does without the cheat."""
        is_reminded = REMINDED in json.dumps(message)
        return [edit for edit in self.edits if edit != CHEAT or not is_reminded]


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


def _drive(name: str, proposer: Proposer, workspace: Workspace, script: Script) -> None:
    """A few experiments, one line each."""
    for number, (title, edits) in enumerate(EXPERIMENTS.items(), 1):
        script.edits, script.words, script.requests = edits, NOTES % title, 0
        said: list[tuple[str, str]] = []
        context = Context(incumbent=TRAIN, prepare=PREPARE, turn=number, run=number + 1, program="Lower val_bpb.\n")
        began = time.monotonic()
        try:
            proposal = proposer.ask(context, Watch(say=lambda kind, text, said=said: said.append((kind, text))))  # type: ignore[misc]
            end = f"{proposal.description!r}, {proposal.asi}, {proposal.cost}"
        except NothingToProposeError as error:
            end = f"{type(error).__name__}: {error}"
        print(f"{name}: {title}: {time.monotonic() - began:.1f} s, {script.requests} requests: {end}", flush=True)
        if "--verbose" in sys.argv:
            print("".join(f"    {kind}: {text}\n" for kind, text in said), end="", flush=True)
    proposer.close()
    left = [process.environ().get(MARK) for process in drafters(workspace)]
    print(f"{name}: processes left: {len(left)}", flush=True)


def main() -> None:
    """Install, configure and drive them."""
    places = [each for each in sys.argv[1:] if not each.startswith("-")]
    if shutil.which("npm") is None:
        sys.exit("npm is not installed: the agents come from its registry.")
    directory = Path(places[0] if places else tempfile.mkdtemp(prefix="real-agents-")).resolve()
    programs = _install(directory)
    script = Script()
    with _served(script) as url, tempfile.TemporaryDirectory(prefix="home-", dir=directory) as home:
        _configure(Path(home), url, edits="ask")
        os.environ |= {"HOME": home, KEY: "no-secret", "PATH": f"{programs}:{os.environ['PATH']}"}
        for name in [name for name in os.environ if name.startswith("XDG_")]:
            del os.environ[name]
        workspace = Workspace(directory / "workspace")
        settings = Settings(
            agent=AgentSettings(command=["opencode", "acp"], environment=[KEY], limit_seconds=120),
            command=CommandSettings(preset="codex", environment=[KEY], limit_seconds=120),
        )
        _drive("opencode acp", Agent(settings, workspace), workspace, script)
        _drive("codex exec", Command(settings, workspace), workspace, script)
        _configure(Path(home), url, edits="allow")
        run = CommandSettings(preset="opencode", environment=[KEY], limit_seconds=120)
        _drive("opencode run", Command(Settings(command=run), workspace), workspace, script)


if __name__ == "__main__":
    main()
