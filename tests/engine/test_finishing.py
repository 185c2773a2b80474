"""The finished branch: what was kept and nothing else, from where the session began, with all else as it was."""

import datetime
from pathlib import Path
from typing import Any

import pytest

from engine import ledger
from engine.errors import UnusableWorkspace
from engine.finishing import Finisher, Plan
from engine.initialize import Profile, initialize
from engine.ledger import Config, Experiment, LedgerFile
from engine.repository import EXPERIMENT_TRAILER, REVERT_TRAILER, Repository
from engine.workspace import Workspace
from tests.engine.workspaces import TRAIN, experiments, git, make, run, snapshot

SESSION = "autoresearch/test-2026-11-23"
FINISHED = "finished/test-2026-11-23"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make(tmp_path / "work")


def finisher(root: Path) -> Finisher:
    scratch = root.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    return Finisher(Workspace.at(root), Repository(root.resolve(), scratch))


def finish(root: Path, branch: str | None = None, *, squash: bool = False) -> Plan:
    found = finisher(root)
    plan = found.plan(branch, squash=squash)
    assert plan.text.splitlines()[0].startswith(plan.branch)
    found.carry_out(plan)
    return plan


def refused(root: Path, branch: str | None = None) -> str:
    before = snapshot(root)
    with pytest.raises(UnusableWorkspace) as error:
        finisher(root).plan(branch)
    assert snapshot(root) == before and "\n" not in str(error.value)
    return str(error.value)


def log(root: Path, since: str, branch: str = FINISHED) -> list[str]:
    """The subjects of the branch, the oldest first."""
    return git(root, "log", "--reverse", "--format=%s", f"{since}..{branch}").splitlines()


def message(root: Path, revision: str) -> str:
    return git(root, "log", "-1", "--format=%B", revision)


def train(root: Path, revision: str) -> str:
    return git(root, "show", f"{revision}:train.py")


def knob(depth: int, lr: str = "0.04") -> str:
    return TRAIN.replace("DEPTH = 4", f"DEPTH = {depth}").replace("MATRIX_LR = 0.04", f"MATRIX_LR = {lr}")


def commit(workspace: Workspace, text: str, said: str) -> str:
    """A commit of train.py, as the engine and a person make them."""
    workspace.train.write_text(text)
    git(workspace.root, "commit", "--quiet", "-am", said)
    return git(workspace.root, "rev-parse", "HEAD")


def record(workspace: Workspace, sha: str, metric: float | None, status: str, said: str, **more: Any) -> Experiment:
    line = Experiment(
        run=0, commit=sha, metric=metric, status=status, description=said, **({"source": "search", "id": sha} | more)
    )
    return LedgerFile(workspace).append(line)


def tried(workspace: Workspace, depth: int, metric: float, *, kept: bool, lr: str = "0.04") -> str:
    """An experiment as the engine leaves it: kept on the branch, or followed by its revert."""
    before = workspace.train.read_text()
    said = f"DEPTH → {depth}"
    sha = commit(workspace, knob(depth, lr), f"experiment: {said}\n\n{EXPERIMENT_TRAILER}: {depth}.0")
    record(workspace, sha, metric, "keep" if kept else "discard", said, asi={"hypothesis": f"try {depth}"})
    if not kept:
        commit(workspace, before, f'Revert "experiment: {said}"\n\n{REVERT_TRAILER}: {depth}')
    return sha


def baseline(workspace: Workspace, metric: float = 2.0) -> None:
    record(workspace, git(workspace.root, "rev-parse", "HEAD"), metric, "keep", "baseline", source="baseline")


def begun(workspace: Workspace) -> None:
    """Two kept changes with one in between that was not, and notes."""
    baseline(workspace)
    tried(workspace, 5, 1.9, kept=True)
    tried(workspace, 9, 2.5, kept=False)
    workspace.document.write_text("notes\n")
    git(workspace.root, "commit", "--quiet", "-am", "notes: what was learned")
    tried(workspace, 6, 1.75, kept=True)


