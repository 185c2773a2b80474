"""Whether what train.py printed is what the evaluator measured.

prepare.py's evaluate_bpb writes its own record of each run, with the run's id, to a path that the engine
gives. A train.py that prints another val_bpb, or never evaluated, is found out; one that forges the record
too is not: it runs with the same rights.
"""

import msgspec

from engine.ledger import Segment
from engine.workspace import RunFolder, Workspace

TOLERANCE = 1e-6
"""val_bpb is printed with six decimals."""


UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, OSError)


class Record(msgspec.Struct, frozen=True):
    """What evaluate_bpb wrote."""

    val_bpb: float
    run_id: str | None = None


def disagreement(folder: RunFolder, identity: str, metric: float, *, baseline: RunFolder | None) -> str:
    """What is wrong between the printed metric and the evaluator's record, in words; empty where nothing is.

    ``identity``: the experiment's id; ``baseline``: what its record has (a run's id in it too, or not) is
    demanded of this one, because other people's prepare.py may write none; None where this is the baseline.
    """
    demanded = baseline is not None and baseline.record.exists()
    try:
        record = _read(folder)
    except FileNotFoundError:
        return "the evaluator left no record: val_bpb was printed without evaluate_bpb" if demanded else ""
    except UNREADABLE:
        return "the evaluator's record can't be read"
    if record.run_id != identity and (record.run_id is not None or (baseline is not None and _is_signed(baseline))):
        return "the evaluator's record is not of this run"
    if abs(record.val_bpb - metric) > TOLERANCE:
        return f"val_bpb was printed as {metric:.6f}, and the evaluator measured {record.val_bpb:.6f}"
    return ""


def baseline_of(workspace: Workspace, segment: Segment) -> RunFolder | None:
    """The folder of the segment's baseline, once it has one."""
    baseline = segment.baseline
    return None if baseline is None else workspace.run_folder(baseline.folder_number)


def _read(folder: RunFolder) -> Record:
    return msgspec.json.decode(folder.record.read_bytes(), type=Record)


def _is_signed(folder: RunFolder) -> bool:
    try:
        return _read(folder).run_id is not None
    except UNREADABLE:
        return False
