"""The colours: a calm dark theme, and the terminal's own sixteen where it has no more."""

import os
from collections.abc import Mapping

from rich.terminal_theme import TerminalTheme
from textual.theme import BUILTIN_THEMES, Theme

CALM = Theme(
    name="autoresearch",
    primary="#7aa2c8",
    secondary="#9d8ec7",
    accent="#6fb3b8",
    success="#8fbf7f",
    warning="#d9b36c",
    error="#d97b7b",
    foreground="#cfd4da",
    background="#14171b",
    surface="#14171b",
    panel="#1d2126",
    dark=True,
    variables={
        "frame": "#343b44",
        "faint": "#7d8691",
        "cursor-row": "#2b3b4d",
    },
)
SIXTEEN = Theme(
    name="autoresearch-16",
    ansi=True,
    primary="ansi_blue",
    secondary="ansi_magenta",
    accent="ansi_cyan",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    dark=True,
    variables={
        **BUILTIN_THEMES["ansi-dark"].variables,
        "frame": "ansi_bright_black",
        "faint": "ansi_bright_black",
        "cursor-row": "ansi_blue",
    },
)
OF_RUNS = TerminalTheme(
    (0x14, 0x17, 0x1B),
    (0xCF, 0xD4, 0xDA),
    [
        *((0x2B, 0x31, 0x38), (0xD9, 0x7B, 0x7B), (0x8F, 0xBF, 0x7F), (0xD9, 0xB3, 0x6C)),
        *((0x7A, 0xA2, 0xC8), (0x9D, 0x8E, 0xC7), (0x6F, 0xB3, 0xB8), (0xCF, 0xD4, 0xDA)),
    ],
    [
        *((0x7D, 0x86, 0x91), (0xE8, 0x9A, 0x9A), (0xAB, 0xD4, 0x9D), (0xE8, 0xCB, 0x90)),
        *((0x9C, 0xBF, 0xDF), (0xB9, 0xAD, 0xDB), (0x93, 0xCD, 0xD1), (0xF0, 0xF3, 0xF6)),
    ],
)
"""The sixteen colours that a run may print in, as CALM has them."""
FALLBACK = {name: CALM.variables[name] for name in ("frame", "faint", "cursor-row")}
"""Our variables for Textual's own themes, which do not have them."""


def theme_for(environment: Mapping[str, str] = os.environ) -> str:
    """The theme that this terminal can show."""
    terminal = environment.get("TERM", "")
    if environment.get("COLORTERM", "").lower() in ("truecolor", "24bit") or "256color" in terminal:
        return CALM.name
    return SIXTEEN.name if terminal else CALM.name
