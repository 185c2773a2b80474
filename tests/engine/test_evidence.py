"""What was printed against what the evaluator recorded, with an evaluator of ours or somebody else's."""

import json
from pathlib import Path

import pytest

from engine.evidence import disagreement
from engine.workspace import RunFolder

OURS, FOREIGN, NONE = {"val_bpb": 1.5, "run_id": "baseline"}, {"val_bpb": 1.5}, None
UNSIGNED = {"val_bpb": 1.25, "run_id": None}


def folder(path: Path, record: object) -> RunFolder:
    path.mkdir()
    made = RunFolder(path)
    if isinstance(record, bytes):
        made.record.write_bytes(record)
    elif record is not None:
        made.record.write_text(json.dumps(record))
    return made


@pytest.mark.parametrize(
    ("baseline", "record", "wrong"),
    [
        (OURS, {"val_bpb": 1.25, "run_id": "mine"}, ""),
        (OURS, {"val_bpb": 1.25, "run_id": "another"}, "not of this run"),
        (OURS, {"val_bpb": 1.25}, "not of this run"),
        (OURS, UNSIGNED, "not of this run"),
        (OURS, NONE, "left no record"),
        (OURS, {"val_bpb": 1.26, "run_id": "mine"}, "the evaluator measured 1.26"),
        (OURS, b"{", "can't be read"),
        (OURS, b"\xff", "can't be read"),
        (FOREIGN, {"val_bpb": 1.25}, ""),
        (FOREIGN, UNSIGNED, ""),
        (FOREIGN, {"val_bpb": 1.26}, "the evaluator measured 1.26"),
        (FOREIGN, {"val_bpb": 1.25, "run_id": "another"}, "not of this run"),
        (FOREIGN, NONE, "left no record"),
        (NONE, NONE, ""),
        (NONE, {"val_bpb": 1.25}, ""),
        (NONE, {"val_bpb": 1.25, "run_id": "another"}, "not of this run"),
        (b"{", {"val_bpb": 1.25}, ""),
    ],
)
def test_of_a_run_is_demanded_what_the_baselines_evaluator_wrote(
    tmp_path: Path, baseline: object, record: object, wrong: str
) -> None:
    said = disagreement(folder(tmp_path / "0002", record), "mine", 1.25, baseline=folder(tmp_path / "0001", baseline))
    assert wrong in said and bool(wrong) == bool(said)


@pytest.mark.parametrize("record", [NONE, {"val_bpb": 1.25}, {"val_bpb": 1.25, "run_id": "mine"}])
def test_of_the_baseline_itself_nothing_is_demanded(tmp_path: Path, record: object) -> None:
    assert disagreement(folder(tmp_path / "0001", record), "mine", 1.25, baseline=None) == ""


def test_a_baseline_that_printed_another_metric_is_found_out_whoever_wrote_its_record(tmp_path: Path) -> None:
    assert "measured 1.5" in disagreement(folder(tmp_path / "0001", FOREIGN), "mine", 1.25, baseline=None)
