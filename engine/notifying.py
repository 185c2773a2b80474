"""Tells a person who is away what they would want to be called for: a new incumbent, a stop, a stall.

It listens to the engine's events in a thread of its own. Whatever becomes of a message, the loop goes on: an endpoint
that is dead is one warning, and there is no second.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine import events, ledger, messenger
from engine.events import Event, EventLog
from engine.harmless import clean
from engine.reporting import Facts, Report, figures, gathering
from engine.settings import NotifySettings
from engine.words import counted
from engine.workspace import Workspace

INCUMBENT, STOP, STALL = "incumbent", "stop", "stall"
BETWEEN = 60.0
"""Seconds from one message on an incumbent to the next; what comes in between is said in one."""
LOOKS = 5.0
"""Seconds between two looks at whether anything happens; more often where a stall is to be seen sooner."""
WAITING = 1000
"""Events that are remembered while an endpoint is slow; more are passed over."""
LAST_WORDS = 10.0
"""Seconds that the engine waits at its end for what is still to be sent."""
LONGEST = 200
"""Characters of what a proposer wrote."""

Listener = Callable[[Event], None]


@contextmanager
def notifying(workspace: Workspace, settings: NotifySettings, listener: Listener | None) -> Iterator[Listener | None]:
    """The listener that an engine is to have, so that messages are sent too; where none are wanted, ``listener``."""
    if not settings.on:
        yield listener
        return
    notifier = Notifier(workspace, settings, EventLog(workspace, listener))

    def hear(event: Event) -> None:
        if listener is not None:
            listener(event)
        notifier.hear(event)

    notifier.start()
    try:
        yield hear
    finally:
        notifier.close()


@dataclass(frozen=True)
class Message:
    """What is sent. ``kind``: one of apprise's, by which services choose a colour."""

    title: str
    body: str
    kind: str = "info"


class Notifier:
    """The thread that sends."""

    def __init__(self, workspace: Workspace, settings: NotifySettings, log: EventLog) -> None:
        """``log``: where a warning goes."""
        self._workspace = workspace
        self._settings = settings
        self._log = log
        self._heard: queue.Queue[Event | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._work, name="notifier", daemon=True)
        self._warned = False
        self._happened: object = None
        """What was last seen to have happened …"""
        self._since = time.monotonic()
        """… and when."""
        self._events = 0
        self._is_waiting = False
        """Paused, or over: nothing is to happen."""
        self._is_told = False
        """Of this stall."""
        self._news = 0
        """Incumbents that were not told yet."""
        self._told_at = -BETWEEN

    def start(self) -> None:
        self._thread.start()

    def hear(self, event: Event) -> None:
        """Take in an event; never blocks."""
        self._events += 1
        with suppress(queue.Full):
            self._heard.put_nowait(event)

    def close(self) -> None:
        """Send what there is to send, as far as it takes no long time."""
        with suppress(queue.Full):
            self._heard.put_nowait(None)
        self._thread.join(LAST_WORDS)

    def _work(self) -> None:
        looks = min(LOOKS, self._patience / 4)
        self._safely(self._look_ahead)
        while True:
            event = None
            with suppress(queue.Empty):
                event = self._heard.get(timeout=looks)
                if event is None:
                    return
            self._safely(partial(self._take, event))

    def _safely(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 (no message is worth a night, and an error may hold a URL)
            self._warn(f"{type(error).__name__} while one was made")

    def _look_ahead(self) -> None:
        """What can't work is said in the evening."""
        if problem := messenger.what_is_wrong(self._settings):
            self._warn(problem)

    @property
    def _patience(self) -> float:
        return self._settings.stall_minutes * 60

    def _take(self, event: Event | None) -> None:
        match event:
            case events.Recorded(status="keep"):
                self._news += 1
            case events.EngineStopped(reason=reason, failed=failed):
                self._is_waiting = True
                self._stopped("needs you" if failed else "stopped", reason, is_trouble=failed)
            case events.Paused(reason=reason):
                self._is_waiting = True
                if reason:
                    self._stopped("paused, and needs you", reason, is_trouble=True)
            case events.Resumed() | events.EngineStarted() | events.RunStarted():
                self._is_waiting = False
        self._mind_news()
        self._mind_stall()

    def _stopped(self, how: str, reason: str, *, is_trouble: bool) -> None:
        report = self._report()
        body = f"{figures.headline(report)} {figures.standing(report)}".strip() if report else ""
        title = f"{self._name}: {how}: {clean(reason)[:LONGEST]}"
        if self._send(STOP, Message(title, body or self._where, "failure" if is_trouble else "info")):
            self._news = 0

    def _mind_news(self) -> None:
        if not self._news or (time.monotonic() - self._told_at < BETWEEN and not self._is_waiting):
            return
        count, self._news = self._news, 0
        report = self._report()
        message = incumbent_message(self._name, report, count) if report else None
        if message is not None:
            self._told_at = time.monotonic()
            self._send(INCUMBENT, message)

    def _mind_stall(self) -> None:
        """Nothing heard from the engine, and nothing written by a run or a proposer, for too long."""
        now = (self._events, *(_written(path) for path in (self._workspace.run_log, self._workspace.proposing)))
        if now != self._happened or self._is_waiting:
            self._happened, self._since, self._is_told = now, time.monotonic(), False
            return
        if self._is_told or time.monotonic() - self._since < self._patience:
            return
        self._is_told = True
        minutes = counted(max(1, round(self._settings.stall_minutes)), "minute")
        since = time.strftime("%H:%M", time.localtime(time.time() - (time.monotonic() - self._since)))
        self._send(
            STALL,
            Message(
                f"{self._name}: nothing has happened for {minutes}",
                f"Since {since} run.log has not grown and the engine has said nothing. {self._where}",
                "warning",
            ),
        )

    def _send(self, what: str, message: Message) -> bool:
        """Whether this kind is wanted."""
        if what not in self._settings.on:
            return False
        if problem := messenger.send(self._settings, message.title, message.body, message.kind):
            self._warn(problem)
        return True

    def _warn(self, problem: str) -> None:
        if not self._warned:
            self._warned = True
            with suppress(OSError):
                self._log.emit(events.Warned(message=f"a message to you can't be sent: {problem}"))

    def _report(self) -> Report | None:
        book = ledger.read(self._workspace.ledger)
        return gathering.report(book, book.current, Facts()) if book.current else None

    @property
    def _name(self) -> str:
        return clean(self._workspace.root.name)

    @property
    def _where(self) -> str:
        return f"`autoresearch-tui {clean(str(self._workspace.root))}` shows more."


def incumbent_message(name: str, report: Report, count: int) -> Message | None:
    """On the ``count`` last that were kept; None where that is the baseline alone."""
    kept = sorted(report.kept, key=lambda each: each.run.number)[-count:]
    if not kept:
        return None
    last = kept[-1]
    metric, moved = clean(report.config.metric_name), figures.change(last.after - kept[0].before)
    title = f"{name}: {metric} {figures.figure(last.after)} ({moved}) after run {last.run.number}"
    tried = clean(last.run.experiment.description)[:LONGEST]
    others = f" ({counted(len(kept), 'change')} since the last message)" if len(kept) > 1 else ""
    total = f"In all {figures.change(report.gain)}" if report.gain is not None else ""
    standing = f", {report.total.standing}" if report.total and total else ""
    return Message(title, f"{tried}{others}. {total}{standing}.", "success")


def _written(path: Path) -> object:
    """What tells that a file was written again."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
