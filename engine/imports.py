"""What a candidate's train.py may import: nothing that the workspace did not have when the session began (DESIGN §7).

It is read, never run, so whoever wants to hide an import can (``exec``, a name put together at run time). What it
catches is the honest mistake, before it costs a run: the package is not there, or would not be in the next session.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from typing import Any

from engine.workspace import PREPARE, PYPROJECT

OWN = PREPARE.removesuffix(".py")
REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
INSTALL = re.compile(r"\b(?:pip[0-9.]*|uv|conda|mamba)\s+(?:install|add|sync)\b")
OTHER_NAMES = {
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "pynvml": "nvidia-ml-py",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Packages that go by another name than their distribution, for those that are not installed in our own Python."""


def violations(train: str, *, incumbent: str, prepare: str, pyproject: str) -> tuple[str, ...]:
    """What is wrong with a candidate's imports, in words; all the arguments are sources.

    Besides the standard library it may import ``prepare``, what the incumbent and prepare.py import already, and what
    pyproject.toml names. A source that is not valid Python is nobody's violation: it will not run.
    """
    found = _read(train)
    if found is None:
        return ()
    known = {OWN, *sys.stdlib_module_names}
    required = _required(pyproject)
    before = [each for source in (incumbent, prepare) if (each := _read(source)) is not None]
    for each in before:
        known |= each.imports
    foreign = sorted(name for name in found.imports - known if not _provides(name) & required)
    installs = sorted(found.installs.difference(*(each.installs for each in before)))
    return (
        *(f"train.py imports {name}, which {PYPROJECT} does not name: no package is added" for name in foreign),
        *(f"train.py installs packages ({each!r}): no package is added" for each in installs),
    )


class _Found(ast.NodeVisitor):
    """The top-level names that a source imports, and the commands in it that install something."""

    def __init__(self) -> None:
        self.imports: set[str] = set()
        self.installs: set[str] = set()

    def visit_Import(self, node: ast.Import) -> None:
        self.imports.update(_top(alias.name) for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.module and not node.level:
            self.imports.add(_top(node.module))

    def visit_Call(self, node: ast.Call) -> None:
        match node:
            case ast.Call(
                func=ast.Name(id=name) | ast.Attribute(attr=name), args=[ast.Constant(value=str(module)), *_]
            ) if name in ("__import__", "import_module") and not module.startswith("."):
                self.imports.add(_top(module))
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring may say what it likes
            self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._look_for_install(node.value)

    def visit_List(self, node: ast.List) -> None:
        self._visit_words(node)

    def visit_Tuple(self, node: ast.Tuple) -> None:
        self._visit_words(node)

    def _visit_words(self, node: ast.List | ast.Tuple) -> None:
        words = [each.value for each in node.elts if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        self._look_for_install(" ".join(words))
        self.generic_visit(node)

    def _look_for_install(self, text: str) -> None:
        if found := INSTALL.search(text):
            self.installs.add(found[0])


def _read(source: str) -> _Found | None:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
    found = _Found()
    try:
        found.visit(tree)
    except RecursionError:
        return None
    return found


def _top(module: str) -> str:
    return module.split(".", 1)[0]


def _required(pyproject: str) -> set[str]:
    """The distributions that pyproject.toml names, extras and groups included."""
    try:
        stated = tomllib.loads(pyproject)
    except tomllib.TOMLDecodeError:
        return set()
    return {_normal(name[1]) for each in _requirements(stated) if (name := REQUIREMENT.match(each))}


def _requirements(stated: dict[str, Any]) -> Iterator[str]:
    project = _table(stated, "project")
    lists = [
        project.get("dependencies"),
        *_table(project, "optional-dependencies").values(),
        *_table(stated, "dependency-groups").values(),
        _table(_table(stated, "tool"), "uv").get("dev-dependencies"),
    ]
    for each in lists:
        if isinstance(each, list):
            yield from (requirement for requirement in each if isinstance(requirement, str))


def _table(parent: dict[str, Any], name: str) -> dict[str, Any]:
    found = parent.get(name)
    return found if isinstance(found, dict) else {}


def _provides(module: str) -> set[str]:
    """The distributions that a module may come from, as far as its name and our own Python tell."""
    names = {module, *_installed().get(module, ())}
    if module in OTHER_NAMES:
        names.add(OTHER_NAMES[module])
    return {_normal(name) for name in names}


@cache
def _installed() -> dict[str, list[str]]:
    """Which distributions each module belongs to; reading them all takes half a second, once."""
    return dict(metadata.packages_distributions())


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
