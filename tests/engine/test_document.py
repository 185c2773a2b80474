"""autoresearch.md: the engine keeps its own part up to date, and not a byte of the person's."""

from dataclasses import replace

import pytest

from engine import document
from engine.document import BEGIN, END
from engine.history import History
from engine.initialize import TEMPLATE
from engine.ledger import Config, Experiment, LedgerFile, Repeat
from engine.repository import Repository
from engine.workspace import DOCUMENT, Workspace
from tests.engine.conftest import Person

FACTS = {"title": "T", "branch": "autoresearch/x", "budget": "$5 of compute", "limit": "600"}


@pytest.fixture
def history(workspace: Workspace) -> History:
    file = LedgerFile(workspace)
    for metric, status, description in (
        (1.0, "keep", "baseline"),
        (1.2, "discard", "DEPTH 2 → 9"),
        (0.9, "keep", "MATRIX_LR 0.03 → 0.04"),
        (None, "crash", "HEAD_DIM 32 → 33"),
    ):
        one = file.append(
            Experiment(
                run=0, metric=metric, status=status, description=description, commit="c" * 40,
                asi={"result": f"because {status}"},
            )
        )  # fmt: skip
        folder = workspace.run_folder(one.run)
        folder.path.mkdir(parents=True)
        folder.train.write_text(f"DEPTH = {one.run}\nMATRIX_LR = 0.04\nSEED = 42\n")
    return History.of(workspace)


@pytest.fixture
def repository(workspace: Workspace, person: Person, no_identity: None) -> Repository:
    person.write(".git/info/exclude", "/.autoresearch/\n/autoresearch.jsonl\n")
    person.commit({"train.py": "DEPTH = 3\n", DOCUMENT: composed()})
    return Repository(workspace.root, workspace.state)


def composed() -> str:
    return document.compose((TEMPLATE / DOCUMENT).read_text("utf-8"), FACTS)


def test_a_new_document_has_the_facts_and_a_place_for_what_is_learned() -> None:
    text = composed()
    assert "$5 of compute" in text
    assert "autoresearch/x" in text
    assert text.count(BEGIN) == text.count(END) == 1
    assert "./autoresearch.sh > /tmp/by-hand.log" in text


def test_what_was_learned_is_written_between_the_markers_and_committed(
    workspace: Workspace, repository: Repository, person: Person, history: History
) -> None:
    before = composed()
    assert document.update(workspace, repository, history) is False
    after = workspace.document.read_text("utf-8")
    assert after.split(BEGIN)[0] == before.split(BEGIN)[0]
    assert after.split(END)[1] == before.split(END)[1]
    assert document.learned(history) in after
    assert "SEED" not in after
    assert person.git("status", "--porcelain") == ""
    assert person.git("show", "--name-only", "--format=%s").split("\n\n") == ["notes: what 4 runs have shown", DOCUMENT]


@pytest.mark.parametrize(
    ("around", "note"),
    [
        ("", ""),
        ("# Mine\r\n\r\n", "\r\nmore\r\n"),
        ("no newline before", "no newline after"),
        ("µ → é\n", "\x0c\n"),
    ],
)
def test_what_a_person_wrote_around_the_markers_stays_to_the_byte(
    workspace: Workspace, repository: Repository, person: Person, history: History, around: str, note: str
) -> None:
    person.commit({DOCUMENT: f"{around}{BEGIN}old{END}{note}"})
    document.update(workspace, repository, history)
    after = workspace.document.read_bytes()
    assert after.startswith(f"{around}{BEGIN}".encode())
    assert after.endswith(f"{END}{note}".encode())
    assert b"old" not in after


def test_what_a_person_wrote_in_another_encoding_stays_too(
    workspace: Workspace, repository: Repository, person: Person, history: History
) -> None:
    person.commit({DOCUMENT: b"gr\xfc\xdfe\n" + f"{BEGIN}{END}".encode()})
    document.update(workspace, repository, history)
    assert workspace.document.read_bytes().startswith(b"gr\xfc\xdfe\n")


def test_updating_twice_commits_once(workspace: Workspace, repository: Repository, history: History) -> None:
    document.update(workspace, repository, history)
    head = repository.head()
    document.update(workspace, repository, history)
    assert repository.head() == head


@pytest.mark.parametrize("stage", [False, True])
def test_a_document_with_edits_that_are_not_committed_is_left_alone(
    workspace: Workspace, repository: Repository, person: Person, history: History, stage: bool
) -> None:
    person.write(DOCUMENT, composed() + "\nmy thoughts\n")
    if stage:
        person.git("add", DOCUMENT)
    head = repository.head()
    assert document.update(workspace, repository, history) is True
    assert repository.head() == head
    assert workspace.document.read_text("utf-8").endswith("my thoughts\n")


@pytest.mark.parametrize("text", ["no markers\n", f"{BEGIN} only\n", f"{END} then {BEGIN}\n", ""])
def test_a_document_without_both_markers_is_left_to_the_person(
    workspace: Workspace, repository: Repository, person: Person, history: History, text: str
) -> None:
    head = person.commit({DOCUMENT: text})
    assert document.update(workspace, repository, history) is False
    assert repository.head() == head
    assert workspace.document.read_text("utf-8") == text


