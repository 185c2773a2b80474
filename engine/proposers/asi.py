"""What a model says of its own edit: the notes that outlive a revert (ASI), in a small fenced block of its answer."""

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

from engine.ledger import Asi
from engine.proposers import edits
from engine.proposers.foreign import clean, one_line

HOW = """\
Say what you expect and why in a fenced block of JSON like this one, before the run and not after it:

```asi
{"description": "raise MATRIX_LR to 0.05", "hypothesis": "why you expect it to lower the metric, in a sentence or two",
 "arch_change": "MATRIX_LR 0.04→0.05", "next_action_hint": "what to try next if it works, and if it does not"}
```
"""

LONGEST_DESCRIPTION = 120
LONGEST_NOTE = 2000
MOST_KEYS = 12
OF_THE_ENGINE = frozenset({"result", "log_tail"})
"""What a run has shown is no model's to say before it."""

_OPENING = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*(asi|json)\b[^\n]*$", re.MULTILINE | re.IGNORECASE)
_KNOWN = frozenset({"hypothesis", "arch_change", "next_action_hint", "description"})
_FENCED = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n]*\n.*?(?:^[ \t]*\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_SENTENCE = re.compile(r"(.+?[.!?])(?:\s|$)")
_MARKUP = re.compile(r"^[\s#>*_-]+|[*_`]{2,}")


@dataclass(frozen=True)
class Said:
    """An answer's own words on its edit."""

    description: str
    """One line, fit for a commit's subject."""
    asi: Asi = field(default_factory=dict)


def read(answer: str) -> Said:
    """The notes in an answer; where it has none, its first sentence is the description."""
    asi: Asi = {}
    for opening in _OPENING.finditer(answer):
        end = answer.find(f"\n{opening[1]}", opening.end())
        text = answer[opening.end() : end if end >= 0 else len(answer)].strip().strip("`~")
        found = parse(text)
        if found and (opening[2].lower() == "asi" or _KNOWN & found.keys()):
            asi = found  # the last one: a model that corrects itself does so further down
    description = one_line(str(asi.pop("description", "")), LONGEST_DESCRIPTION)
    return Said(description or _first_sentence(answer) or "an edit without a word of explanation", asi)


def parse(text: str) -> Asi:
    """The notes that a JSON object holds, bounded and fit for the ledger; empty where it is no such object."""
    try:
        found = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    notes: Asi = {}
    for key, value in found.items():
        name = one_line(str(key), 60)
        if name and name not in OF_THE_ENGINE and value not in (None, "", [], {}):
            notes[name] = _bounded(value)
        if len(notes) == MOST_KEYS:
            break
    return notes


def _bounded(value: Any) -> bool | int | float | str:
    match value:
        case bool():
            return value
        case int() if abs(value) < 2**53:
            return value
        case float() if math.isfinite(value):
            return value
        case str():
            return _short(value)
    try:
        return _short(json.dumps(value, ensure_ascii=False))
    except (ValueError, RecursionError):
        return "(a value that could not be read)"


def _short(text: str) -> str:
    text = clean(text[: 4 * LONGEST_NOTE]).strip()
    return text if len(text) <= LONGEST_NOTE else text[: LONGEST_NOTE - 1] + "…"


def _first_sentence(answer: str) -> str:
    prose = edits.without_blocks(_FENCED.sub("\n", answer))
    for line in prose.splitlines():
        words = one_line(_MARKUP.sub("", line), 1000)
        if any(letter.isalpha() for letter in words):
            sentence = _SENTENCE.match(words)
            return one_line((sentence[1] if sentence else words).rstrip(".:"), LONGEST_DESCRIPTION)
    return ""
