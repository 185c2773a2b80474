"""Past sessions: found wherever they are, one for each segment, and no file makes reading them fail."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import dialects, status
from engine.errors import UnusableWorkspace
from engine.past import PastSession, Place, gather, place_at, sessions_of
from engine.workspace import Workspace

CONFIG = {"type": "config", "name": "Optimize val_bpb", "metricName": "val_bpb", "bestDirection": "lower"}


def line(run: int, metric: float | None, status: str, **more: Any) -> dict[str, Any]:
    return {"run": run, "metric": metric, "status": status, "timestamp": 1_700_000_000 + 60 * run, **more}


NIGHT = [
    CONFIG | {"branch": "autoresearch/night-2026-11-23"},
    line(1, 1.0, "keep", seconds=300),
    line(2, 0.98, "keep", seconds=310),
    line(3, None, "crash", seconds=20),
    line(4, 0.99, "discard", seconds=300),
    line(5, None, "discard", result="skipped", seconds=10),
]


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    return path


def test_a_session_in_figures(tmp_path: Path) -> None:
    (found,) = sessions_of(write(tmp_path / "night" / "autoresearch.jsonl", NIGHT))
    assert (found.name, found.branch, found.trouble) == ("night", "night-2026-11-23", "")
    assert (found.baseline, found.best, found.kept, found.runs, found.seconds) == (1.0, 0.98, 1, 5, 940)
    assert found.gain == pytest.approx(-0.02) and found.is_better
    assert found.last == 1_700_000_300
    assert [(each.run, each.value) for each in found.results] == [(1, 1.0), (2, 0.98), (3, None), (4, 0.99)]


def test_each_segment_is_a_session_the_last_one_first(tmp_path: Path) -> None:
    second = [
        CONFIG | {"bestDirection": "higher", "metricName": "accuracy"},
        line(6, 0.5, "keep"),
        line(7, 0.6, "keep"),
    ]
    later, earlier = sessions_of(write(tmp_path / "autoresearch.jsonl", [*NIGHT, CONFIG, *second]))
    assert (later.segment, later.metric_name, later.runs, later.is_better, later.seconds) == (
        2,
        "accuracy",
        2,
        True,
        60,
    )
    assert (earlier.segment, earlier.runs, earlier.last_run) == (0, 5, 5)


def test_a_session_without_a_run_is_there(tmp_path: Path) -> None:
    (found,) = sessions_of(write(tmp_path / "autoresearch.jsonl", [CONFIG]))
    assert (found.runs, found.baseline, found.gain, found.trouble) == (0, None, None, "")


def test_sessions_are_found_below_a_directory_in_a_workspace_and_as_a_file(tmp_path: Path) -> None:
    first = write(tmp_path / "nights" / "one" / "autoresearch.jsonl", NIGHT)
    second = write(tmp_path / "nights" / "deep" / "down" / "autoresearch.jsonl", NIGHT)
    write(tmp_path / "nights" / ".hidden" / "autoresearch.jsonl", NIGHT)
    copied = write(tmp_path / "copy.jsonl", NIGHT)
    found = [
        each.path for each in gather([first.parent, tmp_path / "nights", copied, copied], [Workspace(first.parent)])
    ]
    assert found == [first, second, copied]


def test_what_was_asked_for_is_told_from_what_this_machine_knows(tmp_path: Path) -> None:
    asked, known = (write(tmp_path / name / "autoresearch.jsonl", NIGHT) for name in ("asked", "known"))
    found = {each.path: each.is_asked_for for each in gather([asked.parent], [Workspace(known.parent)])}
    assert found == {asked: True, known: False}


def test_what_is_gone_is_said(tmp_path: Path) -> None:
    (tmp_path / "left").mkdir()
    gone, left = gather([], [Workspace(tmp_path / "gone"), Workspace(tmp_path / "left")])
    assert "is gone" in gone.trouble and gone.name == "gone"
    assert "no session any more" in left.trouble
    nowhere, nothing = gather([tmp_path / "nowhere", tmp_path / "left"], [])
    assert "no such file" in nowhere.trouble and "no session in it" in nothing.trouble


def test_another_file_is_no_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "thesis.tex").write_text("\\documentclass{article}\n")
    (tmp_path / "image.png").write_bytes(os.urandom(4096))
    (tmp_path / "empty").write_bytes(b"")
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.setattr(dialects, "LARGEST", 5000)
    (tmp_path / "large.jsonl").write_text(json.dumps(CONFIG) + "\n" * 6000)
    for each in tmp_path.iterdir():
        (found,) = sessions_of(each)
        assert found.trouble, each
    assert "too large" in sessions_of(tmp_path / "large.jsonl")[0].trouble


def test_a_link_that_leads_to_itself_ends(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to("self")
    session = write(tmp_path / "a" / "autoresearch.jsonl", NIGHT)
    assert [each.path for each in gather([tmp_path, tmp_path / "loop"], [])] == [session]
    assert [bool(each.trouble) for each in gather([tmp_path / "self"], [])] == [True]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("keep") | st.just("config"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=4,
)
FIRST = ("type", "run", "metric", "status", "timestamp", "seconds", "segment", "metrics", "branch", "bestDirection")
SECOND = ("metricName", "commit", "description", "confidence", "asi", "result", "repeats", "name", "id")
KEYS = st.sampled_from((*FIRST, *SECOND))


@settings(max_examples=150, deadline=None)
@given(lines=st.lists(st.dictionaries(KEYS, ANYTHING, max_size=8), max_size=6), ending=st.binary(max_size=20))
def test_no_ledger_makes_reading_fail(tmp_path_factory: pytest.TempPathFactory, lines: Any, ending: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.jsonl"
    path.write_bytes("".join(json.dumps(each) + "\n" for each in lines).encode("utf-8", "surrogatepass") + ending)
    for each in sessions_of(path):
        assert isinstance(each, PastSession)


def test_a_sessions_file_names_the_session_of_its_directory_or_itself(tmp_path: Path) -> None:
    row = "commit\tval_bpb\tmemory_gb\tstatus\tdescription\na1b2c3d\t0.9\t44.0\tkeep\tbaseline\n"
    (tmp_path / "results.tsv").write_text(row)
    here = Workspace(tmp_path)
    assert place_at(tmp_path) == place_at(tmp_path / "results.tsv") == Place(here)
    (tmp_path / "older.tsv").write_text(row.replace("0.9", "0.8"))
    assert place_at(tmp_path / "older.tsv") == Place(here, tmp_path / "older.tsv")
    assert status.of(here, tmp_path / "older.tsv").incumbent == 0.8 and status.of(here).incumbent == 0.9
    (tmp_path / ".auto").mkdir()
    (tmp_path / ".auto" / "log.jsonl").write_text('{"run":1,"metric":0.7,"status":"keep"}\n')
    assert place_at(tmp_path / ".auto") == place_at(tmp_path / ".auto" / "log.jsonl") == Place(here)
    (tmp_path / "thesis.md").write_text("# Thesis\n")
    with pytest.raises(UnusableWorkspace, match=r"thesis\.md is no session's file, such as autoresearch\.jsonl"):
        place_at(tmp_path / "thesis.md")
