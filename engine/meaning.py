"""What a Python file means: comments, docstrings and layout make no difference to it, and seeds can be looked past.

It is read, never run: what it does not see through (a seed under another name) counts as a difference.
"""

import ast
import hashlib

SEEDING = frozenset({"seed", "manual_seed", "manual_seed_all", "set_seed", "seed_all", "seed_everything"})
"""Functions that do nothing but seed: a call more or less is another draw of the random numbers."""
GENERATORS = frozenset({"default_rng", "RandomState", "Random", "PRNGKey"})
"""What is made from a seed."""
_ARITHMETIC = (
    *(ast.Constant, ast.Name, ast.Attribute, ast.BinOp, ast.UnaryOp),
    *(ast.operator, ast.unaryop, ast.expr_context),
)
_NUMBERS = frozenset(
    {"int", "abs", "hash", "round", "pow", "min", "max", "sum", "len", "ord", "time", "time_ns", "getpid"}
)

_known: dict[bytes, bytes] = {}
MOST_KNOWN = 10_000


def digest(source: str) -> bytes:
    """The same for all files that mean the same; of what is no Python, only for the same text."""
    content = source.encode("utf-8", "surrogateescape")
    key = hashlib.sha256(content).digest()
    if key not in _known:
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        _known[key] = hashlib.sha256(of(content)).digest()
    return _known[key]


def of(source: bytes) -> bytes:
    """What Python code means, written out; of what is no Python, the text."""
    try:
        return repr(_shape(ast.parse(source))).encode("utf-8", "surrogatepass")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source


def same(before: str, after: str) -> bool:
    """Whether two files mean the same."""
    return before == after or digest(before) == digest(after)


def only_seeds_differ(before: str, after: str) -> bool:
    """Whether two versions are the same program but for how its random numbers are seeded.

    Names with ``seed`` in them that are set to numbers, the arguments of functions that seed, and calls of them that
    were added or removed.
    """
    try:
        old, new = (repr(_shape(_Seedless().visit(ast.parse(each)))) for each in (before, after))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return old == new and not same(before, after)


class _Seedless(ast.NodeTransformer):
    """Takes out of a syntax tree whatever seeds."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Call) and _name(node.value.func) in SEEDING:
            return None
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        if all(_is_seed(_name(each)) for each in node.targets) and _is_number(node.value):
            node.value = ast.Constant(0)
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None and _is_seed(_name(node.target)) and _is_number(node.value):
            node.value = ast.Constant(0)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if _name(node.func) in SEEDING | GENERATORS:
            node.args, node.keywords = [], []
        for keyword in node.keywords:
            if keyword.arg and (_is_seed(keyword.arg) or keyword.arg == "random_state"):
                keyword.value = ast.Constant(0)
        return self.generic_visit(node)


def _is_seed(name: str) -> bool:
    return "seed" in name.lower()


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _is_number(value: ast.expr) -> bool:
    """Whether an expression is arithmetic on numbers and names, and makes nothing else."""
    return all(
        isinstance(node, _ARITHMETIC) or (isinstance(node, ast.Call) and _name(node.func) in _NUMBERS)
        for node in ast.walk(value)
    )


def _shape(node: object) -> object:
    """A syntax tree without its empty fields, of which other Pythons have more; `ast.dump` differs between them."""
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if value is not None and value != [])
        return (type(node).__name__, *((name, _shape(value)) for name, value in fields))
    if isinstance(node, list):
        return tuple(_shape(each) for each in node if not _is_text(each))
    return node


def _is_text(node: object) -> bool:
    """A docstring, or another string that nobody reads."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
