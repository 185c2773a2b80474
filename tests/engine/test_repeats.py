"""Configurations that are run again: for a verification, a person, the noise floor, policy confirm."""

import subprocess
from pathlib import Path

import msgspec
import pytest

from engine import ablation, commands, events, journal, ledger, noise
from engine.claims import Standing, claims
from engine.events import EventFollower
from engine.history import History
from engine.launch import run_engine
from engine.ledger import LedgerFile, Repeat
from engine.verification import plan, verified
from engine.workspace import Workspace
from tests.engine.workspaces import (
    PROGRAM,
    TRAIN,
    begun,
    check_settled,
    environment,
    experiments,
    git,
    living_runs_of,
    make,
    run,
    start,
    subjects,
    until,
)

NOISY = TRAIN.replace(
    "SEED = 1", "import random\nSEED = 1\nnoise = random.Random(str((SEED, DEPTH, MATRIX_LR))).gauss(0, 0.001)"
).replace("{1 + bowl:.6f}", "{1 + bowl + noise:.6f}")


def policy(workspace: Workspace, **values: object) -> None:
    text = workspace.settings.read_text()
    lines = "".join(f"{name} = {str(value).lower()}\n" for name, value in values.items())
    kept = [line for line in text.splitlines(True) if not line.startswith(tuple(f"{name} " for name in values))]
    workspace.settings.write_text("".join(kept).replace("[policy]\n", f"[policy]\n{lines}"))
    git(workspace.root, "commit", "--quiet", "-a", "--amend", "--no-edit")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(0).items():
        monkeypatch.setenv(name, value)


def better(workspace: Workspace, *ideas: str) -> None:
    """Experiments with these ideas, each of them better than the last."""
    for idea in ideas:
        commands.send(workspace, commands.Enqueue(text=idea))
    assert run(workspace, "--experiments", str(len(ideas)), seconds=0).returncode == 0
    assert [each.status for each in experiments(workspace)] == ["keep"] * (1 + len(ideas))


def test_a_verification_runs_baseline_and_incumbent_in_turn_and_leaves_the_incumbent(
    tmp_path: Path, quick: None
) -> None:
    workspace = make(tmp_path / "work", NOISY)
    better(workspace, "DEPTH=6", "MATRIX_LR=0.09")
    before = subjects(workspace)
    wanted = plan(History.of(workspace).segment, each=3)
    assert run_engine(workspace, verification=lambda _: wanted, waits_on_trouble=False) == "verified"

    segment = History.of(workspace).segment
    assert [(each.run, each.seed) for each in segment.repeats] == [
        (1, 1001), (3, 1001), (1, 1002), (3, 1002), (1, 1003), (3, 1003),
    ]  # fmt: skip
    assert len({each.metric for each in segment.repeats}) == 6
    gain = verified(segment, 1, 3)
    assert gain is not None and gain.is_real
    total = claims(segment).total
    assert total is not None and total.standing is Standing.CONFIRMED
    floor = noise.floor(segment)
    assert floor is not None and floor.across_seeds and floor.degrees >= 4
    assert subjects(workspace) == before
    check_settled(workspace)
    assert plan(segment, each=3).id != wanted.id


def test_a_verification_that_is_killed_is_finished_by_the_next(tmp_path: Path, quick: None) -> None:
    workspace = make(tmp_path / "work", NOISY)
    better(workspace, "DEPTH=6")
    process = start(workspace, "--experiments", "1", seconds=0)
    process.communicate()
    wanted = plan(History.of(workspace).segment, each=2)
    source = History.of(workspace).train_of(experiments(workspace)[0])
    assert source is not None
    folder = workspace.run_folder(1).repeat(1)
    folder.path.mkdir(parents=True)
    folder.train.write_text(source.replace("SEED = 1", "SEED = 1001"))
    workspace.train.write_text(source.replace("SEED = 1", "SEED = 1001"))
    head = git(workspace.root, "rev-parse", "HEAD")
    flight = journal.InFlight(
        id="x", run=1, phase=journal.Phase.RUNNING, parent=head, commit=head, description="run 1 again, seed 1001",
        source="verify", repeat=Repeat(run=1, seed=1001, verification=wanted.id), folder="0001/repeats/01",
    )  # fmt: skip
    journal.save(workspace, flight)
    assert run_engine(workspace, verification=lambda _: wanted, waits_on_trouble=False) == "verified"

    assert [(each.run, each.seed) for each in History.of(workspace).segment.repeats] == [
        (1, 1001), (2, 1001), (1, 1002), (2, 1002),
    ]  # fmt: skip
    assert list(workspace.rescued.glob("*.patch")) == []
    check_settled(workspace)


