"""What makes runs comparable, and that a change of it begins a segment of its own."""

import json
from pathlib import Path

import pytest

from engine import conditions, events, ledger
from engine.conditions import accelerator, changes, now
from engine.events import EventFollower
from engine.workspace import Workspace
from tests.engine.workspaces import experiments, git, make, run

PREPARE = b'"""Fixed."""\n\nMAX_SEQ_LEN = 256  # tokens\n\n\ndef f(x):\n    """Doc."""\n    return x\n'


@pytest.mark.parametrize(
    "same",
    [
        b"MAX_SEQ_LEN = 256\ndef f(x):\n    return x\n",
        b'# other\nMAX_SEQ_LEN = (256)\n\ndef f(x):\n    """Other."""\n    # more\n    return x\n',
    ],
)
def test_comments_docstrings_and_layout_make_no_difference(same: bytes) -> None:
    assert changes(now(PREPARE, "d"), now(same, "d")) == []


@pytest.mark.parametrize("other", [PREPARE.replace(b"256", b"512"), PREPARE + b"x = None\n", b"", b"no Python", None])
def test_code_does(other: bytes | None) -> None:
    assert changes(now(PREPARE, "d"), now(other, "d")) == ["prepare.py"]


def test_what_only_one_side_knows_is_not_compared() -> None:
    assert changes({}, now(PREPARE, "d")) == []
    assert changes(now(PREPARE, ""), now(PREPARE, "d")) == []
    assert changes({"prepare": 3, "other": "x"}, {"prepare": "3", "data": "d"}) == ["prepare.py"]


def test_a_machine_without_a_gpu_is_any_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert accelerator() == conditions.NO_GPU
    assert changes({"accelerator": "NVIDIA A100"}, {"accelerator": "cpu"}) == ["the machine (NVIDIA A100 → cpu)"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = make(tmp_path / "work")
    assert run(workspace, "--experiments", "2", seconds=0).returncode == 0
    return workspace


def warnings(workspace: Workspace) -> str:
    return "\n".join(each.message for each in EventFollower(workspace.events) if isinstance(each, events.Warned))


def test_another_prepare_py_begins_a_segment_with_a_baseline_and_a_search_of_its_own(workspace: Workspace) -> None:
    workspace.prepare.write_text(workspace.prepare.read_text().replace("256", "512"))
    git(workspace.root, "commit", "--quiet", "-am", "longer context")
    assert run(workspace, "--experiments", "2", seconds=0).returncode == 0

    book = ledger.read(workspace.ledger)
    assert [len(segment.experiments) for segment in book.segments] == [3, 3]
    first, second = (segment.baseline for segment in book.segments)
    assert first is not None and second is not None
    assert (second.run, second.description, second.kept) == (4, "baseline", True)
    assert first.conditions["prepare"] != second.conditions["prepare"]
    assert second.confidence is None and book.segments[1].experiments[1].confidence is None
    assert "prepare.py changed since run 1: a new segment" in warnings(workspace)
    assert [each.segment for each in experiments(workspace)] == [0, 0, 0, 1, 1, 1]
    assert book.segments[1].config.branch == book.segments[0].config.branch


def test_a_comment_in_prepare_py_or_a_start_without_a_change_begins_none(workspace: Workspace) -> None:
    workspace.prepare.write_text(workspace.prepare.read_text() + "# a comment\n")
    assert run(workspace, "--experiments", "3", seconds=0).returncode == 0
    assert len(ledger.read(workspace.ledger).segments) == 1
    assert "segment" not in warnings(workspace)


def test_another_machine_begins_one_and_a_baseline_of_an_older_engine_none(workspace: Workspace) -> None:
    lines = [json.loads(line) for line in workspace.ledger.read_text().splitlines()]
    assert lines[1]["conditions"]["accelerator"] == accelerator()
    assert "conditions" not in lines[2] and "conditions" not in lines[0]
    lines[1]["conditions"]["accelerator"] = "NVIDIA Imaginary"
    _rewrite(workspace, lines)
    assert run(workspace, "--experiments", "0", seconds=0).returncode == 0
    assert "the machine (NVIDIA Imaginary → " in warnings(workspace)
    assert len(ledger.read(workspace.ledger).segments) == 2

    lines[1].pop("conditions")
    _rewrite(workspace, lines)
    assert run(workspace, "--experiments", "3", seconds=0).returncode == 0
    assert len(ledger.read(workspace.ledger).segments) == 1


def _rewrite(workspace: Workspace, lines: list[dict]) -> None:
    workspace.ledger.write_text("".join(json.dumps(line) + "\n" for line in lines))
