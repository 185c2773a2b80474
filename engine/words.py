"""Numbers in the sentences that the engine says."""

from collections.abc import Sequence


def counted(number: int, one: str) -> str:
    """1 run, 2 runs."""
    return f"{number} {one if number == 1 else one + 's'}"


def money(dollars: float) -> str:
    """$0.42; of less than a cent more decimals, so that it is not nothing."""
    if dollars < 0.00005:
        return "<$0.0001"
    return f"${dollars:,.2f}" if dollars >= 0.01 else f"${dollars:.4f}"


def amount(number: float) -> str:
    """410, 12.3k, 1.2M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size * 0.9995:
            return f"{number / size:.{1 if number < 99.95 * size else 0}f}{letter}"
    return f"{number:.0f}"


def listed(numbers: Sequence[int], most: int = 5) -> str:
    """4; 4 and 7; 4, 7 and 9; 4, 7, 9, 12, 15 and 30 more."""
    shown = [str(each) for each in numbers[:most]]
    if len(numbers) > most:
        shown.append(f"{len(numbers) - most:,} more")
    return " and ".join(each for each in (", ".join(shown[:-1]), *shown[-1:]) if each)