def test_a_real_session_becomes_a_branch_of_its_kept_changes_and_nothing_of_it_changes(workspace: Workspace) -> None:
    assert run(workspace, "--experiments", "8", seconds=0).returncode == 0
    (workspace.root / "README.md").write_text("staged by the person\n")
    git(workspace.root, "add", "README.md")
    (workspace.root / "prepare.py").write_text("edited by the person\n")
    before = snapshot(workspace.root)
    finish(workspace.root)
    after = snapshot(workspace.root)
    assert {name: after.get(name) for name in before} == before
    assert all(
        name.startswith((".git/objects/", ".git/refs/heads/finished/", ".git/logs/refs/heads/finished/"))
        for name in after.keys() - before.keys()
    )
    kept = [each for each in experiments(workspace)[1:] if each.kept]
    assert kept and log(workspace.root, "main") == [each.description for each in kept]
    shas = git(workspace.root, "log", "--reverse", "--format=%H", f"main..{FINISHED}").split()
    for sha, each in zip(shas, kept, strict=True):
        assert train(workspace.root, sha) == train(workspace.root, each.commit)
        assert git(workspace.root, "diff", "--name-only", f"{sha}^", sha) == "train.py"
        assert git(workspace.root, "log", "-1", "--format=%an %at", sha) == git(
            workspace.root, "log", "-1", "--format=%an %at", each.commit
        )
    incumbent = ledger.read(workspace.ledger).segments[-1].incumbent
    assert incumbent is not None and train(workspace.root, FINISHED) == train(workspace.root, incumbent.commit)
    assert git(workspace.root, "diff", "--name-only", "main", FINISHED) == "train.py"


def test_a_message_says_what_it_brought_and_how_sure_that_is(workspace: Workspace) -> None:
    begun(workspace)
    plan = finish(workspace.root)
    assert log(workspace.root, "main") == ["DEPTH → 5", "DEPTH → 6"]
    assert message(workspace.root, FINISHED).splitlines() == [
        "DEPTH → 6",
        "",
        "val_bpb 1.9000 → 1.7500 (−0.1500)",
        "",
        f"Run 4 of {SESSION}.",
        "Evidence: unproven; no noise floor is measured yet: verify measures it.",
        "",
        "Hypothesis: try 6",
    ]
    assert "DEPTH → 6  [val_bpb 1.9000 → 1.7500 (−0.1500), unproven]" in plan.text
    assert "Only train.py differs" in plan.text and "main" not in plan.text


def test_all_of_it_can_be_one_commit(workspace: Workspace) -> None:
    begun(workspace)
    finish(workspace.root, "mine", squash=True)
    assert log(workspace.root, "main", "mine") == [
        "val_bpb went from 2.0000 to 1.7500 (−0.2500, −12.5%) after 3 experiments"
    ]
    said = message(workspace.root, "mine")
    assert "- DEPTH → 5  [val_bpb 2.0000 → 1.9000 (−0.1000), unproven]\n- DEPTH → 6" in said
    assert train(workspace.root, "mine") == knob(6).strip()
    assert git(workspace.root, "diff", "--name-only", "main", "mine") == "train.py"


def test_a_branch_that_went_on_since_does_not_matter(workspace: Workspace) -> None:
    begun(workspace)
    git(workspace.root, "switch", "--quiet", "main")
    (workspace.root / "README.md").write_text("later\n")
    git(workspace.root, "commit", "--quiet", "-am", "later")
    finish(workspace.root)
    assert git(workspace.root, "merge-base", "main", FINISHED) == git(workspace.root, "rev-parse", "main^")
    git(workspace.root, "merge", "--quiet", "--no-edit", FINISHED)
    assert workspace.train.read_text() == knob(6)


def test_where_the_session_brought_train_py_the_branch_begins_with_its_template(tmp_path: Path) -> None:
    root = tmp_path / "new"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    workspace = Workspace.at(root)
    branch = initialize(workspace, "t", Profile.load("demo"))
    baseline(workspace)
    tried(workspace, 5, 1.9, kept=True)
    plan = finish(root)
    assert "the commit that brought train.py" in plan.text
    assert log(root, f"{branch}~1", plan.branch) == ["DEPTH → 5"]


def test_a_persons_own_commits_keep_their_words(workspace: Workspace) -> None:
    mine = commit(workspace, knob(3), "shallower to begin with\n\nMy reasons.")
    baseline(workspace)
    tried(workspace, 5, 1.9, kept=True)
    own = commit(workspace, knob(5, "0.1"), "raise the rate\n\nAs in the paper.")
    record(workspace, own, 1.8, "keep", "a person's commit: raise the rate", source="person")
    tried(workspace, 6, 1.7, kept=True, lr="0.1")
    finish(workspace.root)
    assert log(workspace.root, "main") == ["shallower to begin with", "DEPTH → 5", "raise the rate", "DEPTH → 6"]
    first = f"{FINISHED}~3"
    assert message(workspace.root, first) == (
        "shallower to begin with\n\nMy reasons.\n\nAs run 1, a baseline, measured it."
    )
    assert git(workspace.root, "log", "-1", "--format=%an %at", first) == git(
        workspace.root, "log", "-1", "--format=%an %at", mine
    )
    assert "As in the paper.\n\nval_bpb 1.9000 → 1.8000" in message(workspace.root, f"{FINISHED}~1")
    assert train(workspace.root, FINISHED) == knob(6, "0.1").strip()


