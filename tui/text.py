"""How numbers are written on the screen; and text that comes from files, made safe to show (engine.harmless)."""

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
    """A val_bpb as it is compared by eye: always four decimals; huge ones shortened."""
    if value is None:
        return ""
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.3g}"


def change(value: float | None) -> str:
    """A difference with its sign, with the true minus; nothing where it is none to four decimals."""
    if value is None or abs(value) < 0.00005:
        return ""
    text = f"{value:+.4f}" if abs(value) < 100 else f"{value:+.2g}"
    return text.replace("-", "−")


def memory(megabytes: float | None) -> str:
    """44.2 GB, 812 MB."""
    if megabytes is None:
        return ""
    return f"{megabytes / 1024:.1f} GB" if megabytes >= 1024 else f"{megabytes:.0f} MB"


def count(number: int, one: str, many: str = "") -> str:
    """1 experiment, 2 experiments."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
