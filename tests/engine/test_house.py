"""The import contract, at run time: a deferred import must stay deferred. And whatever is imported is declared."""

import ast
import itertools
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OPTIONAL = {"kernels"}
"""What train.py takes where it is there; the workspace's pyproject.toml names it."""

ENGINE_MODULES = """
import importlib, pkgutil, engine
for module in pkgutil.walk_packages(engine.__path__, "engine."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def loaded_by(code: str) -> set[str]:
    """The modules that a program has loaded in the end."""
    code += "\nimport sys; print(sorted(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return set(ast.literal_eval(said))


def test_importing_all_of_the_engine_loads_neither_the_screen_nor_the_model() -> None:
    loaded = loaded_by(ENGINE_MODULES)
    assert "engine" in loaded
    assert not loaded & {"textual", "torch", "tui", "training", "plotext"}


def test_what_only_some_sessions_need_is_not_loaded_with_the_loop() -> None:
    loaded = loaded_by("import tui.cli, engine.loop")
    assert "engine.proposers.search" in loaded
    assert not loaded & {"optuna", "numpy", "cmaes", "markdown_it", "apprise", "rich", "textual"}


@pytest.mark.parametrize("command", [["--help"], ["status", "/nowhere"], ["metrics"]])
def test_a_command_without_a_screen_loads_no_textual(command: list[str]) -> None:
    code = f"""
import sys
sys.argv = ["autoresearch-tui", *{command!r}]
import tui.cli
try:
    tui.cli.main()
except SystemExit:
    pass
assert "textual" not in sys.modules and "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, check=True, capture_output=True)


def test_every_package_that_is_imported_is_named_in_pyproject() -> None:
    """One that comes with another today may not tomorrow."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = (lines for name, lines in project["optional-dependencies"].items() if name != "dev")
    lines = itertools.chain(project["dependencies"], *extras)
    named = {_normal(re.split(r"[<>=]", line)[0]) for line in lines}
    imported = {
        name.split(".")[0]
        for room in ("engine", "tui", "training")
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in _imports(node)
    }
    foreign = imported - sys.stdlib_module_names - OPTIONAL - {"engine", "tui", "training", "prepare"}
    owners = packages_distributions()
    missing = {name for name in foreign if not named & {_normal(each) for each in (name, *owners.get(name, ()))}}
    assert len(foreign) > 10 and not missing


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []


def _normal(name: str) -> str:
    return name.lower().replace("_", "-")
