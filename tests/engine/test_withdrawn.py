"""An idea that a person takes back while a proposer works on it."""

from pathlib import Path

from engine import commands, events
from engine.events import EventFollower
from tests.engine.workspaces import check_settled, experiments, git, make, start, until

SLOW_AT_IDEAS = """\
grep -q 'sleepy words' "$1" && sleep 60
sed -i "s/^MATRIX_LR = .*/MATRIX_LR = 0.0$(date +%s%N)/" train.py
"""


def test_it_is_let_go_of_at_once_and_what_comes_next_is_the_proposers_own(tmp_path: Path) -> None:
    workspace = make(tmp_path / "work")
    script = tmp_path / "slow.sh"
    script.write_text(SLOW_AT_IDEAS)
    before, table, after = workspace.settings.read_text().partition("[command]")
    ours = f'command = ["sh", "{script}", "{{context}}"]'
    workspace.settings.write_text(before + table + after.replace("command = []", ours, 1))
    git(workspace.root, "commit", "--quiet", "--amend", "--no-edit", "-a")

    def seen(kind: type[events.Event]) -> list[events.AnyEvent]:
        return [event for event in EventFollower(workspace.events) if isinstance(event, kind)]

    process = start(workspace, "--experiments", "1", "--proposer", "command", seconds=1.0)
    until(lambda: seen(events.RunStarted), "the baseline")
    idea = commands.send(workspace, commands.Enqueue(text="sleepy words"))
    proposing = [("proposing", 1), ("proposing", 2)]
    until(
        lambda: (
            [(each.phase, each.run) for each in seen(events.PhaseChanged) if each.phase == "proposing"] == proposing
            and workspace.proposing.exists()
        ),
        "the idea's turn",
    )
    commands.send(workspace, commands.Unqueue(idea=idea))
    process.communicate(timeout=40)

    (failed,) = seen(events.ProposalFailed)
    assert "taken out of the queue" in failed.problem
    assert [each.source for each in experiments(workspace)] == ["baseline", "command"]
    assert seen(events.IdeaWithdrawn) and not seen(events.IdeaTaken)
    check_settled(workspace)
