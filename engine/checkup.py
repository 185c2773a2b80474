"""What the doctor finds in a session that was begun: its files, the engine that works on it, who is told of it."""

import ipaddress
import os
import socket
import urllib.parse
from collections.abc import Callable, Iterator

from engine import journal, ledger, messenger, preflight, status
from engine.finding import Finding
from engine.initialize import TEMPLATE
from engine.presence import engine_of
from engine.repository import Repository
from engine.settings import Settings
from engine.words import counted
from engine.workspace import GUARDED, LEDGER, RUN_LOG, SETTINGS, TRAIN, Workspace

ANSWER_SECONDS = 1.0
"""That an endpoint on this machine or beside it may take to be there."""
Look = Callable[[], Finding | list[Finding]]


def looks(workspace: Workspace) -> Iterator[tuple[str, Look]]:
    """What there is to be looked at, each with its name."""
    yield "engine", lambda: _engine(workspace)
    yield "ledger", lambda: _ledger(workspace)
    yield "guarded", lambda: _guarded(workspace)
    yield "train.py", lambda: _train(workspace)
    yield "ignored", lambda: _ignored(workspace)


def _engine(workspace: Workspace) -> Finding:
    holder, flight = engine_of(workspace), journal.load(workspace)
    if holder is not None:
        return Finding("engine", True, f"the one with process id {holder.pid}, {status.of(workspace).state}")
    said = [f"run {flight.run} was cut off"] if flight else []
    if (pause := status.pause_of(workspace)) is not None:
        said.append(f"paused ({pause.reason})" if pause.reason else "paused")
    goes_on = f"`autoresearch-tui {workspace.quoted}` goes on where it stood"
    if not said:
        return Finding("engine", True, "none runs")
    return Finding(
        "engine", None, f"none runs; {', '.join(said)}.", f"{goes_on}{', and `p` resumes' if pause else ''}."
    )


def _ledger(workspace: Workspace) -> Finding:
    if not workspace.ledger.exists():
        remedy = f"`autoresearch-tui run {workspace.quoted}` begins a new one"
        return Finding("ledger", None, f"there is no {LEDGER}.", f"{remedy}; put it back if it was moved away.")
    book = ledger.read(workspace.ledger)
    said = f"{counted(len(book.experiments), 'run')} in {counted(len(book.segments), 'segment')}"
    if book.bad_lines:
        first = book.bad_lines[0]
        bad = f"{counted(len(book.bad_lines), 'line')} can't be read, the first is {first.number}: {first.problem}"
        return Finding("ledger", None, f"{said}; {bad.rstrip('.')}.", "they are passed over; mend or remove them.")
    return Finding("ledger", True, said)


def _guarded(workspace: Workspace) -> Finding:
    repository = Repository(workspace.root, workspace.state)
    there = [name for name in GUARDED if os.path.lexists(workspace.root / name)]
    if changed := [name for name in there if not repository.is_clean(name)]:
        verb = "is" if len(changed) == 1 else "are"
        remedy = "`git diff` shows how; commit it if it is meant, or `git restore` it."
        return Finding("guarded", None, f"{', '.join(changed)} {verb} not as committed.", remedy)
    return Finding("guarded", True, f"{', '.join(there)}: as committed")


def _train(workspace: Workspace) -> list[Finding]:
    if engine_of(workspace) is not None or journal.load(workspace) is not None:
        return []  # the engine is at work on it
    if Repository(workspace.root, workspace.state).is_clean(TRAIN):
        return [Finding(TRAIN, True, "as committed")]
    remedy = "commit them to have them measured first; else they are saved as a patch and taken back."
    return [Finding(TRAIN, None, "it has edits that are not committed.", remedy)]


def _ignored(workspace: Workspace) -> Finding:
    """Whether a person's `git add -A` or `git clean` could reach what a session writes."""
    repository = Repository(workspace.root, workspace.state)
    wanted = [line[1:] for line in (TEMPLATE / "ignored").read_text("utf-8").splitlines() if line.startswith("/")]
    if tracked := [name for name in (LEDGER, RUN_LOG, workspace.state.name) if repository.is_tracked(name)]:
        remedy = f"`git rm -r --cached {' '.join(tracked)}` leaves them where they are."
        verb = "is" if len(tracked) == 1 else "are"
        return Finding("ignored", False, f"{', '.join(tracked)} {verb} in git, but a session writes there.", remedy)
    if missing := [name for name in wanted if not repository.ignores(name)]:
        place = repository.exclude.relative_to(workspace.root) if workspace.root in repository.exclude.parents else ""
        remedy = f"a line for each in {place or '.gitignore'}, as in /{missing[0]}, has git leave them alone."
        return Finding("ignored", None, f"git does not ignore {', '.join(missing)}.", remedy)
    return Finding("ignored", True, f"{', '.join(wanted)}: git leaves them alone")


def proposer(workspace: Workspace, chosen: Settings) -> Finding:
    """Whether who is to propose can work here."""
    preflight.require_proposer(workspace, chosen)
    name = chosen.proposer
    if name == "search":
        return Finding("proposer", True, "search: over the knobs of train.py; needs no model")
    who = chosen.hybrid.proposer if name == "hybrid" else name
    what = {
        "agent": " ".join(chosen.agent.command),
        "command": chosen.command.preset or " ".join(chosen.command.command),
        "chat": f"{chosen.chat.model} at {chosen.chat.base_url}",
    }[who]
    if who == "chat" and (silence := _silence(chosen.chat.base_url)):
        return Finding("proposer", False, f"{name}: {what}: {silence}.", "start that server, or name another base_url.")
    return Finding("proposer", True, f"{name}: {what}, as {SETTINGS} says")


def _silence(url: str) -> str:
    """Why nobody is at an endpoint nearby; of one further away nothing is asked, for that may take its time."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    try:
        is_near = host == "localhost" or ipaddress.ip_address(host).is_private
    except ValueError:
        is_near = False
    if not is_near:
        return ""
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((host, port), timeout=ANSWER_SECONDS).close()
    except OSError as error:
        return f"nobody answers there ({error.strerror or error})"
    return ""


def messages(chosen: Settings) -> list[Finding]:
    """Who is told; nothing where nobody wants it."""
    if not chosen.notify.on:
        return []
    if problem := messenger.what_is_wrong(chosen.notify):
        return [Finding("messages", False, f"{problem}.")]
    said = f"{counted(len(messenger.urls(chosen.notify)), 'URL')} in {messenger.where(chosen.notify)}"
    if messenger.is_open_to_others(chosen.notify):
        remedy = f"`chmod 600 {messenger.urls_file()}`."
        return [Finding("messages", None, f"{said}, which other users of this machine can read.", remedy)]
    return [Finding("messages", True, f"on {', '.join(chosen.notify.on)}: {said}")]
