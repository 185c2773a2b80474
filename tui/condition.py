"""How the session stands: the one word for it, whether that is well, and the sentence where it is not."""

from typing import NamedTuple

from tui.text import clean
from tui.view_state import ViewState

WORDS = {
    "proposing": "proposing",
    "proposed": "starting",
    "committed": "starting",
    "running": "training",
    "measured": "judging",
    "mending": "mending",
    "judged": "recording",
    "recorded": "recording",
    "idle": "idle",
    "starting": "starting",
}

WATCHED = {
    "running": ("training", "good"),
    "waiting": ("quiet", "warn"),
    "editing": ("editing", "accent"),
}
"""Of a session that an outside agent drives: a run that has printed nothing for a while may be hanging, or be over."""

SEARCH = "search"
"""The proposer that answers at once."""
GONE = (
    "The engine's process ended: .autoresearch/engine.log may say why. Nothing is lost: "
    "leave with q, and the same command starts the next one, which goes on from here."
)


class Condition(NamedTuple):
    """``word`` for the status line, ``role`` its colour, ``detail`` what to add where there is room."""

    word: str
    role: str
    detail: str = ""


def condition(state: ViewState) -> Condition:
    """How the session stands."""
    if state.is_watched and not state.is_past:
        word, role = WATCHED.get(state.phase, ("idle", "accent"))
        return Condition(word, role, "watching, read-only")
    if not state.alive:
        if state.is_past:
            return Condition("past session", "accent", "read-only")
        if state.stopped is not None:
            if state.stopped.failed:
                return Condition("failed", "bad")
            return Condition("stopped", "warn", clean(state.stopped.reason).removeprefix("stopped "))
        if state.engine is not None:
            return Condition("engine gone", "bad")
        return Condition("no engine", "warn", "nothing runs here yet")
    if state.is_paused:
        detail = "" if state.trouble else "p goes on"
        return Condition("paused", "bad" if state.trouble else "warn", detail if state.is_to_pause else "resuming")
    word = WORDS.get(state.phase, clean(state.phase) or "starting")
    if state.ended is not None and word == "training":
        word = "judging"
    is_again = state.is_repeating or (word == "training" and state.started is not None and bool(state.started.folder))
    if state.is_verifying or is_again:
        word = "verifying" if state.is_verifying else "repeating"
    if "resume" in state.sent.values():
        return Condition(word, "good", "resuming")
    if "stop" in state.sent.values():
        return Condition(word, "warn", "stopping")
    if state.is_pausing:
        return Condition(word, "warn", "pausing after this run")
    return Condition(word, "good" if state.is_training else "accent")


def is_thinking(state: ViewState) -> bool:
    """A model, which takes its time, is asked for the next experiment."""
    return state.alive and not state.is_paused and state.phase == "proposing" and state.proposer not in ("", SEARCH)


def trouble(state: ViewState) -> str:
    """Why a person is needed, and what to do then; empty while nobody is."""
    if state.is_past:
        return ""
    if not state.alive and state.engine is not None and state.stopped is None:
        return GONE
    if not state.trouble:
        return ""
    if not state.alive:
        return f"The engine stopped: {state.trouble}"
    when = "Paused" if state.is_paused else "To be paused after this run"
    return f"{when}: {state.trouble.rstrip('.')}. p goes on."
