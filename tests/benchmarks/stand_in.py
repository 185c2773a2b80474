"""In a language model's place, for benchmarks: hints that a reader of papers would give, and more of what was kept.

It knows nothing of the runs but what it is told, and nothing of the engine: over HTTP it reads the incumbent's train.py
and the search's state in the briefing, and answers as a model does, with SEARCH/REPLACE blocks and notes.
"""

import ast
import json
import math
import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Scalar = bool | int | float | str
Value = Scalar | tuple[Scalar, ...]
Knobs = dict[str, Value]

BYTES_PER_TOKEN = 4
_KEPT = re.compile(r"^run \d+: keep [\d.]+, ([A-Z_]+) ([\d.e-]+) → ([\d.e-]+)$", re.M)
_TRAIN = re.compile(r"^<(data-\w+) train\.py>\n(.*?)^</\1>$", re.M | re.S)
_KNOB = re.compile(r"^([A-Z][A-Z_]*) = (\S.*?)((?:  #.*)?)$", re.M)


def times(factor: float) -> Callable[[Value], Value]:
    def move(value: Value) -> Value:
        assert isinstance(value, int | float)
        return max(1, round(value * factor)) if isinstance(value, int) else float(f"{value * factor:.3g}")

    return move


def to(wanted: Value) -> Callable[[Value], Value]:
    return lambda value: wanted


HINTS: list[tuple[str, Callable[[Value], Value]]] = [
    ("ASPECT_RATIO", times(2)), ("ASPECT_RATIO", times(0.5)), ("DEPTH", times(1.5)), ("DEPTH", times(0.5)),
    ("TOTAL_BATCH_SIZE", times(0.5)), ("TOTAL_BATCH_SIZE", times(2)), ("HEAD_DIM", times(2)), ("HEAD_DIM", times(0.5)),
    ("MLP_RATIO", to(3)), ("MLP_RATIO", to(8)), ("WINDOW_PATTERN", to("L")), ("WINDOW_PATTERN", to("SL")),
    ("MATRIX_LR", times(0.7)), ("MATRIX_LR", times(1.4)), ("EMBEDDING_LR", times(0.5)), ("EMBEDDING_LR", times(1.5)),
    ("UNEMBEDDING_LR", times(2)), ("UNEMBEDDING_LR", times(0.5)), ("SCALAR_LR", times(2)), ("WEIGHT_DECAY", times(0.5)),
    ("WEIGHT_DECAY", times(2)), ("ADAM_BETAS", to((0.9, 0.95))), ("ADAM_BETAS", to((0.8, 0.995))),
    ("MUON_MOMENTUM", to(0.95)), ("MUON_MOMENTUM", to(0.9)), ("WARMUP_RATIO", to(0.02)), ("WARMUP_RATIO", to(0.1)),
    ("WARMDOWN_RATIO", to(0.8)), ("WARMDOWN_RATIO", to(0.4)), ("FINAL_LR_FRAC", to(0.0)), ("FINAL_LR_FRAC", to(0.1)),
    ("LOGIT_CAP", to(30.0)), ("ROPE_BASE", to(10000)),
]  # fmt: skip


class Reader:
    """What the stand-in would try, in an order of its own."""

    def __init__(self, seed: int) -> None:
        self._hints = random.Random(f"hints:{seed}").sample(HINTS, len(HINTS))

    def moves(self, knobs: Knobs, state: str) -> Iterator[Knobs]:
        """What to change of the incumbent's knobs, the best first; a hint is given once."""
        yield from _further(knobs, state)
        while self._hints:
            name, move = self._hints.pop(0)
            if name in knobs and repr(value := move(knobs[name])) != repr(knobs[name]):
                yield {name: value}


def _further(knobs: Knobs, state: str) -> Iterator[Knobs]:
    """A number that was moved and kept lately, moved by as much again."""
    for name, before, after in reversed(_KEPT.findall(state)):
        old, new = float(before), float(after)
        value = knobs.get(name)
        if isinstance(value, float) and value == new and old > 0 and new > 0:
            most = 0.99 if re.search("RATIO|FRAC|MOMENTUM", name) else math.inf
            yield {name: float(f"{min(new * new / old, most):.3g}")}


def answer(reader: Reader, messages: list[dict[str, str]]) -> str:
    """Its answer to a conversation; words only, where it has no more ideas or is to mend a crash."""
    briefing = messages[1]["content"]
    found = _TRAIN.search(briefing)
    if found is None or "crashed for what looks like a trivial reason" in briefing:
        return "I would leave it at that."
    lines = {name: (line, text) for line, name, text in _knobs(found[2])}
    knobs = {name: ast.literal_eval(text) for name, (_, text) in lines.items()}
    said = "".join(message["content"] for message in messages)
    for change in reader.moves(knobs, briefing):
        ((name, value),) = change.items()
        what = f"{name} {lines[name][1]} → {value!r}"
        if what in said:
            continue
        if name == "TOTAL_BATCH_SIZE":  # train.py wants it to be a multiple of the other
            ratio = value / knobs[name]  # type: ignore[operator]
            change["DEVICE_BATCH_SIZE"] = max(1, round(knobs["DEVICE_BATCH_SIZE"] * ratio))
        blocks = "".join(_block(*lines[each], new) for each, new in change.items())
        notes = json.dumps({"description": what, "hypothesis": "published practice, or more of what helped"})
        return f"{blocks}\n```asi\n{notes}\n```\n"
    return "I have no further idea."


def _knobs(train: str) -> Iterator[tuple[str, str, str]]:
    """Line, name and value of each assignment of a plain literal."""
    for found in _KNOB.finditer(train):
        try:
            ast.literal_eval(found[2])
        except (ValueError, SyntaxError):
            continue
        yield found[0], found[1], found[2]


def _block(line: str, old: str, new: Value) -> str:
    head, _, rest = line.partition(f" = {old}")
    return f"<<<<<<< SEARCH\n{line}\n=======\n{head} = {new!r}{rest}\n>>>>>>> REPLACE\n"


class _Exchange(BaseHTTPRequestHandler):
    """One chat completion; it counts tokens roughly."""

    reader: Reader

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = answer(self.reader, request["messages"])
        read = sum(len(message["content"].encode()) for message in request["messages"])
        usage = {
            "prompt_tokens": read // BYTES_PER_TOKEN,
            "completion_tokens": len(text.encode()) // BYTES_PER_TOKEN,
        }
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        content = json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """A benchmark's output is its own."""


@contextmanager
def serving(seed: int) -> Iterator[str]:
    """The stand-in as an endpoint on loopback, while the block runs; gives its URL."""
    handler = type("Exchange", (_Exchange,), {"reader": Reader(seed)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
