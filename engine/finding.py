"""One thing that was looked at, as doctor and the set-up screen say it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool | None
    """None: it is no obstacle, but a person may want to know it."""
    said: str
    remedy: str = ""
    """What to do; empty where ``said`` has it, or nothing is to be done."""
