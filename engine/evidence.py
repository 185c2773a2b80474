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


class Record(msgspec.Struct, frozen=True):
    """What evaluate_bpb wrote."""

    val_bpb: float
    run_id: str | None = None


def disagreement(folder: RunFolder, identity: str, metric: float, *, demanded: bool) -> str:
    """What is wrong between the printed metric and the evaluator's record, in words; empty where nothing is.

    ``identity``: the experiment's id; ``demanded``: a run without a record is wrong too.
    """
    try:
        record = msgspec.json.decode(folder.record.read_bytes(), type=Record)
    except FileNotFoundError:
        return "the evaluator left no record: val_bpb was printed without evaluate_bpb" if demanded else ""
    except (msgspec.MsgspecError, UnicodeDecodeError, OSError):
        return "the evaluator's record can't be read"
    if record.run_id != identity:
        return "the evaluator's record is not of this run"
    if abs(record.val_bpb - metric) > TOLERANCE:
        return f"val_bpb was printed as {metric:.6f}, and the evaluator measured {record.val_bpb:.6f}"
    return ""


def is_demanded(workspace: Workspace, segment: Segment) -> bool:
    """Whether this segment's prepare.py writes records: its baseline has one. Other people's may not."""
    baseline = segment.baseline
    return baseline is not None and workspace.run_folder(baseline.folder_number).record.exists()
