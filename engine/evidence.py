"""Whether what train.py printed is what the evaluator measured, within the budget and on the data of the baseline.

prepare.py's evaluate_bpb writes its own record of each run, with the run's id, to a path that the engine
gives. A train.py that prints another val_bpb, never evaluated, or trained for longer is found out; one that
forges the record too is not: it runs with the same rights.
"""

from typing import Any

import msgspec

from engine.files import read_regular
from engine.ledger import Segment
from engine.workspace import RunFolder, Workspace

TOLERANCE = 1e-6
"""val_bpb is printed with six decimals."""
PRINTED_SECONDS = 0.1
"""training_seconds is printed with one."""
OVERSHOOT = 1.02
"""The clock is looked at between steps, and one of them may have been held up."""
LARGEST_STEP = 0.1
"""The share of the budget that one step may be said to have overshot it by."""
OUTSIDE_FACTOR, OUTSIDE_SHARE, OUTSIDE_SECONDS = 2.0, 0.1, 10.0
"""Start-up and untimed steps may take this much of the baseline's, of the budget, and this long besides."""

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, OSError)


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What the budget saw, as prepare.py's Account states it."""

    kind: str
    limit: float
    steps: int
    timed_steps: int
    flops: float
    training_seconds: float
    untimed_seconds: float
    outside_seconds: float


class Record(msgspec.Struct, frozen=True):
    """What evaluate_bpb wrote. Other people's may write something else under the later names, or nothing."""

    val_bpb: float
    run_id: str | None = None
    tokens: Any = None
    bytes: Any = None
    shard_size: Any = None
    evaluations: Any = None
    budget: Any = None

    @property
    def spent(self) -> Spent | None:
        try:
            return msgspec.convert(self.budget, Spent)
        except msgspec.ValidationError:
            return None


def disagreement(
    folder: RunFolder,
    identity: str,
    metric: float,
    *,
    baseline: Record | None,
    training_seconds: float | None = None,
) -> str:
    """What is wrong between what was printed and the evaluator's record, in words; empty where nothing is.

    ``identity``: the experiment's id; ``training_seconds``: as printed; ``baseline``: what its record has (a run's id
    in it too, or not) is demanded of this one, because other people's prepare.py may write none;
    None where there is no baseline yet, or it has no record.
    """
    try:
        record = read(folder)
    except FileNotFoundError:
        return "the evaluator left no record: val_bpb was printed without evaluate_bpb" if baseline else ""
    except UNREADABLE:
        return "the evaluator's record can't be read"
    is_signed = baseline is not None and baseline.run_id is not None
    if record.run_id != identity and (record.run_id is not None or is_signed):
        return "the evaluator's record is not of this run"
    if abs(record.val_bpb - metric) > TOLERANCE:
        return f"val_bpb was printed as {metric:.6f}, and the evaluator measured {record.val_bpb:.6f}"
    if baseline is None:
        return ""
    return _other_evaluation(record, baseline) or _overdrawn(record.spent, baseline.spent, training_seconds)


def _other_evaluation(record: Record, baseline: Record) -> str:
    """Whether val_bpb is of other text than the baseline's, or the best of several looks at it."""
    for name, what in (("tokens", "tokens"), ("bytes", "bytes of text"), ("shard_size", "bytes of validation shard")):
        demanded, found = getattr(baseline, name), getattr(record, name)
        if demanded is not None and found != demanded:
            return f"val_bpb was measured on {found} {what}, and the baseline's on {demanded}"
    if isinstance(baseline.evaluations, int):
        if not isinstance(record.evaluations, int):
            return "the evaluator's record does not say how often it was asked"
        if record.evaluations > baseline.evaluations:
            return f"evaluate_bpb was asked {record.evaluations} times, and by the baseline {baseline.evaluations}"
    return ""


def _overdrawn(spent: Spent | None, baseline: Spent | None, printed: float | None) -> str:
    """Whether more was trained than prepare.py's budget grants."""
    if baseline is None:
        return ""
    if spent is None:
        return "the evaluator's record does not say what the budget saw"
    if not spent.steps and baseline.steps:
        return "no training step was made inside of prepare.py's budget"
    if (spent.kind, spent.limit) != (baseline.kind, baseline.limit):
        return f"the budget was set to {_amount(spent.kind, spent.limit)}, and the baseline's is {_limit(baseline)}"
    used = spent.flops if spent.kind == "flops" else spent.training_seconds
    step = min(used / max(spent.timed_steps, 1), LARGEST_STEP * spent.limit)
    if used > (OVERSHOOT if spent.kind == "clock" else 1) * spent.limit + step:
        return f"it trained for {_amount(spent.kind, used)}, and the budget is {_limit(baseline)}"
    if printed is not None and abs(printed - spent.training_seconds) > PRINTED_SECONDS:
        return f"training_seconds was printed as {printed:.1f}, and the budget saw {spent.training_seconds:.1f}"
    return _idled(spent, baseline)


def _idled(spent: Spent, baseline: Spent) -> str:
    """Whether so much time went by outside of the timed steps that something was trained there."""
    found, usual = (each.outside_seconds + each.untimed_seconds for each in (spent, baseline))
    budget = spent.limit if spent.kind == "clock" else baseline.training_seconds
    if found <= OUTSIDE_FACTOR * usual + OUTSIDE_SHARE * budget + OUTSIDE_SECONDS:
        return ""
    return f"{found:.0f} s went by outside of the timed training steps, in the baseline {usual:.0f} s"


def _limit(spent: Spent) -> str:
    return _amount(spent.kind, spent.limit)


def _amount(kind: str, amount: float) -> str:
    return f"{amount:.4g} FLOPs" if kind == "flops" else f"{amount:.1f} s"


def baseline_of(workspace: Workspace, segment: Segment) -> Record | None:
    """The evaluator's record of the segment's baseline; None where there is no baseline yet, or it has none.

    It is in the baseline's line, where no later run can rewrite it; in its folder where an older engine measured it.
    """
    baseline = segment.baseline
    if baseline is None:
        return None
    try:
        if baseline.record:
            return msgspec.convert(baseline.record, Record)
        return read(workspace.run_folder(baseline.folder_number))
    except FileNotFoundError:
        return None
    except UNREADABLE:
        return Record(val_bpb=baseline.metric or 0.0)


def read(folder: RunFolder) -> Record:
    """A run's record. Raises FileNotFoundError, or what is in UNREADABLE."""
    return msgspec.json.decode(read_regular(folder.record), type=Record)


def as_line(folder: RunFolder) -> dict[str, Any]:
    """A run's record for the baseline's line; empty where there is none."""
    try:
        record: dict[str, Any] = msgspec.to_builtins(read(folder))
    except UNREADABLE:
        return {}
    return {name: value for name, value in record.items() if value is not None}
