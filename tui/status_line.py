"""The line at the top: how the session stands, in as many words as there is room for."""

from engine.claims import Standing
from engine.words import amount, money
from tui.condition import condition, is_thinking
from tui.gpu import GpuReading
from tui.painter import Lines
from tui.spans import Span, Spans, fit, width
from tui.text import bpb, change, duration
from tui.view_state import ViewState

GAP, NARROW_GAP = Span("   "), Span("  ")
BAR = 6
EIGHTHS = " ▏▎▍▌▋▊▉"
OPTIONAL = 5
"""Parts of this importance or less are left out before the line is set more narrowly."""
STRENGTH = ((2.0, "likely real", "good"), (1.0, "marginal", "warn"), (0.0, "noise", "muted"))
STANDING_ROLES = {Standing.CONFIRMED: "good", Standing.LIKELY: "accent", Standing.UNPROVEN: "warn"}


def bar(fraction: float, cells: int) -> Spans:
    """A bar in eighths of a cell."""
    eighths = round(min(1.0, max(0.0, fraction)) * cells * 8)
    full, rest = divmod(eighths, 8)
    drawn = "█" * full + (EIGHTHS[rest] if rest else "")
    return (Span(drawn, "bar"), Span("·" * (cells - len(drawn)), "muted"))


def status_spans(state: ViewState, now: float, cells: int, gpu: GpuReading | None = None, name: str = "") -> Spans:
    """The status line in ``cells`` cells: what matters least is left out first."""
    parts = _parts(state, now, gpu, name, gain="gain ")
    _leave_out(parts, cells - 1, GAP, OPTIONAL)
    gap = GAP
    if _width(parts, GAP) > cells - 1:
        gap, parts = NARROW_GAP, [part for part in _parts(state, now, None, "", gain="") if part[0] < OPTIONAL]
        _leave_out(parts, cells, gap, 0)
    spans: list[Span] = []
    for _, part in parts:
        spans += [*([gap] if spans else []), *part]
    return fit(tuple(spans), cells)


def _parts(state: ViewState, now: float, gpu: GpuReading | None, name: str, *, gain: str) -> list[tuple[int, Spans]]:
    """(importance, spans): 0 is never left out, the largest first. ``gain``: how the gain is introduced."""
    stands = condition(state)
    head: list[Span] = [Span(" ● ", stands.role), Span(stands.word, stands.role)]
    if state.live_run is not None:
        head += [GAP if gain else NARROW_GAP, Span("run ", "muted"), Span(str(state.live_run), "strong")]
    parts: list[tuple[int, Spans]] = [(0, tuple(head))]
    if stands.detail:
        parts.append((1, (Span(stands.detail, stands.role if stands.role != "good" else ""),)))
    parts += [(3, part) for part in _clock(state, now)]
    if state.incumbent is not None:
        best = (Span("best ", "muted"), Span(bpb(state.incumbent.metric), "strong"))
        parts.append((2, best))
        if claimed := _gain(state):
            parts.append((4, (Span(gain, "muted"), *claimed)))
    if state.confidence is not None:
        parts.append((5, _confidence(state.confidence)))
    if gpu is not None:
        parts.append((6, _gpu(gpu)))
    if spent := _spent(state):
        parts.append((7, spent))
    if name:
        parts.append((8, (Span(name, "muted"),)))
    return parts


def _leave_out(parts: list[tuple[int, Spans]], cells: int, gap: Span, least: int) -> None:
    """Take parts out, the least important first, until they fit or all are more important than ``least``."""
    while len(parts) > 1 and _width(parts, gap) > cells:
        part = max(parts, key=lambda part: (part[0], width(part[1])))
        if part[0] < max(1, least):
            return
        parts.remove(part)


def _width(parts: list[tuple[int, Spans]], gap: Span) -> int:
    return sum(width(part) for _, part in parts) + len(gap.text) * (len(parts) - 1)


def _gain(state: ViewState) -> Spans:
    """The incumbent's gain over the baseline, never without what the evidence says of it."""
    total = state.evidence.total if state.evidence else None
    gain = change(state.gain)
    if not gain or total is None:
        return ()
    role = STANDING_ROLES[total.standing]
    return (Span(gain, "" if total.standing is Standing.UNPROVEN else "good"), Span(f" {total.standing}", role))


def _clock(state: ViewState, now: float) -> list[Spans]:
    if is_thinking(state):
        return [(Span(f"{state.proposer} ", "muted"), Span(duration(now - state.phase_at)))]
    if state.started is None or state.ended is not None or not state.alive:
        return []
    elapsed = duration(now - state.started.started)
    progress = state.progress
    if progress is None or progress.percent is None:
        return [(Span(elapsed),)]
    left = (Span(" "), Span(duration(progress.remaining)), Span(" left", "muted")) if progress.remaining else ()
    return [(Span(elapsed + " "), *bar(progress.percent / 100, BAR), Span(f" {progress.percent:.0f}%"), *left)]


def _spent(state: ViewState) -> Spans:
    """What a model's proposals have cost, or how long they took where nobody says; nothing where none proposed."""
    spent = state.spent
    tokens = (Span(amount(spent.tokens)), Span(" tok", "muted")) if spent.tokens else ()
    if not tokens and not spent.dollars:
        return (Span(duration(spent.seconds)), Span(" proposing", "muted")) if spent.seconds >= 1 else ()
    if not spent.dollars:
        return tokens
    return (Span(money(spent.dollars)), *((Span(" "), *tokens) if tokens else ()))


def _confidence(value: float) -> Spans:
    _, word, role = next((row for row in STRENGTH if value >= row[0]), STRENGTH[-1])
    return (Span("confidence ", "muted"), Span(f"{value:.1f} {word}", role))


def _gpu(gpu: GpuReading) -> Spans:
    heat = f" {gpu.temperature}°C" if gpu.temperature is not None else ""
    memory = f"{gpu.memory_used:.0f}/{gpu.memory_total:.0f} GB"
    return (Span("GPU ", "muted"), Span(f"{gpu.utilisation}%"), Span(f" {memory}{heat}", "muted"))


class StatusLine(Lines):
    """Draws again only when what it says has changed."""

    def __init__(self) -> None:
        super().__init__()
        self._spans: Spans = ()
        self._make: tuple[ViewState, float, GpuReading | None, str] = (ViewState(), 0.0, None, "")

    def show(self, state: ViewState, now: float, gpu: GpuReading | None, name: str) -> None:
        self._make = (state, now, gpu, name)
        if self._spans != self._spans_for(self.size.width):
            self.refresh()

    def _spans_for(self, cells: int) -> Spans:
        state, now, gpu, name = self._make
        return status_spans(state, now, cells, gpu, name)

    def compose_lines(self, width: int, height: int) -> list[Spans]:
        self._spans = self._spans_for(width)
        return [self._spans]