def test_a_branch_without_the_document_gets_none(
    workspace: Workspace, repository: Repository, person: Person, history: History
) -> None:
    person.git("rm", "--quiet", DOCUMENT)
    person.git("commit", "--quiet", "-m", "without")
    assert document.update(workspace, repository, history) is False
    assert not workspace.document.exists()


def test_nothing_is_written_on_another_branch(
    workspace: Workspace, repository: Repository, person: Person, history: History
) -> None:
    session = person.git("branch", "--show-current")
    of_branch = replace(history.segment, config=Config(branch=session))
    there = replace(history, segment=of_branch)
    for switch in (["-c", "other"], ["--detach"]):
        person.git("switch", "--quiet", *switch)
        head = repository.head()
        assert document.update(workspace, repository, there) is False
        assert repository.head() == head
    person.git("switch", "--quiet", session)
    document.update(workspace, repository, there)
    assert repository.message("HEAD").startswith("notes: ")


def test_a_session_of_one_run_has_no_empty_headings_and_counts_in_the_singular(workspace: Workspace) -> None:
    LedgerFile(workspace).append(Experiment(run=0, metric=1.0, status="keep", description="baseline"))
    text = document.learned(History.of(workspace))
    assert "1 run, 0 kept, 0 crashed." in text
    assert [line for line in text.splitlines() if line.endswith(":")] == ["Every run:"]


def test_seeds_are_not_among_the_knobs_and_failed_checks_are_counted(history: History, workspace: Workspace) -> None:
    best = history.incumbent
    assert best is not None
    workspace.run_folder(best.folder_number).train.write_text("SEED = 1337\nDATA_SEED = 1\nDEPTH = 3\n")
    LedgerFile(workspace).append(Experiment(run=0, metric=0.1, status="checks_failed", description="cheat"))
    text = document.learned(History.of(workspace))
    assert "SEED" not in text and "- `DEPTH = 3`" in text
    assert "5 runs, 1 kept, 1 crashed, 1 failed its checks." in text


def test_a_metric_that_failed_its_checks_is_a_dead_end_however_good_it_looks(
    history: History, workspace: Workspace
) -> None:
    LedgerFile(workspace).append(Experiment(run=0, metric=0.1, status="checks_failed", description="cheat"))
    dead_ends = document.learned(History.of(workspace)).split("Dead ends")[1]
    assert "run 5, checks failed" in dead_ends and "0.100000" not in dead_ends


def test_a_run_without_a_verdict_is_no_dead_end_and_no_crash(history: History, workspace: Workspace) -> None:
    LedgerFile(workspace).append(
        Experiment(run=0, status="crash", result="lost", description="x", asi={"result": "killed from outside"})
    )
    text = document.learned(History.of(workspace))
    assert "5 runs, 1 kept, 1 crashed." in text
    assert "- run 5, lost: x (killed from outside)" in text and "run 5" not in text.split("Dead ends")[1]


def test_what_was_learned_names_baseline_incumbent_knobs_and_dead_ends(history: History) -> None:
    text = document.learned(history)
    assert "4 runs, 1 kept, 1 crashed" in text
    assert "Baseline 1.000000 (run 1), incumbent 0.900000 (run 3, commit cccccccccccc)" in text
    assert "- `DEPTH = 3`" in text
    assert "Better than the baseline by 0.100000, unproven: no noise floor is measured yet: verify measures it." in text
    assert "Noise floor: not measured yet." in text.splitlines()
    assert "- run 3, keep, 0.900000, unproven: MATRIX_LR 0.03 → 0.04 (because keep)" in text
    assert "- run 3, keep, 0.900000: MATRIX_LR 0.03 → 0.04 (because keep)" in text
    dead_ends = text.split("Dead ends")[1]
    assert dead_ends.index("run 4, crash, no metric") < dead_ends.index("run 2, discard, 1.200000")
    assert "run 3" not in dead_ends


def test_what_may_be_claimed_is_written_with_its_evidence(workspace: Workspace, history: History) -> None:
    for seed, metric in ((1001, 1.001), (1002, 0.999)):
        LedgerFile(workspace).append_repeat(Repeat(run=1, metric=metric, seed=seed))
    text = document.learned(History.of(workspace))
    assert "Better than the baseline by 0.100000, likely: by chance the best of 2 tries gets as far in " in text
    assert "Noise floor: sd 0.001 (at most 0.0044) from 3 runs with other seeds." in text
    assert "- run 3, keep, 0.900000, likely: MATRIX_LR" in text


def test_a_simplification_alone_is_called_no_gain(workspace: Workspace) -> None:
    for description in ("baseline", "simpler"):
        LedgerFile(workspace).append(Experiment(run=0, metric=1.0, status="keep", description=description))
    text = document.learned(History.of(workspace))
    assert "Its gain over the baseline, unproven: no gain over run 1." in text and "Better" not in text


def test_before_there_is_a_metric_nothing_was_learned(workspace: Workspace) -> None:
    assert document.learned(History.of(workspace)) == "No run has produced a metric yet.\n"
    LedgerFile(workspace).append(Experiment(run=0, status="crash"))
    assert document.learned(History.of(workspace)) == "No run has produced a metric yet.\n"
