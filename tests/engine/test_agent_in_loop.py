"""An ACP agent as the proposer of a real engine: a whole night of it, with everything that agents do."""

from itertools import pairwise
from pathlib import Path

import pytest

from engine import commands, events
from engine.ledger import Experiment
from engine.proposers.voice import MOST_SAID
from tests.engine.nights import Night, set_up
from tests.engine.workspaces import experiments

FIRST_ENGINE = [
    (2, "edit 0.05"),
    (3, "nothing"),
    (4, "prepare 0.06"),
    (5, "hang"),
    (6, "behind 0.07"),
    (7, "crash 0.08"),
    (8, "thoughts 0.3"),
    (9, "question"),
    (10, "permission 0.31"),
    (11, "slow"),
    (12, "again"),
    (13, "slip 0.08"),
    (13, "mend 0.08"),
    (14, "broken"),
    (15, "slip 0.5"),
    (15, "slip 0.51"),
    (15, "slip 0.52"),
    (16, "limit"),
    (17, "garbage 0.085"),
    (18, "login"),
]
SECOND_ENGINE = [(18, "expensive 0.09"), (19, "late 0.32"), (20, "only-behind"), (21, "edit 0.095")]

TROUBLE = {
    3: "changed nothing in train.py, and after a reminder too",
    5: "proposed nothing within 40 s",
    7: "exit status 3; its last words: Segmentation fault (no core)",
    9: "changed nothing in train.py, and after a reminder too",
    11: "a person took it away",
    12: "left the train.py of run 10, which was tried already",
    14: "not valid Python: invalid syntax (line 1)",
    16: "429 Too Many Requests",
    18: "needs a login (log in with its own command in a terminal, or name its key in [agent] environment)",
    20: "changed nothing in train.py, and after a reminder too",
}
"""What is said of the agent where nothing came of a proposal; but for the login, the search takes the turn."""


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Night:
    return set_up(tmp_path, monkeypatch, "agent")


@pytest.mark.timeout(900)
def test_a_night_of_twenty_experiments(night: Night) -> None:
    """Whatever the agent does, the next experiment is as if nothing had been."""
    night.sets("agent", limit_seconds=40)
    night.plays(*(line for _, line in FIRST_ENGINE))
    engine = night.start("--experiments", "20")
    night.thinks_of(11, "slow")
    night.send(commands.Skip(run=11))
    _, said = engine.communicate(timeout=400)

    assert engine.returncode == 1
    assert said.splitlines()[-1].startswith("autoresearch-tui: ") and TROUBLE[18] in said.splitlines()[-1]
    assert "Traceback" not in said
    assert len(experiments(night.workspace)) == 17
    night.check_over()

    night.plays(*(line for _, line in SECOND_ENGINE))
    done = night.run("--experiments", "20")
    assert done.returncode == 0, done.stderr
    night.check_over()
    assert night.script.read_text() == ""
    found = {each.run: each for each in experiments(night.workspace)}
    assert list(found) == list(range(1, 22))
    check_who_proposed(night, found)
    check_trouble(night)
    check_mended(night, found)
    check_transcripts(night, found)
    check_conversations(night)


def check_who_proposed(night: Night, found: dict[int, Experiment]) -> None:
    """Each of the agent's has its notes and what it cost."""
    for run, each in found.items():
        assert each.source == ("baseline" if run == 1 else "search" if run in TROUBLE and run != 18 else "agent"), run
        assert each.status == "crash" if run == 15 else each.metric is not None, run
        if each.source == "agent":
            assert each.asi["hypothesis"] == "it learns faster" and each.asi["result"]
            turns = {13: 2, 15: 3, 19: 2}.get(run, 1)
            assert (each.cost["tokens_in"], each.cost["tokens_out"]) == (10 * turns, 2 * turns)
        else:
            assert each.cost == {}
    assert found[18].cost["dollars"] == 0.25
    assert "prepare.py" in found[4].asi["dropped"]
    assert "it changed prepare.py; it made plan.txt" in found[6].asi["dropped"]
    assert "it asked for edit prepare.py" in found[10].asi["dropped"]


