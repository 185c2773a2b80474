"""A person's idea made into a candidate: ``MATRIX_LR=0.05, DEPTH=3``, or a patch to train.py."""

import math
import re
from pathlib import Path

from engine import knobs, patch
from engine.knobs import Scalar, Value
from engine.proposers import NothingToProposeError, Proposal
from engine.workspace import TRAIN

_ASSIGNMENT = re.compile(r"\s*([A-Z][A-Z0-9_]*)\s*=\s*(.+?)\s*")
_AGAIN = re.compile(r"(?:re-?run|again)\s+(\d{1,9})", re.IGNORECASE)
_BETWEEN = re.compile(r"[,;\s]\s*(?=[A-Z][A-Z0-9_]*\s*=)")


class ProseError(NothingToProposeError):
    """The idea is neither knobs nor a patch: only who reads words can make an edit of it."""


def run_to_repeat(idea: str) -> int | None:
    """The run that a person wants once more (``re-run 7``); None where the idea is another."""
    match = _AGAIN.fullmatch(idea.strip())
    return int(match[1]) if match else None


def propose(idea: str, incumbent: str, root: Path) -> Proposal:
    """What a person wants as the next experiment. Raises NothingToProposeError with what is wrong.

    ``idea`` is either knobs with their values, or the path of a patch to train.py (from ``root``).
    """
    if idea.strip().endswith(".patch"):
        return _patched(idea.strip(), incumbent, root)
    return _knobs_set(idea, incumbent)


def _patched(name: str, incumbent: str, root: Path) -> Proposal:
    try:
        train = patch.apply(incumbent, (root / name).read_bytes().decode("utf-8"), TRAIN)
        changes = knobs.show_changes(knobs.differences(incumbent, train))
    except (OSError, UnicodeDecodeError) as error:
        raise NothingToProposeError(f"{name} can't be read: {error}") from error
    except (ValueError, SyntaxError) as error:
        raise NothingToProposeError(f"{name} is no experiment: {error}") from error
    return Proposal(
        train=train,
        description=changes or f"the edit in {Path(name).name}",
        source="queue",
        asi={"hypothesis": f"a person's edit: {name}", "arch_change": changes or "code, no knob"},
    )


def _knobs_set(idea: str, incumbent: str) -> Proposal:
    known = knobs.read(incumbent)
    wanted: dict[str, Value] = {}
    for part in _BETWEEN.split(idea.strip()):
        match = _ASSIGNMENT.fullmatch(part)
        if match is None:
            raise ProseError(f"the search can't read prose: write {idea.strip()[:60]!r} as KNOB=value")
        name, text = match.groups()
        if name not in known:
            raise NothingToProposeError(f"train.py has no knob {name}")
        literal = knobs.value_of(text)
        value = _like(known[name], text if literal is None else literal)
        if value is None:
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


def _like(known: Value, value: Value) -> Value | None:
    """``value`` as a value of the kind that the knob has; None where it cannot be one."""
    if isinstance(known, tuple) and isinstance(value, tuple):
        scalars = [each for pair in zip(known, value, strict=False) if isinstance(each := _like(*pair), Scalar)]
        return tuple(scalars) if len(scalars) == len(known) == len(value) else None
    if isinstance(known, bool) or isinstance(value, bool):
        return value if isinstance(known, bool) and isinstance(value, bool) else None
    if isinstance(known, float) and isinstance(value, int | float):
        return float(value) if math.isfinite(value) else None
    return value if isinstance(value, type(known)) else None
