"""Text that comes from files, made safe to show.

Whatever a training script, an agent or another tool wrote is untrusted: no control character, no
direction mark and no pile of combining marks may reach a terminal or a page, where it would act outside its place.
"""

import re

UNSAFE = (
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    "\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e"  # format characters: no width of their own,
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # and among them those that turn text round
    "\ufe00-\ufe0f\U000e0100-\U000e01ef"  # variation selectors: terminals disagree on the width they make
    "\ud800-\udfff\ufffe\uffff"  # surrogates and what is no character
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
COMBINING = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"

_breaks = re.compile(r"\r\n|[\n\r\t\x0b\x0c\x85\u2028\u2029]")
_unsafe = re.compile(f"[{UNSAFE}]")
_piled = re.compile(f"([{COMBINING}]{{2}})[{COMBINING}]+")
_escapes = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]?"
)


def harmless(text: str) -> str:
    """``text`` without the characters that act on a terminal; line breaks among them are gone too."""
    if text.isascii() and text.isprintable():
        return text
    return _piled.sub(r"\1", _unsafe.sub("", text))


def clean(text: object) -> str:
    """One line of harmless text from whatever a file says."""
    plain = text if isinstance(text, str) else str(text)
    if plain.isascii() and plain.isprintable():
        return plain.strip()
    return harmless(_breaks.sub(" ", _escapes.sub("", plain))).strip()


def clean_lines(text: object) -> list[str]:
    """The lines of a text, each of them harmless; tabs become spaces."""
    plain = text if isinstance(text, str) else str(text)
    return [harmless(line.expandtabs(4)) for line in re.split(r"\r\n|[\n\r\u2028\u2029]", _escapes.sub("", plain))]
