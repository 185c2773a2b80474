"""The screen in ASCII: one table of what stands for our characters, applied to whatever is about to be drawn.

A person's own text may have other characters, which are left as they are.
"""

from rich.segment import Segment
from textual.app import App
from textual.color import Color
from textual.filter import LineFilter

TABLE: dict[int, str] = {
    **dict.fromkeys(range(0x2500, 0x2580), "+"),  # frames
    **dict.fromkeys(range(0x2580, 0x25A0), "#"),  # blocks
    **dict.fromkeys(range(0x2801, 0x2900), "*"),  # the dots of a curve
    **dict.fromkeys(map(ord, "─┄┈╌━┅┉╍═╴╶╼╾▁▂▃▔"), "-"),
    **dict.fromkeys(map(ord, "│┤├┆┊╎┃┇┋║╵╷╽╿┫┣▕"), "|"),
    **dict.fromkeys(map(ord, "▏▎▍▌"), "-"),  # less than half a cell of a bar
    **{
        ord(ours): theirs
        for ours, theirs in zip(
            "⠀●○×◆◇▲▼▶▸►◀◌•·░…→←↑↓−–—°±≥≤≈µΔδ✓✗σ²“”‘’",
            " *ox@@^v>>><%*-.~><^v--- ~><~udd+xs2\"\"''",
            strict=True,
        )
    },
    ord("🔎"): "? ",  # as wide as it
}
"""Each as wide as what it stands for."""


def is_in_ascii(app: App[object]) -> bool:
    """Whether a screen is shown so: what can draw itself in ASCII does it better than the table."""
    return any(isinstance(each, Ascii) for each in app.get_line_filters())


class Ascii(LineFilter):
    """Textual's last step before the terminal."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.text.isascii() else Segment(segment.text.translate(TABLE), segment.style, None)
            for segment in segments
        ]