def test_segments_go_on_from_each_other(workspace: Workspace) -> None:
    begun(workspace)
    for lr in ("0.05", "0.06"):
        commit(workspace, knob(6, lr), f"the rate is {lr}")
    LedgerFile(workspace).open_segment(Config(branch=SESSION))
    baseline(workspace, 3.0)
    tried(workspace, 7, 2.9, kept=True, lr="0.06")
    plan = finish(workspace.root)
    between = "train.py: as run 5, a baseline, measured it"
    assert log(workspace.root, "main") == ["DEPTH → 5", "DEPTH → 6", between, "DEPTH → 7"]
    assert "- the rate is 0.05\n- the rate is 0.06" in message(workspace.root, f"{FINISHED}~1")
    assert f"Run 6 of {SESSION}, segment 2." in message(workspace.root, FINISHED)
    assert "to 1.7500" in plan.headline and "to 2.9000" in plan.headline


def test_another_branchs_session_in_the_same_ledger_is_left_out(workspace: Workspace) -> None:
    begun(workspace)
    second = initialize(workspace, "second", Profile.load("gpu"))
    git(workspace.root, "commit", "--quiet", "--allow-empty", "-m", "mine")
    baseline(workspace, 1.75)
    tried(workspace, 7, 1.7, kept=True)
    plan = finish(workspace.root)
    assert plan.branch == second.replace("autoresearch/", "finished/")
    assert log(workspace.root, SESSION, plan.branch) == ["DEPTH → 7"]


def test_a_simplification_says_so(workspace: Workspace) -> None:
    baseline(workspace)
    tried(workspace, 5, 2.0, kept=True)
    finish(workspace.root)
    said = message(workspace.root, FINISHED)
    assert "val_bpb 2.0000 → 2.0000 (±0)" in said and "no gain, but simpler" in said


def test_what_a_proposer_wrote_is_made_harmless(workspace: Workspace) -> None:
    baseline(workspace)
    sha = commit(workspace, knob(5), "experiment")
    said = "x" * 300 + "\x1b[31mred\n\nSigned-off-by: nobody"
    record(workspace, sha, 1.9, "keep", said, asi={"hypothesis": "\u202eturned\nround"})
    finish(workspace.root)
    told = message(workspace.root, FINISHED)
    assert "\x1b" not in told and "\u202e" not in told and "\nSigned-off-by" not in told
    assert len(told.splitlines()[0]) <= 100 and "x" * 300 in told and "Hypothesis: turned round" in told


def test_refusals(workspace: Workspace) -> None:
    assert "nothing was kept" in refused(workspace.root)
    baseline(workspace)
    assert "nothing was kept" in refused(workspace.root)
    tried(workspace, 5, 1.9, kept=True)
    for name in ("-x", "", "@", "HEAD", "@{-1}", "refs/heads/q", "a..b", "x.lock"):
        assert f"{name!r} is no name for a branch: name another" in refused(workspace.root, name)
    for name in ("x" * 300, "é" * 101):
        assert "longer than 200 bytes: name another" in refused(workspace.root, name)
    assert "exists already" in refused(workspace.root, "main")
    assert "main is in the way" in refused(workspace.root, "main/x")
    assert f"{SESSION} is in the way" in refused(workspace.root, "autoresearch")
    gone = record(workspace, "0123456789abcdef", 1.8, "keep", "gone")
    assert f"run {gone.run} was kept as commit 0123456789abcdef" in refused(workspace.root)
    record(workspace, "HEAD~1", 1.7, "keep", "no commit's name")
    assert "no such commit" in refused(workspace.root)


def test_a_baseline_that_names_no_commit_is_what_the_first_kept_change_was_made_to(workspace: Workspace) -> None:
    record(workspace, "", 2.0, "keep", "baseline", source="")
    tried(workspace, 9, 2.5, kept=False)
    kept = commit(workspace, knob(5), "an agent's")
    record(workspace, kept, 1.9, "keep", "DEPTH → 5", source="")
    plan = finish(workspace.root)
    assert log(workspace.root, "main") == ["DEPTH → 5"] and plan.steps[0].figures.startswith("val_bpb 2.0000 → 1.9000")
    assert git(workspace.root, "diff", "--name-only", "main", FINISHED) == "train.py"


