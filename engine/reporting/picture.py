"""The chart as a PNG. The font is our own, so that it looks the same on a server that has none."""

import struct
import zlib
from pathlib import Path

from engine.reporting import MADE_BY, Report, chart

FONTS = Path(__file__).resolve().parents[2] / "assets" / "fonts"
HEADER = 33
"""Bytes of a PNG's signature and its first chunk."""
ZOOM = 2
"""Pixels to a unit: sharp on the screens that people have."""


def png(report: Report) -> bytes:
    """Glyphs that our font lacks come from the system's. The file says what made it.

    The renderer is loaded by the first picture: no other command needs it.
    """
    import resvg_py

    files = [str(path) for path in sorted(FONTS.glob("*.otf"))]
    drawn = resvg_py.svg_to_bytes(
        svg_string=chart.picture(report), zoom=ZOOM, font_files=files, font_family="Inter", sans_serif_family="Inter"
    )
    return drawn[:HEADER] + _chunk(b"tEXt", b"Software\0" + MADE_BY.encode()) + drawn[HEADER:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
