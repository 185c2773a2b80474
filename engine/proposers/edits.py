"""Edits of train.py in a model's answer: SEARCH/REPLACE blocks, or the whole file in one ```python block."""

import ast
import re
from dataclasses import dataclass

from engine.proposers.foreign import one_line
from engine.words import counted
from engine.workspace import TRAIN

HOW = f"""\
Answer with edits of {TRAIN} in this form, as many blocks as the one idea needs:

<<<<<<< SEARCH
lines of {TRAIN} exactly as they are there, whole lines, enough of them to occur only once
=======
the lines that take their place
>>>>>>> REPLACE

A block without lines after ======= deletes. The blocks are applied in order, each to what the ones before it made.
Only where most of the file changes, answer with the whole new {TRAIN} in one ```python block instead.
"""

_SEARCH = re.compile(r"<{5,9}[ \t]*SEARCH>?[ \t]*")
_DIVIDER = re.compile(r"={5,9}[ \t]*")
_REPLACE = re.compile(r">{5,9}[ \t]*REPLACE[ \t]*")
_OPENING = re.compile(r"[ \t]*(`{3,}|~{3,})[ \t]*(\S*)[^`]*")
_PATH = re.compile(r"[\w./-]*\w\.(?:py|sh|toml|md|txt|json|jsonl|lock|yaml|yml|cfg)")
_PYTHON = frozenset({"python", "py", "python3"})
SNIPPET = 0.5
"""A ```python block with less than this share of the file's lines is taken for an illustration."""


class BadEditError(ValueError):
    """``str(error)`` is one sentence for the model: what is wrong with its edit, and what to do."""


@dataclass(frozen=True)
class Edit:
    """Lines, and what takes their place; both without line ends."""

    search: tuple[str, ...]
    replace: tuple[str, ...]


def edited(answer: str, train: str) -> str:
    """``train`` with the answer's edits, valid Python and another than before. Raises BadEditError."""
    blocks = parse(answer)
    after = apply(blocks, train) if blocks else _whole_file(answer, train)
    if after == train:
        raise BadEditError(f"the edit leaves {TRAIN} as it is: change something, or another place.")
    try:
        ast.parse(after)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadEditError(f"{TRAIN} is no valid Python after the edit ({one_line(str(error), 200)}).") from error
    return after


def parse(answer: str) -> list[Edit]:
    """The SEARCH/REPLACE blocks in an answer, in order. Raises BadEditError for one that is torn or of another file."""
    edits: list[Edit] = []
    lines = _lines(answer)
    position = 0
    while position < len(lines):
        if not _SEARCH.fullmatch(lines[position]):
            position += 1
            continue
        number = len(edits) + 1
        if other := _named_file(lines, position):
            raise BadEditError(f"block {number} is for {one_line(other, 80)}: only {TRAIN} may be changed.")
        divider = _find(_DIVIDER, lines, position, number, "=======")
        end = _find(_REPLACE, lines, divider, number, ">>>>>>> REPLACE")
        edits.append(Edit(tuple(lines[position + 1 : divider]), tuple(lines[divider + 1 : end])))
        position = end + 1
    return edits


def apply(edits: list[Edit], train: str) -> str:
    """``train`` with the edits made one after the other. Raises BadEditError for one that does not fit just once."""
    newline = "\r\n" if "\r\n" in train else "\n"
    for number, edit in enumerate(edits, 1):
        parts = re.findall(r"[^\n]*\n|[^\n]+", train)
        lines = [part.rstrip("\n").removesuffix("\r") for part in parts]
        start, search, replace = _place(edit, lines, number)
        new = [line + newline for line in replace]
        if new and start + len(search) == len(parts) and not parts[-1].endswith("\n"):
            new[-1] = new[-1].removesuffix(newline)
        train = "".join([*parts[:start], *new, *parts[start + len(search) :]])
    return train


def without_blocks(answer: str) -> str:
    """The answer's prose: what is in no SEARCH/REPLACE block."""
    prose: list[str] = []
    inside = False
    for line in _lines(answer):
        if _SEARCH.fullmatch(line):
            inside = True
        elif inside:
            inside = not _REPLACE.fullmatch(line)
        else:
            prose.append(line)
    return "\n".join(prose)


def _lines(text: str) -> list[str]:
    return [line.removesuffix("\r") for line in text.split("\n")]


def _find(mark: re.Pattern[str], lines: list[str], after: int, number: int, name: str) -> int:
    for position in range(after + 1, len(lines)):
        if mark.fullmatch(lines[position]):
            return position
        if _SEARCH.fullmatch(lines[position]):
            break
    raise BadEditError(f"block {number} has no line `{name}`: write blocks whole, markers on lines of their own.")


