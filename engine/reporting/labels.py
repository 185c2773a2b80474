"""Where the labels of a chart go: beside what they name, over nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

NARROW, WIDE = frozenset("iljtfrI.,:;'|!()[]/ "), frozenset("mwMW@%→—…−+=×")


@dataclass(frozen=True)
class Box:
    """A rectangle; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Box") -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def holds(self, x: float, y: float) -> bool:
        return self.left <= x <= self.right and self.top <= y <= self.bottom

    def contains(self, other: "Box") -> bool:
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )


@dataclass(frozen=True)
class Label:
    """A text with the point that it names."""

    text: str
    x: float
    y: float


@dataclass(frozen=True)
class Placed:
    """A label in its place."""

    label: Label
    box: Box
    is_right: bool
    """Its text begins at the box's left edge, which is the nearer one; else it ends at the right one."""


def width_of(text: str, size: float) -> float:
    """About how wide a text is in a sans-serif font; sooner too wide than too narrow."""
    return size * sum(map(_share, text))


def _share(character: str) -> float:
    if character in NARROW:
        return 0.33
    if character in WIDE:
        return 0.9
    if ord(character) >= 0x1100:  # East Asian scripts, emoji
        return 1.05
    return 0.7 if character.isupper() else 0.62 if character.isdigit() else 0.57


def place(
    labels: Sequence[Label],
    size: float,
    room: Box,
    obstacles: Sequence[Box],
    dots: Sequence[tuple[float, float]],
    *,
    most_dots: int = 1,
) -> list[Placed]:
    """The labels that find a place, those first that come first; the nearest place is taken.

    Nothing is put over an obstacle or another label; over up to ``most_dots`` of the dots, if there is no better.
    """
    taken = list(obstacles)
    placed: list[Placed] = []
    leaders: list[Box] = []
    for label in labels:
        width, height = width_of(label.text, size), size * 1.25
        best: tuple[float, Placed] | None = None
        for distance, box, is_right in _candidates(label, width, height):
            if best is not None and distance >= best[0]:
                continue
            if not room.contains(box) or any(box.overlaps(each) for each in (*taken, *leaders)):
                continue
            leader = _leader(label, box, is_right)
            if any(leader.overlaps(each.box) for each in placed):
                continue
            covered = sum(box.holds(*each) for each in dots)
            if covered > most_dots:
                continue
            cost = distance + 40 * covered
            if best is None or cost < best[0]:
                best = cost, Placed(label, box, is_right)
        if best is not None:
            placed.append(best[1])
            taken.append(best[1].box)
            leaders.append(_leader(label, best[1].box, best[1].is_right))
    return placed


def _leader(label: Label, box: Box, is_right: bool) -> Box:
    """What the line from a point to its label takes up: it goes straight up or down, then aside."""
    middle = (box.top + box.bottom) / 2
    near = box.left if is_right else box.right
    return Box(min(label.x, near) - 1, min(label.y, middle) - 1, max(label.x, near) + 1, max(label.y, middle) + 1)


def _candidates(label: Label, width: float, height: float) -> list[tuple[float, Box, bool]]:
    """Places around a point: (how far away, the box, whether the text goes to the right)."""
    found = []
    for step in range(14):
        for down in (1, -1):
            middle = label.y + down * (10 + step * 9)
            for aside in (7, 16, 34):
                for is_right in (False, True):
                    left = label.x + aside if is_right else label.x - aside - width
                    box = Box(left, middle - height / 2, left + width, middle + height / 2)
                    found.append((abs(middle - label.y) + aside, box, is_right))
    return found
