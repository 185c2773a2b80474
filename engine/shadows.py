"""Files that Python would import in place of what train.py means: who leaves one behind decides the later runs."""

import ast
import sys
from pathlib import Path

from engine.workspace import PREPARE, TRAIN, Workspace

SUFFIXES = (".py", ".pyc", ".so")
OFTEN_USED = {"code", "profile", "test", "this"}
"""Modules of the standard library that nothing in a training run imports, and that people call their scratch files."""
CACHE = "__pycache__"


def shadows(workspace: Workspace) -> set[Path]:
    """What lies beside train.py under the name of a module that it, prepare.py or the standard library's users import.

    Their own files are none. A person's modules of other names are the person's, and so are some that people do use.
    """
    meant = {PREPARE.removesuffix(".py"), *sys.stdlib_module_names} - OFTEN_USED
    for source in (workspace.prepare, workspace.train):
        meant |= _imports(source)
    return {
        path
        for path in workspace.root.iterdir()
        if path.name not in (PREPARE, TRAIN) and path.name.split(".")[0] in meant and _can_be_imported(path)
    }


def forget_compiled(workspace: Workspace) -> None:
    """Remove what Python compiled of prepare.py: it is taken for the source's by time and size alone."""
    for path in (workspace.root / CACHE).glob(f"{PREPARE.removesuffix('.py')}.*.pyc"):
        path.unlink(missing_ok=True)


def _can_be_imported(path: Path) -> bool:
    return path.suffix in SUFFIXES or (path.is_dir() and any(path.glob("__init__.*")))


def _imports(source: Path) -> set[str]:
    try:
        tree = ast.parse(source.read_bytes() if source.is_file() else b"")
    except (SyntaxError, ValueError, RecursionError):
        return set()
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names
