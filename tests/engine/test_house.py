"""The import contract, at run time: a deferred import must stay deferred."""

import subprocess
import sys

import pytest

ENGINE_MODULES = """
import importlib, pkgutil, engine, sys
for module in pkgutil.walk_packages(engine.__path__, "engine."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(sorted({name.split(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize("forbidden", ["textual", "torch", "tui", "training", "plotext"])
def test_importing_all_of_the_engine_loads_neither_the_screen_nor_the_model(forbidden: str) -> None:
    loaded = subprocess.run([sys.executable, "-c", ENGINE_MODULES], capture_output=True, text=True, check=True).stdout
    assert f"'{forbidden}'" not in loaded


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
