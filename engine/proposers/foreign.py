"""Text that is data and no instruction (logs, notes of models, answers of endpoints), made safe to show and to send."""

import hashlib
import re

_DRAWING = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b\][^\x07\x1b\n]{0,4096}(?:\x07|\x1b\\)"  # OSC: titles, links
)
_NOT_ASCII = re.compile(r"[^\x20-\x7e\n\t]")
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u2800\u3164\uffa0")
"""Letters to Unicode that nobody sees, as are the variation selectors."""
_TEMPLATE = re.compile(
    r"<(?=[|｜])|[|｜](?=>)|<(?=/?(?:s|start_of_turn|end_of_turn|start_of_image|bos|eos|think|tool_call)>)|\[(?=/?INST\])",
    re.IGNORECASE,
)
"""What begins or ends a message in the chat templates of local models, whose tokenizers may read it from any text."""


def clean(text: str) -> str:
    """The text as a terminal would leave it, with whatever cannot be seen written out (``\\x07``)."""
    text = _DRAWING.sub("", text).replace("\r\n", "\n")
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))  # a progress line, drawn over itself
    return visible("\n".join(lines))


def visible(text: str) -> str:
    """The text with whatever cannot be seen written out, and not a character less."""
    return _NOT_ASCII.sub(_seen, text)


def _seen(found: re.Match[str]) -> str:
    character = found[0]
    is_blank = character in _BLANK or "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return character if character.isprintable() and not is_blank else character.encode("unicode_escape").decode()


def one_line(text: str, most: int) -> str:
    """The text in one line of at most so many characters; an ellipsis stands for the rest."""
    line = " ".join(clean(text[: 20 * most + 1000].replace("\r", " ")).split())
    return line if len(line) <= most else line[: max(most - 1, 0)].rstrip() + "…"


def cut(text: str, most: int, *, keep_end: bool = False) -> str:
    """The text in at most so many bytes of UTF-8, in whole lines where it can be, and a line that says it was cut."""
    content = text.encode("utf-8", "replace")
    if len(content) <= most:
        return content.decode()
    note = f"[... {len(content)} bytes, cut to {most} ...]"
    room = most - len(note) - 1
    if room < 0:
        return ""
    if keep_end:
        kept = content[len(content) - room :].decode("utf-8", "ignore")
        head, newline, rest = kept.partition("\n")
        return f"{note}\n{rest if newline and len(head) < len(kept) // 2 else kept}"
    kept = content[:room].decode("utf-8", "ignore")
    head, newline, rest = kept.rpartition("\n")
    return f"{head if newline and len(rest) < len(kept) // 2 else kept}\n{note}"


def fenced(title: str, text: str, most: int, *, keep_end: bool = False) -> str:
    """The text, cleaned and cut to so many bytes, between two lines that cannot occur in it.

    The lines carry a mark that is made from the text itself, so that nobody who writes the text can write the mark.
    """
    body = _TEMPLATE.sub(lambda found: f"{found[0]} ", clean(text))
    return verbatim(title, cut(body, most, keep_end=keep_end))


def verbatim(title: str, text: str) -> str:
    """The text as it is, between two such lines."""
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    mark = f"data-{digest[:8]}"
    while mark in text:
        digest = hashlib.sha256(digest.encode()).hexdigest()
        mark = f"data-{digest[:8]}"
    newline = "" if text.endswith("\n") or not text else "\n"
    return f"<{mark} {title}>\n{text}{newline}</{mark}>\n"