def test_a_change_is_taken_out_alone(tmp_path: Path, quick: None) -> None:
    workspace = make(tmp_path / "work", NOISY)
    better(workspace, "DEPTH=6", "MATRIX_LR=0.09")
    history = History.of(workspace)
    assert "DEPTH = 4 " in ablation.without(history, 2) and "MATRIX_LR = 0.09" in ablation.without(history, 2)
    wanted = plan(history.segment, without=(2, 3), each=3)
    run_engine(workspace, verification=lambda _: wanted, waits_on_trouble=False)

    segment = History.of(workspace).segment
    assert len([each for each in segment.repeats if each.without == 2]) == 3
    assert {each.without for each in segment.repeats} == {None, 2, 3}
    check_settled(workspace)


def test_code_is_taken_out_by_a_merge_and_what_others_build_on_is_not(tmp_path: Path) -> None:
    workspace = begun(tmp_path / "work")
    for number, (old, new) in enumerate(
        [("time.sleep(", "pause = 0\ntime.sleep(pause + "), ("DEPTH = 4", "DEPTH = 5"), ("DEPTH = 5", "DEPTH = 6")], 1
    ):
        workspace.train.write_text(workspace.train.read_text().replace(old, new))
        git(workspace.root, "commit", "--quiet", "-am", f"change {number}")
        assert run(workspace, "--experiments", str(number), seconds=0).returncode == 0
    history = History.of(workspace)
    taken = ablation.without(history, 2)
    assert "pause" not in taken and "DEPTH = 6" in taken
    with pytest.raises(ablation.NotAloneError, match="changed again later"):
        ablation.without(history, 3)


def test_a_person_has_a_run_repeated(tmp_path: Path) -> None:
    workspace = make(tmp_path / "work", NOISY)
    better(workspace, "DEPTH=6")
    commands.send(workspace, commands.Enqueue(text="re-run 1"))
    commands.send(workspace, commands.Enqueue(text="re-run 77"))
    commands.send(workspace, commands.Enqueue(text="MATRIX_LR=0.09"))
    assert run(workspace, "--experiments", "2", seconds=0).returncode == 0

    assert [(each.run, each.seed, each.verification) for each in History.of(workspace).segment.repeats] == [
        (1, 1001, "")
    ]
    taken = [event for event in EventFollower(workspace.events) if isinstance(event, events.IdeaTaken)][-3:]
    assert [(each.run, bool(each.problem)) for each in taken] == [(1, False), (None, True), (3, False)]
    check_settled(workspace)


def test_a_repeat_that_was_skipped_skips_no_later_one(tmp_path: Path) -> None:
    workspace = make(tmp_path / "work", NOISY)
    better(workspace, "DEPTH=6")
    for _ in range(2):
        commands.send(workspace, commands.Enqueue(text="re-run 1"))
    process = start(workspace, "--experiments", "2", seconds=2)
    until(workspace.run_folder(1).repeat(1).log.exists, "the repeat")
    commands.send(workspace, commands.Skip(run=1))
    _, said = process.communicate()

    repeats = History.of(workspace).segment.repeats
    assert [each.metric is None for each in repeats] == [True, False]
    assert f"run 1 again: {repeats[1].metric:.6f}" in said
    check_settled(workspace)


