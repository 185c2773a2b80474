"""What a person typed as an idea, made into a candidate: ``MATRIX_LR=0.05, DEPTH=3``."""

import ast
import re

from engine import knobs
from engine.knobs import Value
from engine.proposers import NothingToProposeError, Proposal

_ASSIGNMENT = re.compile(r"\s*([A-Z][A-Z0-9_]*)\s*=\s*(.+?)\s*")
_BETWEEN = re.compile(r"[,;\s]\s*(?=[A-Z][A-Z0-9_]*\s*=)")


def propose(idea: str, incumbent: str) -> Proposal:
    """The incumbent's train.py with the knobs of ``idea`` set. Raises NothingToProposeError with what is wrong."""
    known = knobs.read(incumbent)
    wanted: dict[str, Value] = {}
    for part in _BETWEEN.split(idea.strip()):
        match = _ASSIGNMENT.fullmatch(part)
        if match is None:
            raise NothingToProposeError(f"the search can't read prose: write {idea.strip()[:60]!r} as KNOB=value")
        name, text = match.groups()
        if name not in known:
            raise NothingToProposeError(f"train.py has no knob {name}")
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = text
        if not _alike(value, known[name]):
            raise NothingToProposeError(f"{name} is {knobs.show(known[name])}, and {text} is no value of that kind")
        wanted[name] = value
    changed = {name: value for name, value in wanted.items() if repr(value) != repr(known[name])}
    if not changed:
        raise NothingToProposeError("the incumbent has these values already")
    summary = knobs.show_changes({name: (known[name], value) for name, value in changed.items()})
    return Proposal(
        train=knobs.replace(incumbent, changed),
        description=summary,
        source="queue",
        asi={"hypothesis": f"a person's idea: {idea.strip()}", "arch_change": summary},
    )


def _alike(value: object, like: Value) -> bool:
    if isinstance(like, bool) or isinstance(value, bool):
        return isinstance(like, bool) and isinstance(value, bool)
    if isinstance(like, float):
        return isinstance(value, int | float)
    if isinstance(like, tuple):
        return isinstance(value, tuple) and len(value) == len(like)
    return isinstance(value, type(like))
