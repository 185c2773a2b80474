"""What of the cheating corpus needs the template's own prepare.py: each train.py runs, and its record is looked at.

The rest, through the real loop, is in tests/engine/test_cheats.py.
"""

import re
from pathlib import Path

import pytest

from engine import evidence
from engine.evidence import Record
from engine.workspace import RunFolder
from tests.training.conftest import Workspace

SHORT = {"FLOP_BUDGET": 20_000_000_000, "EVAL_TOKENS": 4096}
BEGIN, LOOP, EVALUATE = "    budget = Budget(device)\n", "    while not budget.done:\n", "    val_bpb = evaluate_bpb("


def played(demo: Workspace, folder: Path, *edits: tuple[str, str]) -> tuple[RunFolder, str, float, float]:
    """A run of train.py with these edits: its folder, its stderr, val_bpb and training_seconds as printed."""
    own = Workspace(folder / "workspace", **SHORT)
    own.data.symlink_to(demo.data)
    train = own.folder / "train.py"
    source = train.read_text()
    for before, after in edits:
        assert source.count(before) == 1
        source = source.replace(before, after)
    train.write_text(source)
    run = RunFolder(folder)
    done = own.run("train.py", AUTORESEARCH_RECORD=str(run.record), AUTORESEARCH_RUN_ID="me")
    printed = dict(re.findall(r"^(\w+): +([0-9.]+)$", done.stdout, re.MULTILINE))
    return run, done.stderr, float(printed.get("val_bpb", 0)), float(printed.get("training_seconds", 0))


@pytest.fixture(scope="module")
def baseline(demo: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Record:
    run, said, val_bpb, seconds = played(demo, tmp_path_factory.mktemp("baseline"))
    assert said == ""
    record = evidence.read(run)
    assert evidence.disagreement(run, "me", val_bpb, baseline=record, training_seconds=seconds) == ""
    return record


@pytest.mark.parametrize(
    ("edits", "found"),
    [
        ([(BEGIN, BEGIN + "    import prepare\n    prepare.FLOP_BUDGET *= 2\n")], "the budget was set to 4e+10 FLOPs"),
        (
            [(LOOP, LOOP + "        budget.flops = 0 if step < 8 else budget.flops\n")],
            "and the budget is 2e+10 FLOPs",
        ),
        ([(EVALUATE, "    tokenizer.token_bytes *= 2\n" + EVALUATE)], "bytes of text, and the baseline's on"),
        (
            [(EVALUATE, "    import prepare\n    prepare.EVAL_TOKENS = 1024\n" + EVALUATE)],
            "1024 tokens, and the baseline's on 4096",
        ),
        (
            [(EVALUATE, "    import prepare\n    prepare.MAX_SHARD = 0\n" + EVALUATE)],
            "and the baseline's on",
        ),
        ([(EVALUATE, "    evaluate_bpb(compiled, tokenizer, 4, device)\n" + EVALUATE)], "asked 2 times"),
    ],
)
def test_a_run_of_the_template_that_cheats_is_found_out(
    demo: Workspace, baseline: Record, tmp_path: Path, edits: list[tuple[str, str]], found: str
) -> None:
    run, said, val_bpb, seconds = played(demo, tmp_path, *edits)
    assert said == ""
    assert found in evidence.disagreement(run, "me", val_bpb, baseline=baseline, training_seconds=seconds)


def test_a_model_that_looks_ahead_gets_no_figure(demo: Workspace, tmp_path: Path) -> None:
    peeking = "evaluate_bpb(lambda tokens: 20.0 * F.one_hot(tokens.roll(-1, 1), 2048).float(), "
    run, said, val_bpb, _ = played(demo, tmp_path, ("evaluate_bpb(compiled, ", peeking))
    assert "the model looks ahead" in said
    assert val_bpb == 0 and not run.record.exists()


def test_known_training_on_the_validation_text_is_not_found_out(
    demo: Workspace, baseline: Record, tmp_path: Path
) -> None:
    """The evaluator must be able to read it, and runs with train.py's rights."""
    stolen = "    import prepare\n    prepare.training_shards = lambda: [prepare.shard_path(1)]\n"
    run, _, val_bpb, seconds = played(demo, tmp_path, (BEGIN, BEGIN + stolen))
    assert evidence.disagreement(run, "me", val_bpb, baseline=baseline, training_seconds=seconds) == ""
