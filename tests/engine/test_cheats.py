"""The cheating corpus through the real loop: every train.py gets the verdict that it must get, and nothing is lost."""

import shutil
from pathlib import Path

import pytest

from engine import commands, events, evidence, ledger, patch
from engine.errors import WorkFailed
from engine.events import EventFollower
from engine.launch import run_engine
from engine.ledger import Experiment
from engine.workspace import GUARDED, Workspace
from tests.engine.cheats import CAUGHT, DATA, HONEST, KNOWN, PREPARE, TRAIN, Cheat, piece
from tests.engine.workspaces import (
    expected_subjects,
    experiments,
    git,
    living_runs_of,
    make,
    snapshot,
    start,
    subjects,
    until,
)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with its baseline. Read-only: every cheat plays in a copy."""
    workspace = make(tmp_path_factory.mktemp("cheats") / "work", TRAIN)
    workspace.prepare.write_text(PREPARE)
    git(workspace.root, "commit", "--quiet", "-am", "an evaluator")
    for name, text in DATA.items():
        (workspace.root / "data").mkdir(exist_ok=True)
        (workspace.root / "data" / name).write_text(text)
    run_engine(workspace, experiments=0, waits_on_trouble=False)
    assert [each.status for each in experiments(workspace)] == ["keep"]
    return workspace


@pytest.fixture
def workspace(measured: Workspace, tmp_path: Path) -> Workspace:
    shutil.copytree(measured.root, tmp_path / "work", symlinks=True)
    return Workspace.at(tmp_path / "work")


def propose(workspace: Workspace, train: str) -> None:
    saved = workspace.rescued / "mine.patch"
    saved.parent.mkdir(parents=True, exist_ok=True)
    saved.write_text(patch.unified(TRAIN, train, "train.py"))
    commands.send(workspace, commands.Enqueue(text=str(saved.relative_to(workspace.root))))


def play(workspace: Workspace, cheat: Cheat) -> Experiment:
    """Run the cheat as the next experiment; what the ledger says of it."""
    propose(workspace, cheat.train)
    rules = {name: _content(workspace.root / name) for name in GUARDED}
    run_engine(workspace, experiments=1, waits_on_trouble=False)
    found = next(each for each in ledger.read(workspace.ledger).experiments if each.source == "queue")
    assert {name: _content(workspace.root / name) for name in GUARDED} == rules
    assert living_runs_of(workspace) == []
    assert not workspace.journal.exists()
    assert git(workspace.root, "status", "--porcelain") == ""
    return found


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def check_verdict(cheat: Cheat, found: Experiment) -> None:
    assert found.status == cheat.status, found.asi["result"]
    assert cheat.reason in found.asi["result"]


@pytest.mark.parametrize("cheat", HONEST + CAUGHT, ids=lambda cheat: cheat.name)
def test_every_cheat_gets_its_verdict(workspace: Workspace, cheat: Cheat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "OUTSIDE_SECONDS", 0.9)
    check_verdict(cheat, play(workspace, cheat))
    if cheat.status != "keep":
        assert workspace.train.read_text() == TRAIN
        assert subjects(workspace)[4:] == expected_subjects(workspace)
    assert [each.run for each in experiments(workspace)] == [1, 2]


@pytest.mark.parametrize("cheat", KNOWN, ids=lambda cheat: cheat.name)
def test_what_no_guard_stops_is_known(workspace: Workspace, cheat: Cheat) -> None:
    """One that is stopped one day belongs among the others."""
    assert cheat.known
    check_verdict(cheat, play(workspace, cheat))


def test_what_a_run_compiled_of_prepare_py_is_not_what_the_next_one_runs(workspace: Workspace) -> None:
    poison = """
        import importlib.util, py_compile
        true = Path("prepare.py")
        cached, stat = Path(importlib.util.cache_from_source("prepare.py")), true.stat()
        other = Path("data").resolve().parent / ".autoresearch" / "prepare.py"
        other.write_text(true.read_text().replace("FLOP_BUDGET = 10", "FLOP_BUDGET = 99"))
        os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        cached.parent.mkdir(exist_ok=True)
        py_compile.compile(str(other), cfile=str(cached))
    """
    assert play(workspace, piece("poison", "discard", "", last=poison)).metric is not None
    before = experiments(workspace)[0].metric
    propose(workspace, TRAIN.replace("RATE = 0.1", "RATE = 0.1 + 0"))
    run_engine(workspace, experiments=2, waits_on_trouble=False)
    assert experiments(workspace)[2].metric == before


def test_data_that_a_run_changed_stops_the_loop_until_it_is_back(workspace: Workspace) -> None:
    shard = workspace.root / "data" / "train_0.txt"
    cheat = next(each for each in CAUGHT if each.name == "write into the data")
    propose(workspace, cheat.train)
    with pytest.raises(WorkFailed, match=r"train_0.txt was changed: .*`autoresearch-tui prepare`"):
        run_engine(workspace, experiments=2, waits_on_trouble=False)
    assert [each.status for each in experiments(workspace)] == ["keep", "checks_failed"]
    assert not workspace.journal.exists()

    shard.write_text(DATA["train_0.txt"])
    run_engine(workspace, experiments=2, waits_on_trouble=False)
    assert len(experiments(workspace)) == 3
    assert len(ledger.read(workspace.ledger).segments) == 1


def test_data_that_was_changed_between_sessions_begins_a_segment(workspace: Workspace) -> None:
    (workspace.root / "data" / "train_1.txt").write_text("more of it\n")
    run_engine(workspace, experiments=0, waits_on_trouble=False)
    assert [len(each.experiments) for each in ledger.read(workspace.ledger).segments] == [1, 1]
    assert any("the data or the tokenizer changed since run 1" in said for said in warnings(workspace))


def test_an_engine_that_takes_over_finds_out_what_the_run_did_to_the_data(workspace: Workspace) -> None:
    """The first engine is killed in mid-run; the second takes no changed data for the right one."""
    slow = TRAIN.replace("# HERE before", "(prepare.DATA / 'tokenizer.json').write_text('[]')\n    time.sleep(3)")
    propose(workspace, slow)
    engine = start(workspace, "--experiments", "1")
    until(lambda: (workspace.root / "data" / "tokenizer.json").read_text() == "[]", "the run writes into the data")
    engine.kill()
    engine.communicate()
    run_engine(workspace, experiments=1, waits_on_trouble=False)

    _, second = experiments(workspace)
    assert second.status == "checks_failed" and "tokenizer.json was changed during the run" in second.asi["result"]


def test_what_a_person_does_meanwhile_is_nobodys_cheat_and_stays(workspace: Workspace) -> None:
    """Edits, new files and a commit of other files in mid-run; data that was only touched."""
    root = workspace.root
    propose(workspace, TRAIN.replace("RATE = 0.1", "RATE = 0.2").replace("# HERE before", "time.sleep(2)"))
    engine = start(workspace, "--experiments", "1")
    until(lambda: len(living_runs_of(workspace)) > 1, "the run")
    (root / "README.md").write_text("edited in mid-run\n")
    (root / "program.md").write_text("try harder\n")
    (root / "mine").mkdir()
    (root / "mine" / "notes.txt").write_text("mine\n")
    git(root, "add", "mine")
    git(root, "commit", "--quiet", "-m", "my notes", "--", "mine")
    (root / "data" / "train_0.txt").touch()
    before = {name: digest for name, digest in snapshot(root).items() if name in ("README.md", "program.md")}
    engine.communicate()

    assert experiments(workspace)[1].status == "keep"
    assert before.items() <= snapshot(root).items()
    assert (root / "mine" / "notes.txt").read_text() == "mine\n"
    assert git(root, "status", "--porcelain").split() == ["M", "README.md", "M", "program.md"]


def test_a_prepare_py_that_names_no_files_leaves_the_data_unguarded_and_that_is_said_once(workspace: Workspace) -> None:
    workspace.prepare.write_text(PREPARE.replace("--files", "--what"))
    (workspace.state / "data.json").unlink()
    for _ in range(2):
        run_engine(workspace, experiments=0, waits_on_trouble=False)
    assert [said for said in warnings(workspace) if "--files" in said] == [
        "prepare.py does not say which files it reads (--files): data and tokenizer are not guarded."
    ]


def warnings(workspace: Workspace) -> list[str]:
    return [each.message for each in EventFollower(workspace.events) if isinstance(each, events.Warned)]


def test_the_corpus_is_large_enough() -> None:
    assert len(CAUGHT) >= 14
    names = [each.name for each in HONEST + CAUGHT + KNOWN]
    assert len(set(names)) == len(names)
