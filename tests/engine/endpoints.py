"""An OpenAI-compatible server on loopback whose answers are scripted: what the tests of the chat proposer ask."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}

Reply = Callable[["Exchange"], None]


class Exchange(BaseHTTPRequestHandler):
    """One request, and the means to answer it."""

    protocol_version = "HTTP/1.1"
    server: "_Server"
    body: dict[str, Any]

    def do_POST(self) -> None:
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        script = self.server.script
        number = len(script.requests)
        script.requests.append(self.body)
        script.headers.append({name.lower(): value for name, value in self.headers.items()})
        script.paths.append(self.path)
        reply = script.replies[min(number, len(script.replies) - 1)]
        try:
            reply(self)
        except (BrokenPipeError, ConnectionResetError):
            script.hung_up.set()
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """A test's output is its own."""

    def send(self, status: int, body: object, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def event(self, data: object) -> None:
        line = f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()
        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        self.wfile.flush()

    def piece(self, text: str, *, field: str = "content", finish: str | None = None) -> None:
        self.event({"choices": [{"index": 0, "delta": {field: text}, "finish_reason": finish}]})

    def end_stream(self, finish: str = "stop", usage: object = USAGE) -> None:
        self.piece("", finish=finish)
        self.event({"choices": [], "usage": usage})
        self.event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """End the connection as a server that died does."""
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    @property
    def is_streamed(self) -> bool:
        return bool(self.body.get("stream"))


@dataclass
class Script:
    """What the server answers, in turn (the last one again and again), and what it was asked."""

    replies: list[Reply]
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)
    """The client left in the middle of an answer."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    script: Script


@contextmanager
def serving(*replies: Reply) -> Iterator[Script]:
    """A server that answers like this while the block runs."""
    server = _Server(("127.0.0.1", 0), Exchange)
    server.script = Script(list(replies), url=f"http://127.0.0.1:{server.server_address[1]}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.script
    finally:
        server.shutdown()
        server.server_close()


def says(text: str, *, thought: str = "", finish: str = "stop", usage: object = USAGE) -> Reply:
    """The model's answer, streamed if that is asked for."""

    def reply(exchange: Exchange) -> None:
        if not exchange.is_streamed:
            message = {"role": "assistant", "content": text, "reasoning_content": thought or None}
            choice = {"index": 0, "message": message, "finish_reason": finish}
            exchange.send(200, {"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage})
            return
        exchange.begin_stream()
        for start in range(0, len(thought), 65536):
            exchange.piece(thought[start : start + 65536], field="reasoning_content")
        step = max(len(text) // 50, 1)
        for start in range(0, len(text), step):
            exchange.piece(text[start : start + step])
        exchange.end_stream(finish, usage)

    return reply


def fails(status: int, message: str = "no", *, code: str | None = None, **headers: str) -> Reply:
    """A status instead of an answer, with OpenAI's form of an error."""
    return lambda exchange: exchange.send(status, {"error": {"message": message, "code": code}}, **headers)


def sends(content: bytes, content_type: str = "application/json") -> Reply:
    """Something that is no answer."""
    return lambda exchange: exchange.send(200, content, Content_Type=content_type)


def cuts(text: str) -> Reply:
    """The connection ends in the middle of the answer."""

    def reply(exchange: Exchange) -> None:
        if exchange.is_streamed:
            exchange.begin_stream()
            exchange.piece(text)
        else:
            exchange.send_response(200)
            exchange.send_header("Content-Type", "application/json")
            exchange.send_header("Content-Length", "1000000")
            exchange.end_headers()
            exchange.wfile.write(b'{"choices": [')
        exchange.cut()

    return reply


def drips(text: str = "x", every: float = 0.05) -> Reply:
    """One letter now and then, without end, until the client hangs up."""

    def reply(exchange: Exchange) -> None:
        exchange.begin_stream()
        while True:
            exchange.piece(text)
            time.sleep(every)

    return reply


def hangs(done: threading.Event) -> Reply:
    """Nothing at all, until the test is over."""

    def reply(exchange: Exchange) -> None:
        done.wait()
        exchange.cut()

    return reply