def _named_file(lines: list[str], start: int) -> str:
    """The file that a block's heading names, if it is another than train.py."""
    above = [line.strip(" \t`*#:") for line in lines[max(start - 3, 0) : start] if not _OPENING.fullmatch(line)]
    named = next((line for line in reversed(above) if line), "")
    return named if _PATH.fullmatch(named) and named.rsplit("/", 1)[-1] != TRAIN else ""


def _place(edit: Edit, lines: list[str], number: int) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """Where an edit goes, what it takes away there and what it puts there."""
    if not any(line.strip() for line in edit.search):
        raise BadEditError(f"the SEARCH part of block {number} is empty: quote the lines next to the change.")
    exact = _occurrences(edit.search, lines)
    if len(exact) == 1:
        return exact[0], edit.search, edit.replace
    if exact:
        raise _too_many(number, exact)
    loose = _trimmed(edit.search)
    wanted = tuple(line.strip() for line in loose)
    near = _occurrences(wanted, [line.strip() for line in lines])
    if len(near) > 1:
        raise _too_many(number, near)
    if near:
        found = lines[near[0] : near[0] + len(loose)]
        moved = _indented(_trimmed(edit.replace), loose, found)
        if moved is not None:
            return near[0], loose, moved
    raise _not_there(number, wanted, {line.strip() for line in lines})


def _occurrences(search: tuple[str, ...], lines: list[str]) -> list[int]:
    size = len(search)
    first = search[0]
    return [
        start
        for start in range(len(lines) - size + 1)
        if lines[start] == first and tuple(lines[start : start + size]) == search
    ]


def _trimmed(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Without blank lines at either end."""
    full = [position for position, line in enumerate(lines) if line.strip()]
    return lines[full[0] : full[-1] + 1] if full else ()


def _indented(new: tuple[str, ...], search: tuple[str, ...], found: list[str]) -> tuple[str, ...] | None:
    """``new`` with the indentation that ``found`` has over ``search``; None where that is not one for all lines."""
    shifts = {_shift(mine, theirs) for mine, theirs in zip(search, found, strict=True) if mine.strip()}
    if len(shifts) != 1 or (shift := shifts.pop()) is None:
        return None
    more, less = shift
    if not all(line.startswith(less) for line in new if line.strip()):
        return None
    return tuple(more + line.removeprefix(less) if line.strip() else "" for line in new)


def _shift(mine: str, theirs: str) -> tuple[str, str] | None:
    """What to put before and to take off the front of a line for it to be indented like the other."""
    have, want = (line[: len(line) - len(line.lstrip())] for line in (mine, theirs))
    if want.endswith(have):
        return want.removesuffix(have), ""
    return ("", have.removesuffix(want)) if have.endswith(want) else None


def _too_many(number: int, starts: list[int]) -> BadEditError:
    places = ", ".join(str(start + 1) for start in starts[:5])
    return BadEditError(
        f"the SEARCH part of block {number} occurs {len(starts)} times in {TRAIN} (from lines {places}): "
        "quote more of the lines around it."
    )


def _not_there(number: int, wanted: tuple[str, ...], known: set[str]) -> BadEditError:
    missing = next((line for line in wanted if line and line not in known), None)
    why = (
        f"its line `{one_line(missing, 120)}` is nowhere in it"
        if missing is not None
        else "its lines are there, but not one after the other like that"
    )
    return BadEditError(
        f"the SEARCH part of block {number} is not in {TRAIN} (with the blocks before it applied): {why}; "
        "quote the lines exactly."
    )


def _whole_file(answer: str, train: str) -> str:
    lines = _lines(answer)
    blocks: list[list[str]] = []
    position = 0
    while position < len(lines):
        opening = _OPENING.fullmatch(lines[position])
        position += 1
        if opening is None:
            continue
        closing = re.compile(rf"[ \t]*{re.escape(opening[1][0])}{{{len(opening[1])},}}[ \t]*")
        start = position
        while position < len(lines) and not closing.fullmatch(lines[position]):
            position += 1
        if opening[2].lower() in _PYTHON:
            if position == len(lines):
                raise BadEditError("the ```python block has no end: give SEARCH/REPLACE blocks, they are shorter.")
            blocks.append(lines[start:position])
        position += 1
    if not blocks:
        raise BadEditError("there is no edit in the answer: give SEARCH/REPLACE blocks in the form that was asked for.")
    longest = max(blocks, key=len)
    had = len(_lines(train))
    if len(longest) < SNIPPET * had:
        raise BadEditError(
            f"the ```python block has {counted(len(longest), 'line')} where {TRAIN} has {had}: "
            "give SEARCH/REPLACE blocks, or the whole file."
        )
    newline = "\r\n" if "\r\n" in train else "\n"
    return newline.join(longest).rstrip("\r\n") + newline