def test_a_baseline_is_repeated_before_the_night_and_its_line_holds_every_run(tmp_path: Path) -> None:
    workspace = make(tmp_path / "work", NOISY)
    policy(workspace, baseline_repeats=3)
    assert run(workspace, "--experiments", "1", seconds=0).returncode == 0

    baseline = experiments(workspace)[0]
    assert len(set(baseline.repeats)) == 3 and baseline.seeds == (None, 1001, 1002)
    assert baseline.metric == pytest.approx(sum(baseline.repeats) / 3)
    floor = noise.floor(History.of(workspace).segment)
    assert floor is not None and floor.is_noise and floor.degrees == 2
    check_settled(workspace)


def test_policy_confirm_repeats_a_small_gain_before_the_incumbent_moves(tmp_path: Path) -> None:
    workspace = make(tmp_path / "work", NOISY)
    policy(workspace, baseline_repeats=3, confirm=True)
    assert run(workspace, "--experiments", "0", seconds=0).returncode == 0
    commands.send(workspace, commands.Enqueue(text="WARMUP_RATIO=0.105"))
    commands.send(workspace, commands.Enqueue(text="DEPTH=6, MATRIX_LR=0.1, WARMUP_RATIO=0.3"))
    assert run(workspace, "--experiments", "2", seconds=0).returncode == 0

    small, large = experiments(workspace)[1:]
    floor = noise.floor(ledger.read(workspace.ledger).segments[-1])
    assert floor is not None
    assert len(small.repeats) == (2 if small.repeats else 0)
    assert large.repeats == () and large.status == "keep"
    check_settled(workspace)


def test_a_run_of_a_repeat_is_adopted(tmp_path: Path) -> None:
    workspace = make(tmp_path / "work", NOISY)
    policy(workspace, baseline_repeats=2)
    process = start(workspace, "--experiments", "0", seconds=2)
    until(workspace.run_folder(1).repeat(1).log.exists, "the repeat")
    until(lambda: len(living_runs_of(workspace)) > 1, "its process")
    process.kill()
    process.communicate()
    assert run(workspace, "--experiments", "0", seconds=0).returncode == 0

    (baseline,) = experiments(workspace)
    assert len(baseline.repeats) == 2
    adopted = [each for each in EventFollower(workspace.events) if isinstance(each, events.RunStarted) and each.adopted]
    assert "0001/repeats/01" in [each.folder for each in adopted]
    check_settled(workspace)


def test_a_repeat_is_recorded_once(tmp_path: Path) -> None:
    workspace = make(tmp_path / "work")
    book = LedgerFile(workspace)
    repeat = book.append_repeat(Repeat(run=1, metric=1.0, id="same"))
    assert book.append_repeat(msgspec.structs.replace(repeat, metric=2.0)) == repeat


def test_verify_prints_its_cost_each_run_and_what_the_gain_is_worth(tmp_path: Path) -> None:
    workspace = make(tmp_path / "work", NOISY)
    better(workspace, "DEPTH=6", "MATRIX_LR=0.09")
    done = program("verify", str(workspace.root), "--each", "3", "--ablate")

    assert done.returncode == 0, done.stderr
    assert "12 runs left" in done.stderr
    said = done.stdout.splitlines()
    assert len([line for line in said if "seed 100" in line]) == 12
    assert next(line for line in said if line.startswith("gain ")).find("confirmed") > 0
    assert len([line for line in said if line.startswith("the fresh runs' gain +") and line.endswith("] at 95%")]) == 1
    assert sum(line.startswith("without run ") for line in said) == 2
    assert "noise floor: sd" in done.stdout
    check_settled(workspace)


def test_verify_has_nothing_to_say_before_a_baseline(tmp_path: Path) -> None:
    workspace = make(tmp_path / "work")
    done = program("verify", str(workspace.root))
    assert done.returncode == 2
    assert "run the loop first" in done.stderr and len(done.stderr.splitlines()) == 1


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *arguments], env=environment(0), capture_output=True, text=True, timeout=120, check=False
    )
