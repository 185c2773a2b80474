"""One endpoint that speaks OpenAI's chat completions: an answer from it, or one sentence on why there is none.

It asks through the `openai` package (the extra `chat`), which is loaded at the first question. A rate limit is waited
out, a fault of the server's is tried again; whoever waits can give up at any moment.
"""

import asyncio
import email.utils
import json
import math
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from engine.proposers import MOST, NeedsPersonError, NothingToProposeError, ProposerTroubleError, Watch
from engine.proposers.foreign import clean, one_line
from engine.settings import ChatSettings

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF = 60.0
FAULTS = 4
"""After so many faults of the server in a row the proposal is given up."""
CONNECT_SECONDS = 20.0
LOOK_EVERY = 0.1
"""Seconds between two looks at whether somebody gave up."""
MOST_TEXT = 2 << 20
"""Characters of an answer, thoughts included, after which it is broken off."""
CHARACTERS_PER_TOKEN = 4
MOST_BYTES = 256 << 20
LONGEST_EVENT = 32 << 20
BUSY = frozenset({429, 529})
REFUSED = frozenset({401, 403})
PERSONS = frozenset({402, 404})
AGAIN = frozenset({408, 409, 425})

Message = dict[str, str]
Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Answer:
    """What a model answered, and what it took."""

    text: str
    problem: str = ""
    """Why it is not whole, in a sentence for the model."""
    tokens_in: int = 0
    tokens_out: int = 0
    dollars: float | None = None


class _Piece(msgspec.Struct, frozen=True):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    delta: _Piece | None = None
    message: _Piece | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None
    """Some endpoints say it, in dollars."""


class _Body(msgspec.Struct, frozen=True):
    """A whole answer, or one event of a stream."""

    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


class _BrokenError(Exception):
    """The endpoint's answer is no answer: cut off, or in another form."""