def check_trouble(night: Night) -> None:
    """Each is said once and plainly, with what it cost."""
    failed = night.seen(events.ProposalFailed)
    assert len(failed) == len(TROUBLE)
    for (run, problem), each in zip(TROUBLE.items(), failed, strict=True):
        assert problem in each.problem, run
        assert each.problem.startswith("the search takes the turn, for agent made no proposal: ") == (run != 18)
        assert each.problem.isprintable()
        assert each.proposer == "agent"
        if "after a reminder" in problem:
            assert each.cost["tokens_in"] == 20
    assert failed[1].cost["seconds"] >= 40
    assert [each.answer for each in night.seen(events.CommandDone)] == ["taking the proposer's turn away"]
    assert night.seen(events.Rescued) == []
    caught = [each.message for each in night.seen(events.Warned) if "during a proposal" in each.message]
    assert len(caught) == 1 and caught[0].startswith("prepare.py was changed during a proposal: it is as before")


def check_mended(night: Night, found: dict[int, Experiment]) -> None:
    """Under the same number: what crashed is kept beside it, and its notes say so."""
    assert "slip_0_08" in found[13].asi["crash 1, mended"]
    assert [key for key in found[15].asi if key.startswith("crash")] == ["crash 1, mended", "crash 2, mended"]
    assert "slip_0_52" in found[15].asi["result"]
    runs = night.workspace.runs
    kept = [runs / "0013-crashed-1", runs / "0015-crashed-1", runs / "0015-crashed-2"]
    assert [path for path in sorted(runs.iterdir()) if "crashed" in path.name] == kept
    for folder, slip in zip(kept, ("0_08", "0_5", "0_51"), strict=True):
        assert f"slip_{slip}\n" in (folder / "train.py").read_text()
    mending = [each.run for each in night.seen(events.PhaseChanged) if each.phase == "mending"]
    assert mending == [13, 15, 15]


def check_transcripts(night: Night, found: dict[int, Experiment]) -> None:
    """What the agent said is with the run that came of it, or that the search made instead."""
    for run in range(2, 22):
        said = night.transcript(run)
        if run not in (5, 7, 12, 14, 16, 20):
            assert said, run
        words = "".join(each.text for each in said if each.kind == "message")
        assert ("I raised it" in words) == (found[run].source == "agent" and run != 8), run
    assert "Shall I raise the learning rate?" in "".join(each.text for each in night.transcript(9))
    assert "thinking slowly" in "".join(each.text for each in night.transcript(11))
    thoughts = night.workspace.run_folder(8).transcript
    assert MOST_SAID < thoughts.stat().st_size < 10 * MOST_SAID  # and nothing after them
    assert any(each.kind == "refused" and "prepare.py" in each.text for each in night.transcript(4))
    assert any(each.kind == "error" and "npm warn" in each.text for each in night.transcript(17))


def check_conversations(night: Night) -> None:
    """It was asked as the script says, in one conversation until that was over: by a death, an error, or its length."""
    asked = [each for each in night.told if each.behaviour != "reminded"]
    assert [each.behaviour for each in asked] == [line.split()[0] for _, line in FIRST_ENGINE + SECOND_ENGINE]
    ends = [before.behaviour for before, after in pairwise(asked) if before.session != after.session]
    assert ends == ["hang", "crash", "thoughts", "limit", "login", "expensive"]
    is_first = [each.session != before.session for before, each in pairwise(asked)]
    for each, begins in zip(asked, [True, *is_first], strict=True):
        assert ("# The work" in each.text) == begins  # the whole briefing, or what is new
    since = next(each for each in asked if each.behaviour == "permission").text.partition("Experiments since")[2]
    assert "run 9: " in since and "run 7: " not in since
