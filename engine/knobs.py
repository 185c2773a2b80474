"""The knobs of a Python file: every ``ALL_CAPS = literal`` at its top level, read and set by name.

Setting one changes its literal and not a character besides.
"""

import ast
import math
import operator
import re
from collections.abc import Iterator, Mapping

Scalar = bool | int | float | str
Value = Scalar | tuple[Scalar, ...]

_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_ARITHMETIC = {
    ast.Mult: operator.mul,
    ast.Pow: operator.pow,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv,
}
LARGEST_EXPONENT = 64
LARGEST_WHOLE = 10**1000
"""A whole number from here on is no knob: Python refuses to write out very long ones."""


def read(source: str) -> dict[str, Value]:
    """The knobs of a file with their values, in order. Raises SyntaxError where it is no Python.

    Arithmetic on numbers (``2**19``) counts as a literal; None, nested literals and what is infinite are no knobs.
    """
    return {name: value for name, node in _assignments(source) if (value := _value(node)) is not None}


def replace(source: str, values: Mapping[str, Value]) -> str:
    """The file with these knobs set. Raises KeyError for a name that is no top-level assignment in it.

    Of several assignments to one name the last is set: it is the one that counts.
    """
    nodes = dict(_assignments(source))
    if missing := set(values) - set(nodes):
        raise KeyError(", ".join(sorted(missing)))
    text = source.encode()
    starts = [0, *(match.end() for match in _LINE_END.finditer(text))]
    edits = sorted((*_span(nodes[name], starts), repr(value).encode()) for name, value in values.items())
    for begin, end, new in reversed(edits):
        text = text[:begin] + new + text[end:]
    return text.decode()


def value_of(text: str) -> Value | None:
    """The value that a literal as in a file stands for; None where it is no such literal."""
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError):
        return None


def differences(before: str, after: str) -> dict[str, tuple[Value | None, Value | None]]:
    """The knobs whose values differ between two versions: name → (before, after), None where there is none."""
    old, new = read(before), read(after)
    return {name: (old.get(name), new.get(name)) for name in old | new if repr(old.get(name)) != repr(new.get(name))}


def is_seed(name: str) -> bool:
    """Whether a knob seeds the random numbers: another value of it is another draw, and no other model."""
    return "SEED" in name


def with_seed(source: str, seed: int) -> str | None:
    """The file with another seed in each of its seed knobs; None where it has no such knob."""
    seeds = [name for name, value in read(source).items() if is_seed(name) and type(value) is int]
    return replace(source, dict.fromkeys(seeds, seed)) if seeds else None


def seeds_no_longer_used(before: str, after: str) -> list[str]:
    """Seed knobs that a version read and a later one does not: another seed would be another run of the same."""
    try:
        used, still = ({*_read_names(source)} for source in (before, after))
        seeds = [name for name, value in read(before).items() if is_seed(name) and type(value) is int]
    except (SyntaxError, ValueError, RecursionError):
        return []
    return [name for name in seeds if name in used - still]


def _read_names(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id


def show(value: Value | None) -> str:
    """A value as a person reads it: exactly what the file says, in one line."""
    if isinstance(value, tuple):
        return "(" + ", ".join(show(each) for each in value) + ")"
    if value is None:
        return "none"
    return value if isinstance(value, str) and value and value.isprintable() else repr(value)


def show_changes(changes: Mapping[str, tuple[Value | None, Value | None]]) -> str:
    """Changed knobs in one line: ``MATRIX_LR 0.03 → 0.04, DEPTH 2 → 3``."""
    return ", ".join(f"{name} {show(old)} → {show(new)}" for name, (old, new) in changes.items())


def _span(node: ast.expr, starts: list[int]) -> tuple[int, int]:
    """Where an expression begins and ends, in bytes of a file whose lines begin at ``starts``."""
    assert node.end_lineno is not None and node.end_col_offset is not None
    return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset


def _assignments(source: str) -> Iterator[tuple[str, ast.expr]]:
    for statement in ast.parse(source).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=node) if _NAME.fullmatch(name):
                yield name, node
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as node) if _NAME.fullmatch(name):
                yield name, node


def _value(expression: ast.expr) -> Value | None:
    """The value that a literal stands for; None for what is none, or is nested too deep to be told."""
    try:
        return _literal(expression)
    except RecursionError:
        return None


def _literal(expression: ast.expr) -> Value | None:
    match expression:
        case ast.Constant(value=bool() | str() as scalar):
            return scalar
        case ast.Constant(value=int() | float()) | ast.BinOp():
            return _number(expression)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            number = _number(operand)
            if number is None:
                return None
            return -number if isinstance(sign, ast.USub) else number
        case ast.Tuple(elts=elements) if elements:
            scalars = [value for element in elements if isinstance(value := _literal(element), Scalar)]
            return tuple(scalars) if len(scalars) == len(elements) else None
    return None


def _number(expression: ast.expr) -> int | float | None:
    match expression:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _within_reach(number)
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _ARITHMETIC:
            first, second = _number(left), _number(right)
            if first is None or second is None:
                return None
            if isinstance(operation, ast.Pow) and abs(second) > LARGEST_EXPONENT:
                return None
            try:
                return _within_reach(_ARITHMETIC[type(operation)](first, second))
            except (ArithmeticError, ValueError):
                return None
    return None


def _within_reach(number: object) -> int | float | None:
    """A number that can be written as a literal; None for any other, a complex one included."""
    if isinstance(number, float):
        return number if math.isfinite(number) else None
    return number if isinstance(number, int) and abs(number) < LARGEST_WHOLE else None
