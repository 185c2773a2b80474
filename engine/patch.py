"""A change to one file as text: the patch that people and `git apply` read, made, applied and measured."""

import ast
import difflib
import io
import re
import tempfile
import tokenize
from dataclasses import dataclass
from pathlib import Path

from git import Git
from git.exc import GitCommandError

NO_NEWLINE = "\\ No newline at end of file\n"


def unified(before: str, after: str, path: str) -> str:
    """The unified diff between two versions of ``path``, in git's form; empty where they are the same."""
    lines = difflib.unified_diff(_lines(before), _lines(after), f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n{NO_NEWLINE}" for line in lines)


def _lines(text: str) -> list[str]:
    """As git sees them: only a newline ends one, no form feed and no lone carriage return."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def apply(before: str, patch: str, path: str) -> str:
    """``before`` with a patch to ``path`` applied, as `git apply` does it. Raises ValueError where it does not fit."""
    with tempfile.TemporaryDirectory(prefix="autoresearch-") as directory:
        target = Path(directory) / path
        target.write_bytes(before.encode())
        (Path(directory) / "patch").write_bytes(patch.encode())
        try:
            Git(directory).execute(["git", "apply", f"--include={path}", "patch"])
        except GitCommandError as error:
            raise ValueError(f"the patch does not fit {path} as it is now") from error
        return target.read_bytes().decode("utf-8")


@dataclass(frozen=True)
class Size:
    """How much code there is, comments, docstrings and blank lines not counted."""

    lines: int
    nodes: int
    """Nodes of the syntax tree, so that two statements on one line are no simplification."""

    def __sub__(self, other: "Size") -> "Size":
        return Size(self.lines - other.lines, self.nodes - other.nodes)

    @property
    def simpler(self) -> bool:
        """Of a difference: fewer nodes on no more lines; fewer lines alone is another layout."""
        return self.lines <= 0 and self.nodes < 0


NOTHING = Size(0, 0)


def size_of(source: str) -> Size:
    """The size of a Python file. Raises SyntaxError."""
    tree = ast.parse(source)
    prose = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and _is_text(node.value)]
    code = {
        number
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in _NO_CODE
        for number in range(token.start[0], token.end[0] + 1)
    }
    for node in prose:
        code -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return Size(lines=len(code), nodes=sum(1 for _ in ast.walk(tree)) - 2 * len(prose))


def _is_text(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


_NO_CODE = frozenset(
    {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
        tokenize.ENCODING,
    }
)