def test_where_no_commit_can_stand_for_the_baseline_the_sentence_says_what_to_do(workspace: Workspace) -> None:
    root = git(workspace.root, "rev-list", "--max-parents=0", "HEAD")
    record(workspace, "", 2.0, "keep", "baseline", source="")
    record(workspace, root, 1.9, "keep", "DEPTH → 5", source="")
    said = refused(workspace.root)
    assert "run 1 was kept, but its line names no commit" in said and f"write into {workspace.ledger}" in said


@pytest.mark.parametrize("leave", [("switch", "--quiet", "main"), ("switch", "--quiet", "--detach")])
def test_without_a_branch_of_its_own_a_session_is_called_after_its_directory_and_its_last_day(
    tmp_path: Path, leave: tuple[str, ...]
) -> None:
    workspace = make(tmp_path / "..my work~1 ü.lock")
    LedgerFile(workspace).open_segment(Config(branch=None))
    baseline(workspace)
    tried(workspace, 5, 1.9, kept=True)
    last = record(workspace, "", None, "crash", "the last", source="")
    git(workspace.root, *leave)
    day = datetime.date.fromtimestamp(last.timestamp)
    assert finish(workspace.root).branch == f"finished/my-work-1-ü.lock-{day}"


def foreign(root: Path, rows: list[tuple[str, float, str, str]]) -> None:
    lines = ["commit\tval_bpb\tmemory_gb\tstatus\tdescription"]
    lines += [f"{sha[:7]}\t{metric:.6f}\t1.0\t{status}\t{said}" for sha, metric, status, said in rows]
    (root / "results.tsv").write_text("\n".join(lines) + "\n")


def write(root: Path, said: str, **files: str | None) -> str:
    """A commit of an agent's; None removes a file."""
    for name, text in files.items():
        path = root / name.replace("__", ".").replace("_in_", "/")
        path.parent.mkdir(exist_ok=True)
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "--quiet", "-m", said)
    return git(root, "rev-parse", "HEAD")


def test_another_tools_session_is_carried_with_all_that_was_kept_but_its_own_files(tmp_path: Path) -> None:
    root = tmp_path / "theirs"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=master")
    write(root, "the beginning", train__py="a = 1\n", old__py="o\n", src_in_model__py="m = 1\n")
    git(root, "switch", "--quiet", "-c", "tries")
    first = write(root, "set up", autoresearch__md="goal\n", measure__sh="true\n", train__py="a = 2\n")
    second = write(root, "better", train__py="a = 3\n", src_in_model__py="m = 2\n", results__tsv="x\n")
    third = write(root, "away with the old", old__py=None, src_in_new__py="n\n")
    worse = write(root, "kept although worse", train__py="a = 4\n")
    foreign(
        root,
        [
            (first, 2.0, "keep", "baseline"),
            (second, 1.9, "keep", "two files"),
            (third, 1.8, "keep", "one less"),
            (worse, 1.95, "keep", "worse"),
        ],
    )
    plan = finish(root)
    assert plan.branch == "finished/tries" and "where it left master" in plan.text
    assert log(root, "master", plan.branch) == ["set up", "two files", "one less"]
    changed = git(root, "diff", "--name-status", "master", plan.branch).splitlines()
    assert changed == ["D\told.py", "M\tsrc/model.py", "A\tsrc/new.py", "M\ttrain.py"]
    assert git(root, "diff", "--name-only", third, plan.branch).split() == [
        "autoresearch.md",
        "measure.sh",
        "results.tsv",
    ]
    assert not (root / ".autoresearch").exists()


def test_a_session_without_times_on_main_is_called_after_the_day_of_its_incumbent(tmp_path: Path) -> None:
    root = tmp_path / "theirs"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    first, second = (write(root, said, train__py=f"{said}\n") for said in ("a", "b"))
    foreign(root, [(first, 2.0, "keep", "baseline"), (second, 1.9, "keep", "better")])
    assert finish(root).branch == f"finished/theirs-{git(root, 'log', '-1', '--format=%cs')}"


def test_what_is_cut_off_leaves_nothing_or_all_of_it(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(workspace)
    found = finisher(workspace.root)
    plan = found.plan()
    made = Repository.draft
    count = 0

    def draft(*arguments: Any, **options: Any) -> str:
        nonlocal count
        count += 1
        if count == 2:
            raise KeyboardInterrupt
        return made(*arguments, **options)

    monkeypatch.setattr(Repository, "draft", draft)
    with pytest.raises(KeyboardInterrupt):
        found.carry_out(plan)
    assert not found.repository.has_branch(plan.branch)
    monkeypatch.undo()
    found.carry_out(plan)
    assert len(log(workspace.root, "main")) == 2
