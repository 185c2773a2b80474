"""How numbers are written on the screen; and text that comes from files, made safe to show (engine.harmless)."""

from pathlib import Path

from engine.harmless import COMBINING as COMBINING
from engine.harmless import UNSAFE as UNSAFE
from engine.harmless import clean as clean
from engine.harmless import clean_lines as clean_lines
from engine.harmless import harmless as harmless


def duration(seconds: float | None) -> str:
    """0:07, 12:30, 3:05:00."""
    if seconds is None:
        return ""
    whole = max(0, int(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def bpb(value: float | None) -> str:
    """A val_bpb as it is compared by eye: always four decimals; of larger metrics fewer, of tiny ones three digits."""
    if value is None:
        return ""
    return f"{value:.3g}" if 0 < abs(value) < 0.001 else _figure(value, ".3g")


def change(value: float | None) -> str:
    """A difference with its sign, with the true minus; nothing where it is none to four decimals."""
    if value is None or abs(value) < 0.00005:
        return ""
    return _figure(value, ".2g", sign="+").replace("-", "−")


def _figure(value: float, huge: str, sign: str = "") -> str:
    """In eight cells or nine: the larger, the fewer decimals."""
    size = abs(value)
    decimals = 4 if size < 100 else 2 if size < 1000 else 1 if size < 10_000 else 0
    return f"{value:{sign}.{decimals}f}" if size < 1e7 else f"{value:{sign}{huge}}"


def memory(megabytes: float | None) -> str:
    """44.2 GB, 812 MB."""
    if megabytes is None:
        return ""
    return f"{megabytes / 1024:.1f} GB" if megabytes >= 1024 else f"{megabytes:.0f} MB"


def count(number: int, one: str, many: str = "") -> str:
    """1 experiment, 2 experiments."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def place(path: Path) -> str:
    """A path as a person writes it: ~/night for what is at home."""
    try:
        return clean(Path("~", path.relative_to(Path.home())))
    except (ValueError, RuntimeError):  # it is elsewhere; nobody's home
        return clean(path)