class Endpoint:
    """Asks one model. Keeps nothing between two questions."""

    def __init__(self, settings: ChatSettings, *, backoff: float = BACKOFF_SECONDS) -> None:
        """``backoff``: seconds to wait after the first fault; they double with each."""
        self._settings = settings
        self._backoff = backoff
        self._host = urlsplit(settings.base_url).netloc.rpartition("@")[2] or settings.base_url

    def answer(self, messages: list[Message], watch: Watch) -> Answer:
        """The model's answer to a conversation. Raises NothingToProposeError and its kinds; not for an event loop."""
        self.require()
        key = self._key()
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(self._watched(messages, key, watch))
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    def require(self) -> None:
        """Raises NeedsPersonError where the settings, the key or a package is missing."""
        self._key()
        if not all(find_spec(name) for name in ("openai", "httpx2")):
            raise NeedsPersonError(
                "the chat proposer needs the openai package: `pip install 'autoresearch-tui[chat]'`."
            )

    def _key(self) -> str:
        """The key; empty where none is wanted. Raises NeedsPersonError where it or the settings cannot work."""
        settings = self._settings
        if not settings.model:
            raise NeedsPersonError("the chat proposer has no model: set `model` under [chat] in autoresearch.toml.")
        if not settings.base_url.startswith(("http://", "https://")):
            raise NeedsPersonError("`base_url` under [chat] in autoresearch.toml must begin with http:// or https://.")
        if not settings.key:
            return ""
        key = os.environ.get(settings.key, "").strip()
        if not key or not (key.isascii() and key.isprintable()):
            raise NeedsPersonError(
                f"the environment variable {settings.key} holds no key for {self._host}: export it and start "
                'the engine anew, or set `key = ""` under [chat] in autoresearch.toml for an endpoint without keys.'
            )
        return key

    async def _watched(self, messages: list[Message], key: str, watch: Watch) -> Answer:
        task = asyncio.create_task(self._patiently(messages, key, watch))
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=LOOK_EVERY)
                if not task.done() and watch.cancelled():
                    raise NothingToProposeError("the proposal was broken off.")
            return task.result()
        finally:
            if task.cancel():
                await asyncio.wait({task}, timeout=1)

    async def _patiently(self, messages: list[Message], key: str, watch: Watch) -> Answer:
        import httpx2
        import openai

        settings = self._settings
        pauses = _Pauses(self._host, settings.patience_seconds, self._backoff)
        async with openai.AsyncOpenAI(
            api_key=key or "none",
            base_url=settings.base_url,
            max_retries=0,
            timeout=httpx2.Timeout(settings.timeout_seconds, connect=min(CONNECT_SECONDS, settings.timeout_seconds)),
        ) as client:
            while True:
                try:
                    async with asyncio.timeout(settings.timeout_seconds):
                        return await self._once(client, messages, watch)
                except TimeoutError as error:
                    raise ProposerTroubleError(
                        f"{self._host} gave no whole answer within {settings.timeout_seconds:g} s."
                    ) from error
                except openai.APIStatusError as error:
                    problem, asked = self._refusal(error, key), _retry_after(error.response.headers)
                    pause = pauses.busy(problem, asked) if error.status_code in BUSY else pauses.fault(problem, asked)
                except (openai.APIError, httpx2.HTTPError, _BrokenError) as error:
                    cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else None
                    problem = f"{self._host}: {_said(cause or error, key)}"
                    pause = pauses.fault(problem)
                watch.say("wait", f"{problem}; asking again in {pause:.3g} s")
                await asyncio.sleep(pause)

    async def _once(self, client: "AsyncOpenAI", messages: list[Message], watch: Watch) -> Answer:
        settings = self._settings
        stream = {"stream": True, "stream_options": {"include_usage": True}} if settings.stream else {}
        listener = _Listener(watch)
        async with client.chat.completions.with_streaming_response.create(
            model=settings.model,
            messages=messages,  # type: ignore[arg-type]
            extra_body=stream | settings.options,
        ) as response:
            is_stream = "text/event-stream" in response.headers.get("content-type", "")
            async with aclosing(_events(response.iter_bytes(), is_stream)) as events:
                async for event in events:
                    if event == b"[DONE]":
                        listener.is_done = True
                        break
                    listener.hear(_body(event))
                    if listener.is_too_long:
                        break
        if is_stream and not (listener.finish or listener.is_done or listener.is_too_long):
            raise _BrokenError("the connection was cut in the middle of an answer")
        return listener.answer()

    def _refusal(self, error: "APIStatusError", key: str) -> str:
        """What a status says, if it may pass. Raises what a status means that will not."""
        status, said = error.status_code, _said(error, key)
        where = f"{self._host} ({status})" if said == f"Error code: {status}" else f"{self._host} ({status}: {said})"
        if status in REFUSED:
            if not self._settings.key:
                raise NeedsPersonError(f"{where} wants a key: name its environment variable as `key` under [chat].")
            raise NeedsPersonError(f"{where} refuses the key in {self._settings.key}: renew it, start the engine anew.")
        if status in PERSONS or error.code == "insufficient_quota":
            raise NeedsPersonError(f"{where} does not serve {self._settings.model}: see to [chat] or to your account.")
        if status not in BUSY | AGAIN and status < 500:
            raise ProposerTroubleError(
                f"{where} does not take the request: see `options` under [chat], and `tokens` under [briefing] if it "
                "is too long for the model."
            )
        return where


@dataclass
class _Pauses:
    """How long to wait before the next try, and when to give up."""

    host: str
    patience: float
    """Seconds of waiting that are left."""
    backoff: float
    faults: int = 0
    waits: int = 0

    def busy(self, problem: str, asked: float | None) -> float:
        """After a rate limit: as long as the endpoint says, as often as patience lasts.

        What is busy again after that is asked less and less often, though it says 0 each time.
        """
        growth = self.backoff * 2 ** min(self.waits, 10)
        if asked is not None and self.waits:
            asked = max(asked, min(growth / 2, LONGEST_BACKOFF))
        self.waits += 1
        return self._wait(problem, asked, 5 * growth)

    def fault(self, problem: str, asked: float | None = None) -> float:
        self.faults += 1
        if self.faults >= FAULTS:
            raise ProposerTroubleError(f"{problem}; given up after {self.faults} tries.")
        return self._wait(problem, asked, self.backoff * 2 ** (self.faults - 1))

    def _wait(self, problem: str, asked: float | None, otherwise: float) -> float:
        pause = min(otherwise, LONGEST_BACKOFF) if asked is None else asked
        if pause > self.patience:
            raise ProposerTroubleError(f"{problem}; it would take {pause:.3g} s more to wait, which is too long.")
        self.patience -= pause
        return pause


