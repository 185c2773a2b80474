"""Profiles are values for constants that exist, and train.py's constants are plain literals: knobs for a search."""

import ast
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROFILES = sorted((ROOT / "assets" / "profiles").glob("*.toml"))


def assignments(name: str) -> dict[str, ast.expr]:
    """ALL_CAPS names at the top level of training/`name`.py, with what is assigned to them."""
    tree = ast.parse((ROOT / "training" / f"{name}.py").read_text(encoding="utf-8"))
    return {
        target.id: statement.value
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name) and target.id.isupper()
    }


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_a_profile_sets_only_constants_that_exist(profile: Path) -> None:
    tables: dict[str, dict[str, Any]] = tomllib.loads(profile.read_text(encoding="utf-8"))
    for name in ("prepare", "train"):
        assert set(tables[name]) <= set(assignments(name))


def test_the_constants_of_train_are_plain_literals_in_one_block() -> None:
    tree = ast.parse((ROOT / "training" / "train.py").read_text(encoding="utf-8"))
    constants = assignments("train")
    for name, value in constants.items():
        literal = ast.literal_eval(value)
        assert isinstance(literal, int | float | str | tuple), name
    places = [index for index, statement in enumerate(tree.body) if isinstance(statement, ast.Assign)]
    assert places[: len(constants)] == list(range(places[0], places[0] + len(constants)))


def test_the_missions_constants_have_their_values() -> None:
    constants = assignments("prepare")
    assert ast.literal_eval(constants["MAX_SEQ_LEN"]) == 2048
    assert ast.literal_eval(constants["TIME_BUDGET"]) == 300
    assert ast.unparse(constants["EVAL_TOKENS"]) == "40 * 524288"
    assert ast.literal_eval(constants["VOCAB_SIZE"]) == 8192
    assert ast.literal_eval(constants["MAX_SHARD"]) == 6542


@pytest.mark.parametrize("name", ["prepare", "train"])
def test_the_template_stands_alone(name: str) -> None:
    tree = ast.parse((ROOT / "training" / f"{name}.py").read_text(encoding="utf-8"))
    modules = {
        alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    modules |= {str(node.module).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not modules & {"engine", "tui", "textual", "pickle", "requests"}
