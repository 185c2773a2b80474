"""The knobs of a Python file: every ``ALL_CAPS = literal`` at its top level, read and set by name.

Setting one changes its literal and not a character besides.
"""

import ast
import operator
import re
from collections.abc import Mapping

import libcst as cst

Scalar = bool | int | float | str
Value = Scalar | tuple[Scalar, ...]

_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_ARITHMETIC = {
    ast.Mult: operator.mul,
    ast.Pow: operator.pow,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv,
}
LARGEST_EXPONENT = 64


def read(source: str) -> dict[str, Value]:
    """The knobs of a file with their values, in order. Raises SyntaxError where it is no Python.

    Arithmetic on numbers (``2**19``) counts as a literal; None and nested literals are no knobs.
    """
    knobs = {}
    for statement in ast.parse(source).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=expression):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as expression):
                pass
            case _:
                continue
        if _NAME.fullmatch(name) and (value := _literal(expression)) is not None:
            knobs[name] = value
    return knobs


def replace(source: str, values: Mapping[str, Value]) -> str:
    """The file with these knobs set. Raises KeyError for a name that is no top-level assignment in it."""
    module = cst.parse_module(source)
    setter = _Setter(dict(values))
    changed = module.visit(setter)
    if setter.missing:
        raise KeyError(", ".join(sorted(setter.missing)))
    return changed.code


def differences(before: str, after: str) -> dict[str, tuple[Value | None, Value | None]]:
    """The knobs whose values differ between two versions: name → (before, after), None where there is none."""
    old, new = read(before), read(after)
    return {name: (old.get(name), new.get(name)) for name in old | new if repr(old.get(name)) != repr(new.get(name))}


def show(value: Value | None) -> str:
    """A value as a person reads it."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple):
        return "(" + ", ".join(show(each) for each in value) + ")"
    return "none" if value is None else str(value)


def show_changes(changes: Mapping[str, tuple[Value | None, Value | None]]) -> str:
    """Changed knobs in one line: ``MATRIX_LR 0.03 → 0.04, DEPTH 2 → 3``."""
    return ", ".join(f"{name} {show(old)} → {show(new)}" for name, (old, new) in changes.items())


def _literal(expression: ast.expr) -> Value | None:
    match expression:
        case ast.Constant(value=bool() | int() | float() | str() as scalar):
            return scalar
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            number = _number(operand)
            if number is None:
                return None
            return -number if isinstance(sign, ast.USub) else number
        case ast.BinOp():
            return _number(expression)
        case ast.Tuple(elts=elements) if elements:
            scalars = [value for element in elements if isinstance(value := _literal(element), Scalar)]
            return tuple(scalars) if len(scalars) == len(elements) else None
    return None


def _number(expression: ast.expr) -> int | float | None:
    match expression:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _ARITHMETIC:
            first, second = _number(left), _number(right)
            if first is None or second is None:
                return None
            if isinstance(operation, ast.Pow) and abs(second) > LARGEST_EXPONENT:
                return None
            try:
                result: int | float = _ARITHMETIC[type(operation)](first, second)
            except (ArithmeticError, ValueError):
                return None
            return result if isinstance(result, int | float) else None
    return None


class _Setter(cst.CSTTransformer):
    """Replaces the values of top-level assignments; everything else stays as it is, to the byte."""

    def __init__(self, values: dict[str, Value]) -> None:
        super().__init__()
        self.missing = set(values)
        self._values = values

    def visit_FunctionDef(self, node: cst.FunctionDef) -> bool:  # noqa: N802
        return False

    def visit_ClassDef(self, node: cst.ClassDef) -> bool:  # noqa: N802
        return False

    def visit_IndentedBlock(self, node: cst.IndentedBlock) -> bool:  # noqa: N802
        return False

    def leave_Assign(self, original_node: cst.Assign, updated_node: cst.Assign) -> cst.Assign:  # noqa: N802
        match updated_node.targets:
            case [cst.AssignTarget(target=cst.Name(value=name))] if name in self._values:
                return updated_node.with_changes(value=self._take(name))
        return updated_node

    def leave_AnnAssign(self, original_node: cst.AnnAssign, updated_node: cst.AnnAssign) -> cst.AnnAssign:  # noqa: N802
        match updated_node.target:
            case cst.Name(value=name) if name in self._values:
                return updated_node.with_changes(value=self._take(name))
        return updated_node

    def _take(self, name: str) -> cst.BaseExpression:
        self.missing.discard(name)
        return cst.parse_expression(repr(self._values[name]))