@dataclass
class _Listener:
    """Puts an answer together, and lets the engine hear it as it comes."""

    watch: Watch
    text: list[str] = field(default_factory=list)
    length: int = 0
    finish: str = ""
    is_done: bool = False
    """The stream was ended as a stream is."""
    usage: _Usage = field(default_factory=_Usage)
    _aloud: list[str] = field(default_factory=list)
    _kind: str = "message"
    _said_at: float = 0.0

    @property
    def is_too_long(self) -> bool:
        return self.length > MOST_TEXT

    def hear(self, body: _Body) -> None:
        if body.error:
            said = body.error.get("message") if isinstance(body.error, dict) else None
            raise _BrokenError(f"it broke off with an error: {one_line(str(said or body.error), 200)}")
        self.usage = body.usage or self.usage
        for choice in (body.choices or [])[:1]:
            self.finish = choice.finish_reason or self.finish
            piece = choice.delta or choice.message or _Piece()
            self._take("thought", piece.reasoning_content or piece.reasoning or "")
            self._take("message", piece.content or "")
            if piece.content:
                self.text.append(piece.content)

    def answer(self) -> Answer:
        """All of it. Call it once the endpoint is done."""
        self._flush()
        problem = ""
        if self.is_too_long:
            problem = f"your answer was broken off after {MOST_TEXT >> 20} MB: give only the edit, and little besides."
        elif self.finish == "length":
            problem = "your answer was cut off at its limit of tokens: think less, and give only SEARCH/REPLACE blocks."
        elif self.finish == "content_filter":
            problem = "your answer was withheld by a filter of the endpoint: propose something else."
        return Answer(
            text=_without_thoughts("".join(self.text)),
            problem=problem,
            tokens_in=_amount(self.usage.prompt_tokens) or 0,
            tokens_out=_amount(self.usage.completion_tokens) or self._heard_in_vain,
            dollars=_amount(self.usage.cost),
        )

    @property
    def _heard_in_vain(self) -> int:
        """Tokens, about, of an answer that was broken off before the endpoint said how many it has."""
        return self.length // CHARACTERS_PER_TOKEN if self.is_too_long else 0

    def _take(self, kind: str, text: str) -> None:
        if not text:
            return
        if kind != self._kind:
            self._flush()
            self._kind = kind
        self.length += len(text)
        self._aloud.append(text)
        if time.monotonic() - self._said_at > 0.25:
            self._flush()

    def _flush(self) -> None:
        if self._aloud:
            self.watch.say(self._kind, clean("".join(self._aloud)))
            self._aloud.clear()
            self._said_at = time.monotonic()


async def _events(content: AsyncIterator[bytes], is_stream: bool) -> AsyncGenerator[bytes, None]:
    """The documents of a body: itself, or the data of its server-sent events. Raises _BrokenError if it is too long."""
    kept = bytearray()
    total = 0
    async for chunk in content:
        total += len(chunk)
        kept += chunk
        if total > MOST_BYTES or len(kept) > LONGEST_EVENT:
            raise _BrokenError(f"its answer has over {max(total, len(kept)) >> 20} MB")
        if is_stream and b"\n" in chunk:
            *lines, kept = kept.split(b"\n")
            for line in lines:
                if line.startswith(b"data:"):
                    yield bytes(line[5:].strip())
    if not is_stream:
        yield bytes(kept)


def _body(event: bytes) -> _Body:
    try:
        return msgspec.json.decode(event, type=_Body, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        start = one_line(event[:300].decode("utf-8", "replace"), 80)
        raise _BrokenError(f"its answer is not in OpenAI's form: {start!r}") from error


def _amount(reported: Number | None) -> Number | None:
    """What an endpoint reports, where it can be an amount; "nan" and numbers of a thousand digits are read too."""
    return reported if reported is not None and 0 <= reported < MOST else None


def _said(error: BaseException, key: str) -> str:
    """An error's own words in one line, without the key, which some endpoints repeat."""
    body = getattr(error, "body", None)
    message = body.get("message") if isinstance(body, dict) else None
    if body is not None and not isinstance(message, str):
        message = body if isinstance(body, str) else json.dumps(body, default=str)
    words = message or str(error) or type(error).__name__
    return one_line(words.replace(key, "…") if key else words, 200).rstrip(".")


def _retry_after(headers: Any) -> float | None:
    """Seconds that an endpoint asks to wait; None where it says nothing that can be read."""
    text = str(headers.get("retry-after") or "")
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _without_thoughts(text: str) -> str:
    """What a model thinks aloud in its answer (<think>…</think>) is no part of it."""
    _, end, answer = text.rpartition("</think>")
    return answer if end else ("" if text.lstrip().startswith("<think>") else text)
