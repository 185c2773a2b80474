"""What a person types as an idea becomes a candidate, or one sentence that says why not."""

from contextlib import suppress
from pathlib import Path

import pytest

from engine import knobs, patch
from engine.knobs import Value
from engine.proposers import NothingToProposeError, Proposal, ideas

TRAIN = """MATRIX_LR = 0.04  # of the matrices
DEPTH = 4
TOTAL = 2**14
BETAS = (0.8, 0.95)
PATTERN = "SSSL"
FAST = True
"""


def propose(idea: str, incumbent: str, root: Path = Path()) -> Proposal:
    return ideas.propose(idea, incumbent, root)


def changed(idea: str) -> dict[str, Value | None]:
    return {name: after for name, (_, after) in knobs.differences(TRAIN, propose(idea, TRAIN).train).items()}


@pytest.mark.parametrize(
    ("idea", "values"),
    [
        ("MATRIX_LR=0.05", {"MATRIX_LR": 0.05}),
        ("  MATRIX_LR  =  5e-2  ", {"MATRIX_LR": 0.05}),
        ("MATRIX_LR=1", {"MATRIX_LR": 1.0}),
        ("MATRIX_LR=0.05, DEPTH=3", {"MATRIX_LR": 0.05, "DEPTH": 3}),
        ("MATRIX_LR=0.05 DEPTH=3", {"MATRIX_LR": 0.05, "DEPTH": 3}),
        ("MATRIX_LR=0.05;DEPTH=3", {"MATRIX_LR": 0.05, "DEPTH": 3}),
        ("MATRIX_LR=0.05\nDEPTH=3", {"MATRIX_LR": 0.05, "DEPTH": 3}),
        ("BETAS=(0.9, 0.99), DEPTH=3", {"BETAS": (0.9, 0.99), "DEPTH": 3}),
        ("BETAS=(1, 0.99)", {"BETAS": (1.0, 0.99)}),
        ("PATTERN=SSL", {"PATTERN": "SSL"}),
        ("PATTERN='SSL'", {"PATTERN": "SSL"}),
        ("FAST=False", {"FAST": False}),
        ("TOTAL=2**13", {"TOTAL": 8192}),
        ("DEPTH=3, MATRIX_LR=0.04", {"DEPTH": 3}),
    ],
)
def test_knobs_are_set_to_the_values_that_were_typed(idea: str, values: dict[str, Value]) -> None:
    got = changed(idea)
    assert got == values
    assert {name: type(value) for name, value in got.items()} == {name: type(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("idea", "problem"),
    [
        ("try a smaller model", "can't read prose"),
        ("", "can't read prose"),
        ("depth=3", "can't read prose"),
        ("DEPTH", "can't read prose"),
        ("WIDTH=3", "no knob WIDTH"),
        ("DEPTH=3, WIDTH=4", "no knob WIDTH"),
        ("DEPTH=3.5", "no value of that kind"),
        ("DEPTH=deep", "no value of that kind"),
        ("DEPTH=True", "no value of that kind"),
        ("DEPTH=__import__('os')", "no value of that kind"),
        ("FAST=1", "no value of that kind"),
        ("MATRIX_LR='a'", "no value of that kind"),
        ("MATRIX_LR=1e999", "no value of that kind"),
        ("MATRIX_LR=nan", "no value of that kind"),
        ("BETAS=0.9", "no value of that kind"),
        ("BETAS=(0.9,)", "no value of that kind"),
        ("BETAS=(0.9, None)", "no value of that kind"),
        ("BETAS=('a', 'b')", "no value of that kind"),
        ("PATTERN=3", "no value of that kind"),
        ("DEPTH=4", "has these values already"),
        ("DEPTH=4, MATRIX_LR=4e-2", "has these values already"),
    ],
)
def test_an_idea_that_cannot_be_tried_says_why_in_one_sentence(idea: str, problem: str) -> None:
    with pytest.raises(NothingToProposeError) as refused:
        propose(idea, TRAIN)
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


def test_nothing_but_the_values_changes() -> None:
    assert propose("MATRIX_LR=0.05", TRAIN).train == TRAIN.replace("0.04", "0.05")


def test_the_proposal_says_whose_idea_it_is_and_what_changes() -> None:
    proposal = propose("MATRIX_LR=0.05, DEPTH=3", TRAIN)
    assert proposal.source == "queue"
    assert proposal.description == "MATRIX_LR 0.04 → 0.05, DEPTH 4 → 3"
    assert proposal.asi == {
        "hypothesis": "a person's idea: MATRIX_LR=0.05, DEPTH=3",
        "arch_change": "MATRIX_LR 0.04 → 0.05, DEPTH 4 → 3",
    }


def test_a_patch_is_applied_to_the_incumbent_also_where_other_lines_moved_on(tmp_path: Path) -> None:
    edit = patch.unified(TRAIN, TRAIN.replace("DEPTH = 4", "DEPTH = 6"), "train.py")
    (tmp_path / "mine.patch").write_text(edit)
    moved_on = TRAIN + "\n\nprint('the incumbent has grown since')\n"
    proposal = propose("mine.patch", moved_on, tmp_path)

    assert proposal.train == moved_on.replace("DEPTH = 4", "DEPTH = 6")
    assert proposal.description == "DEPTH 4 → 6"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "can't be read"),
        ("not a patch", "is no experiment"),
        ("--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-x\n+y\n", "does not fit"),
    ],
)
def test_a_patch_that_is_none_says_so(tmp_path: Path, content: str | None, problem: str) -> None:
    if content is not None:
        (tmp_path / "mine.patch").write_text(content)
    with pytest.raises(NothingToProposeError, match=problem):
        propose("mine.patch", TRAIN, tmp_path)


def test_a_patch_reaches_no_other_file(tmp_path: Path) -> None:
    edit = patch.unified("a\n", "b\n", "../outside.txt") + patch.unified(TRAIN, TRAIN + "# mine\n", "train.py")
    (tmp_path / "outside.txt").write_text("a\n")
    (tmp_path / "mine.patch").write_text(edit)
    with suppress(NothingToProposeError):
        assert propose("mine.patch", TRAIN, tmp_path).train == TRAIN + "# mine\n"
    assert (tmp_path / "outside.txt").read_text() == "a\n"
