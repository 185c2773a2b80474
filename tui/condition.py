"""The one word that says how the session stands, and whether that is well."""

from typing import NamedTuple

from tui.text import clean
from tui.view_state import ViewState

WORDS = {
    "proposing": "proposing",
    "proposed": "starting",
    "committed": "starting",
    "running": "training",
    "measured": "judging",
    "judged": "recording",
    "recorded": "recording",
    "idle": "idle",
    "starting": "starting",
}


class Condition(NamedTuple):
    """``word`` for the status line, ``role`` its colour, ``detail`` what to add where there is room."""

    word: str
    role: str
    detail: str = ""


def condition(state: ViewState) -> Condition:
    """How the session stands."""
    if not state.alive:
        if state.stopped is not None:
            reason = clean(state.stopped.reason)
            return Condition("failed", "bad", reason) if state.stopped.failed else Condition("stopped", "warn", reason)
        if state.engine is not None:
            return Condition("engine gone", "bad", "its process ended: see .autoresearch/engine.log")
        return Condition("no engine", "warn", "nothing runs here yet")
    if state.paused is not None and state.live_run is None:
        return Condition("paused", "warn", clean(state.paused.reason) or "p goes on")
    word = WORDS.get(state.phase, clean(state.phase) or "starting")
    if state.ended is not None and word == "training":
        word = "judging"
    if "resume" in state.sent.values():
        return Condition(word, "good", "resuming")
    if "stop" in state.sent.values():
        return Condition(word, "warn", "stopping")
    if state.is_pausing:
        return Condition(word, "warn", "pausing after this experiment")
    return Condition(word, "good" if word == "training" else "accent")
