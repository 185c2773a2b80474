"""What happened while nobody looked, on one page: what was kept and what it is worth, what failed and why."""

import re
from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from engine import spending
from engine.claims import Claim
from engine.ledger import STATUSES, Experiment
from tui.condition import condition, trouble
from tui.painter import LineView
from tui.panes.notes import cost_words
from tui.panes.runs import MARKS
from tui.spans import Span, Spans, fit, wrap
from tui.status_line import STANDING_ROLES
from tui.text import bpb, change, clean, count
from tui.view_state import Row, ViewState

AWAY = 3600.0
"""Seconds after which it is worth saying what happened since."""
SHOWN = 4
"""Kept experiments, and reasons of failures, that are shown at most."""
FRAME = 4
"""Lines of the screen around the page."""
_number = re.compile(r"\d+")


def is_worth_saying(state: ViewState, since: float | None, now: float) -> bool:
    """Whether a person who comes back has missed something."""
    if since is None or now - since < AWAY:
        return False
    stopped_since = state.stopped is not None and state.stopped.at > since
    return bool(_rows_since(state, since)) or stopped_since or bool(trouble(state))


def summary_lines(state: ViewState, since: float | None, now: float, cells: int) -> list[Spans]:
    """What happened since then (None: since the session began) as lines of ``cells`` cells."""
    rows = _rows_since(state, since)
    parts = [
        _counts(rows, cells),
        _kept(state, rows, cells),
        _standing(state, cells),
        _failed(state, rows, cells),
        _needed(state, cells),
        _spent(rows, cells),
    ]
    lines: list[Spans] = []
    for part in parts:
        lines += [*([()] if lines and part else []), *part]
    return lines


