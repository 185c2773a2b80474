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
INSTALL = re.compile(r"\b(pip[0-9.]*|uv|conda|mamba)\s+(?:-\S+\s+)*(?:pip\s+)?(install|add|sync)\b")
INSTALLERS = frozenset({"ensurepip"})
RUNNERS = frozenset(
    {"run", "Popen", "call", "check_call", "check_output", "system", "popen", "getoutput", "getstatusoutput", "main"}
    | {"execv", "execve", "execvp", "execl", "execlp", "spawnv", "spawnvp", "posix_spawn", "create_subprocess_exec"}
    | {"create_subprocess_shell"}
)
"""Functions that run a command."""
COMES_WITH = {"torch": {"triton", "typing_extensions"}}
"""What a package brings along on a GPU machine; our own Python's copy may be another build."""
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
    known = {OWN, *sys.stdlib_module_names} - INSTALLERS
    required = _with_theirs(_required(pyproject))
    for name in required:
        known |= COMES_WITH.get(name, set())
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

    def visit_If(self, node: ast.If) -> None:
        if _named(node.test) == "TYPE_CHECKING":
            for each in node.orelse:
                self.visit(each)
        else:
            self.generic_visit(node)

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
        if _named(node.func) in RUNNERS:
            words = (each.value for each in ast.walk(node) if isinstance(each, ast.Constant))
            self._look_for_install(" ".join(word for word in words if isinstance(word, str)))
        self.generic_visit(node)

    def _look_for_install(self, command: str) -> None:
        """In the words of a command; a message that speaks of installing installs nothing."""
        if found := INSTALL.search(command):
            self.installs.add(" ".join(found.groups()))


def _named(node: ast.expr | None) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


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


def _with_theirs(named: set[str]) -> set[str]:
    """Distributions with all that they require in turn, as far as they are installed here."""
    found: set[str] = set()
    waiting = set(named)
    while waiting:
        name = waiting.pop()
        found.add(name)
        try:
            required = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        plain = (each for each in required if "extra ==" not in each)
        waiting |= {_normal(match[1]) for each in plain if (match := REQUIREMENT.match(each))} - found
    return found


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
