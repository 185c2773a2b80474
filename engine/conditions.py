"""What makes runs comparable with each other: prepare.py, the data, the GPU. Where it changed, a new segment begins.

The baseline's line in the ledger holds what it was measured under; a baseline without (an older engine's, another
tool's) counts as comparable.
"""

import hashlib
import os
from collections.abc import Mapping
from typing import Any

import pynvml

from engine import meaning

PREPARE, DATA, ACCELERATOR = "prepare", "data", "accelerator"
IN_WORDS = {PREPARE: "prepare.py", DATA: "the data or the tokenizer"}
NO_GPU = "cpu"
"""Whichever: a budget of work does not depend on its speed."""


def now(prepare: bytes | None, data: str) -> dict[str, str]:
    """The conditions of a run; ``data``: one digest for all of it, empty where nobody knows it."""
    known = {PREPARE: _meaning(prepare or b""), DATA: data, ACCELERATOR: accelerator()}
    return {name: value for name, value in known.items() if value}


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What is not the same, in words; what only one of the two knows is not compared."""
    changed = [name for name in after if name in before and before[name] != after[name]]
    return [
        f"the machine ({before[name]} → {after[name]})" if name == ACCELERATOR else IN_WORDS.get(name, name)
        for name in changed
    ]


def accelerator() -> str:
    """The name of the GPU that a run uses; NO_GPU without one."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    try:
        pynvml.nvmlInit()
        by = pynvml.nvmlDeviceGetHandleByIndex if visible.isdigit() else pynvml.nvmlDeviceGetHandleByUUID
        return str(pynvml.nvmlDeviceGetName(by(int(visible) if visible.isdigit() else visible)))
    except pynvml.NVMLError:
        return NO_GPU


def _meaning(source: bytes) -> str:
    """A digest of Python code that comments, docstrings and layout do not change."""
    return hashlib.blake2b(meaning.of(source), digest_size=16).hexdigest()
