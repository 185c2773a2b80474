"""What `verify` prints in the end."""

from pathlib import Path

from engine.ledger import Config, Experiment, LedgerFile, Repeat
from engine.workspace import Workspace
from tui.verifying import Verifying


def test_the_interval_of_a_gain_is_printed_though_it_confirms_nothing(tmp_path: Path) -> None:
    workspace = Workspace.at(tmp_path)
    workspace.state.mkdir()
    file = LedgerFile(workspace)
    file.open_segment(Config())
    file.append(Experiment(run=1, metric=1.0, status="keep", id="a"))
    file.append(Experiment(run=2, metric=0.9, status="keep", id="b"))
    for number, (run, metric) in enumerate([(1, 1.0), (2, 0.95), (1, 0.9), (2, 1.05)]):
        file.append_repeat(
            Repeat(run=run, metric=metric, seed=1001 + number // 2, verification="1-2-1x2", id=f"r{number}")
        )
    said = Verifying(workspace, each=2, ablate=False).report().splitlines()
    assert said[2].startswith("the fresh runs' gain -0.0500 [-") and said[2].endswith("] at 95%")
    assert said[3].startswith("gain +0.100000 in the ledger: unproven, ")
