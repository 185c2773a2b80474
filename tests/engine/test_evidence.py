"""What was printed against what the evaluator recorded, with an evaluator of ours or somebody else's."""

import json
from pathlib import Path

import pytest

from engine.evidence import Record, as_line, baseline_of, disagreement
from engine.ledger import Config, Experiment, Segment
from engine.workspace import RunFolder, Workspace

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
    workspace = Workspace(tmp_path)
    workspace.runs.mkdir(parents=True)
    kept = as_line(folder(workspace.runs / "0001", baseline))
    in_its_line = _segment(Experiment(run=1, metric=1.5, status="keep", record=kept))
    in_its_folder = _segment(Experiment(run=1, metric=1.5, status="keep"))
    found = folder(workspace.runs / "0002", record)
    for segment in (in_its_line, in_its_folder):
        said = disagreement(found, "mine", 1.25, baseline=baseline_of(workspace, segment))
        assert wrong in said and bool(wrong) == bool(said)


def test_what_the_baseline_must_show_is_out_of_the_reach_of_later_runs(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.runs.mkdir(parents=True)
    made = folder(workspace.runs / "0001", OURS)
    segment = _segment(Experiment(run=1, metric=1.5, status="keep", record=as_line(made)))
    made.record.unlink()
    assert baseline_of(workspace, segment) == Record(1.5, "baseline")
    assert baseline_of(workspace, _segment(Experiment(run=1, metric=1.5, status="discard"))) is None


def _segment(*experiments: Experiment) -> Segment:
    return Segment(0, Config(), experiments)


@pytest.mark.parametrize("record", [NONE, {"val_bpb": 1.25}, {"val_bpb": 1.25, "run_id": "mine"}])
def test_of_the_baseline_itself_nothing_is_demanded(tmp_path: Path, record: object) -> None:
    assert disagreement(folder(tmp_path / "0001", record), "mine", 1.25, baseline=None) == ""


def test_a_baseline_that_printed_another_metric_is_found_out_whoever_wrote_its_record(tmp_path: Path) -> None:
    assert "measured 1.5" in disagreement(folder(tmp_path / "0001", FOREIGN), "mine", 1.25, baseline=None)


CLOCK = {
    "kind": "clock", "limit": 300, "steps": 1000, "timed_steps": 990, "flops": 0,
    "training_seconds": 300.2, "untimed_seconds": 30.0, "outside_seconds": 20.0,
}  # fmt: skip
FLOPS = CLOCK | {"kind": "flops", "limit": 1e12, "flops": 0.999e12, "timed_steps": 1000, "training_seconds": 20.0}
WHOLE = {"val_bpb": 1.5, "run_id": "mine", "tokens": 4096, "bytes": 10000, "shard_size": 5000, "evaluations": 1}


@pytest.mark.parametrize(
    ("baseline", "spent", "printed", "wrong"),
    [
        (CLOCK, {}, None, ""),
        (CLOCK, {}, 300.2, ""),
        (CLOCK, {}, 299.0, "printed as 299.0, and the budget saw 300.2"),
        (CLOCK, {"training_seconds": 306.0, "timed_steps": 100}, 306.0, ""),
        (CLOCK, {"training_seconds": 310.0}, None, "trained for 310.0 s, and the budget is 300.0 s"),
        (CLOCK, {"training_seconds": 900.0, "timed_steps": 1}, None, "trained for 900.0 s"),
        (
            CLOCK,
            {"limit": 600, "training_seconds": 600.0},
            None,
            "budget was set to 600.0 s, and the baseline's is 300",
        ),
        (CLOCK, {"kind": "flops", "limit": 1e20}, None, "budget was set to 1e+20 FLOPs"),
        (CLOCK, {"steps": 0, "timed_steps": 0, "training_seconds": 0.0}, None, "no training step"),
        (CLOCK, {"untimed_seconds": 90.0, "outside_seconds": 40.0}, None, ""),
        (CLOCK, {"untimed_seconds": 130.0}, None, "150 s went by outside of the timed training steps"),
        (CLOCK, {"outside_seconds": 120.0}, None, "150 s went by outside"),
        (FLOPS, {"untimed_seconds": 0.0}, 20.0, ""),
        (FLOPS, {"flops": 1.01e12}, None, "trained for 1.01e+12 FLOPs"),
        (FLOPS, {"outside_seconds": 100.0}, None, "130 s went by outside"),
    ],
)
def test_a_run_that_trained_for_more_than_its_budget_is_found_out(
    tmp_path: Path, baseline: dict, spent: dict, printed: float | None, wrong: str
) -> None:
    found = folder(tmp_path / "0002", WHOLE | {"budget": baseline | spent})
    first = Record(**(WHOLE | {"budget": baseline}))
    said = disagreement(found, "mine", 1.5, baseline=first, training_seconds=printed)
    assert wrong in said and bool(wrong) == bool(said)


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"tokens": 2048}, "on 2048 tokens, and the baseline's on 4096"),
        ({"bytes": 20000}, "on 20000 bytes of text, and the baseline's on 10000"),
        ({"shard_size": None}, "None bytes of validation shard"),
        ({"evaluations": 12}, "was asked 12 times, and by the baseline 1"),
        ({"evaluations": "x"}, "how often"),
        ({"budget": None}, "what the budget saw"),
        ({"budget": {"kind": "clock"}}, "what the budget saw"),
    ],
)
def test_another_evaluation_than_the_baselines_is_found_out(tmp_path: Path, changed: dict, wrong: str) -> None:
    baseline = WHOLE | {"budget": CLOCK}
    found = folder(tmp_path / "0002", baseline | changed)
    assert wrong in disagreement(found, "mine", 1.5, baseline=Record(**baseline))


@pytest.mark.parametrize("budget", [None, 300, {"seconds": 300}])
def test_what_other_peoples_evaluators_write_is_no_budget(tmp_path: Path, budget: object) -> None:
    theirs = {"val_bpb": 1.5, "budget": budget, "tokens": "many"}
    found = folder(tmp_path / "0002", theirs)
    assert disagreement(found, "mine", 1.5, baseline=Record(**theirs), training_seconds=7000.0) == ""