def title(since: float | None, now: float) -> str:
    """While you were away: 8 h 12 min."""
    if since is None:
        return "the session so far"
    minutes = max(0, int(now - since)) // 60
    days, hours = divmod(minutes // 60, 24)
    words = [f"{days} d"] if days else []
    words += [f"{hours} h"] if hours or days else []
    words += [] if days else [f"{minutes % 60} min"]
    return f"since you last looked, {' '.join(words)} ago"


def _rows_since(state: ViewState, since: float | None) -> list[Row]:
    return [row for row in state.rows if since is None or row.experiment.timestamp > since]


def _counts(rows: Sequence[Row], cells: int) -> list[Spans]:
    if not rows:
        return wrap((Span("No experiment has ended since.", "muted"),), cells)
    experiments = [row.experiment for row in rows if not row.is_baseline]
    by = {
        "kept": sum(each.kept for each in experiments),
        "discarded": sum(each.status == "discard" and not each.inconclusive for each in experiments),
        "crashed": sum(each.status == "crash" and not each.inconclusive for each in experiments),
        "failed checks": sum(each.status == "checks_failed" for each in experiments),
        "without a verdict": sum(each.inconclusive for each in experiments),
        "of another status": sum(each.status not in STATUSES and not each.inconclusive for each in experiments),
    }
    words = ", ".join(f"{number} {word}" for word, number in by.items() if number)
    baselines = sum(row.is_baseline for row in rows)
    done = count(len(experiments), "experiment") + (f" and {count(baselines, 'baseline')}" if baselines else "")
    return wrap((Span(done, "strong"), Span(f": {words}" if words else "")), cells)


def _kept(state: ViewState, rows: Sequence[Row], cells: int) -> list[Spans]:
    """What was kept, the latest last, each with what it is worth."""
    kept = [row for row in rows if row.experiment.kept and not row.is_baseline]
    if not kept:
        return []
    lines: list[Spans] = [(Span("Kept", "title"),)]
    if len(kept) > SHOWN:
        lines.append((Span(f"  {len(kept) - SHOWN} more before these", "muted"),))
    for row in kept[-SHOWN:]:
        experiment = row.experiment
        claim = state.claims[experiment.segment].of(experiment.run)
        worth = (Span(f" {claim.standing:<9}", STANDING_ROLES[claim.standing]),) if claim else (Span(" " * 10),)
        figures = f"{change(row.delta):>8}"
        lines.append(
            fit(
                (
                    Span(f"  {MARKS['keep'][0]} ", "good"),
                    Span(f"run {experiment.run:<4} "),
                    Span(f"{bpb(experiment.metric):>7}", "strong"),
                    Span(f" {figures}"),
                    *worth,
                    Span(f" {clean(experiment.description)}", "muted"),
                ),
                cells,
            )
        )
    return lines


def _standing(state: ViewState, cells: int) -> list[Spans]:
    """The incumbent, and what may be claimed of the session."""
    best, baseline = state.incumbent, state.baseline
    if best is None or baseline is None:
        return wrap((Span("Nothing has a value yet.", "muted"),), cells)
    total: Claim | None = state.evidence.total if state.evidence else None
    lead = (Span("Best "), Span(bpb(best.metric), "strong"), Span(f", run {best.run}"))
    if total is None:
        return wrap((*lead, Span(": the baseline is not beaten yet.")), cells)
    gain = f": {bpb(total.gain)} better than run {total.over}, " if total.gain > 0 else ": "
    claimed = (Span(str(total.standing), STANDING_ROLES[total.standing]), Span(f": {total.reason}.", "muted"))
    return wrap((*lead, Span(gain), *claimed), cells)


def _failed(state: ViewState, rows: Sequence[Row], cells: int) -> list[Spans]:
    """Why experiments failed, the most frequent reason first; reasons that differ in their numbers alone are one."""
    failed = [row.experiment for row in rows if row.experiment.status in ("crash", "checks_failed")]
    groups: dict[str, list[str]] = {}
    for experiment in failed:
        reason = _reason(state, experiment)
        groups.setdefault(_number.sub("#", reason), []).append(reason)
    if not groups:
        return []
    ordered = sorted(groups.values(), key=len, reverse=True)
    lines: list[Spans] = [(Span("Failed", "title"),)]
    lines += [fit((Span(f"  {len(each):3d} × ", "bad"), Span(each[-1])), cells) for each in ordered[:SHOWN]]
    if others := sum(map(len, ordered[SHOWN:])):
        lines.append((Span(f"  {others:3d} for other reasons", "muted"),))
    return lines


def _reason(state: ViewState, experiment: Experiment) -> str:
    verdict = state.verdicts.get(experiment.folder_number)
    said = verdict.reason if verdict else experiment.asi.get("result", "")
    return clean(said) or "no reason is known"


def _needed(state: ViewState, cells: int) -> list[Spans]:
    """How it stands now, and what a person is needed for."""
    lines: list[Spans] = []
    if sentence := trouble(state):
        lines += wrap((Span(sentence, "bad"),), cells)
    elif not state.alive or state.is_paused:
        stands = condition(state)
        words = f"Now: {stands.word}" + (f", {stands.detail}" if stands.detail else "")
        lines += wrap((Span(f"{words}.", stands.role),), cells)
    return lines


def _spent(rows: Sequence[Row], cells: int) -> list[Spans]:
    trained = sum(row.experiment.seconds or 0.0 for row in rows)
    cost = cost_words(spending.total(row.experiment.cost for row in rows))
    words = [f"Trained for {trained / 3600:.1f} h"] if trained >= 360 else []
    words += [f"proposals took {cost}" if words else f"Proposals took {cost}"] if cost else []
    return wrap((Span("; ".join(words) + ".", "muted"),), cells) if words else []


class _Page(LineView, can_focus=False):
    def __init__(self, state: ViewState, since: float | None, now: float) -> None:
        super().__init__()
        self._of = (state, since, now)
        self._lines: list[Spans] = []

    def on_resize(self) -> None:
        lines = summary_lines(*self._of, max(30, self.room))
        room = max(1, self.app.size.height - FRAME)
        if len(lines) > room:
            lines = [line for line in lines if line]
        if len(lines) > room:
            lines = [*lines[: room - 1], (Span("…", "muted"),)]
        self._lines = lines
        self.styles.height = len(self._lines)
        self.refresh_lines_now()

    def line_count(self) -> int:
        return len(self._lines)

    def line_at(self, y: int) -> Spans:
        return self._lines[y]


class Morning(ModalScreen[None]):
    """The summary, until any key is pressed."""

    def __init__(self, state: ViewState, since: float | None, now: float) -> None:
        super().__init__()
        self._page = _Page(state, since, now)
        self._title = title(since, now)

    def compose(self) -> ComposeResult:
        with Vertical(id="morning") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = Content("any key closes")
            yield self._page

    def on_key(self, event: events.Key) -> None:
        event.stop()
        self.dismiss()

    def on_click(self) -> None:
        self.dismiss()
