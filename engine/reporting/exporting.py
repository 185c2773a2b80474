"""Hands a session on: its report in one of the forms, to a file or as bytes."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from engine import dialects, past
from engine.errors import UnusableWorkspace
from engine.files import write_atomically
from engine.harmless import clean
from engine.ledger import Ledger, Segment
from engine.reporting import MADE_BY, Report, chart, facts, figures, gathering, markdown, page, picture, table
from engine.words import counted

STDOUT = Path("-")
"""The output's name for it."""
HEAD = 2048
"""Bytes of a file in which it says that we made it."""
MOST_REMARKS = 20
"""Lines that could not be read and are told one by one."""


@dataclass(frozen=True)
class Form:
    """One of the forms that a report is handed on in."""

    suffix: str
    render: Callable[[Report], bytes]
    is_text: bool = True
    has_claims: bool = True
    """Whether it says more than what became of each run."""
    most_diffs: int = 0
    """Kept changes that it shows with their diffs."""


FORMS = {
    "md": Form("md", lambda report: markdown.markdown(report).encode(), most_diffs=markdown.MOST_DIFFS),
    "html": Form("html", lambda report: page.page(report).encode(), most_diffs=page.MOST_DIFFS),
    "tsv": Form("tsv", lambda report: table.table(report).encode(), has_claims=False),
    "svg": Form("svg", lambda report: chart.picture(report).encode()),
    "png": Form("png", picture.png, is_text=False),
}


def form_of(output: Path | None) -> str:
    """The form that a file's name asks for; Markdown where there is none. Raises UnusableWorkspace."""
    if output is None or output == STDOUT:
        return "md"
    if (form := output.suffix.removeprefix(".").lower()) not in FORMS:
        raise UnusableWorkspace(f"{output} does not end in one of {', '.join(FORMS)}: say --format.")
    return form


def report_on(path: Path, segment: int | None = None, form: str = "html") -> Report:
    """The report on the session at ``path``, a workspace or a ledger; on its last segment, or another (from 1).

    It holds what ``form`` shows; the page shows all there is. Raises UnusableWorkspace where there is no
    session, or several are.
    """
    ledger = _ledger_at(path)
    try:
        book = dialects.read(ledger)
    except UnusableWorkspace as error:
        raise UnusableWorkspace(f"{ledger} can't be read: {error}") from None
    chosen = _segment(ledger, book, segment)
    place, wanted = ledger.resolve(), FORMS[form]
    if not wanted.has_claims:
        return gathering.outline(book, chosen, facts.named(place))
    found = gathering.report(book, chosen, facts.gather(place))
    return gathering.with_diffs(found, partial(facts.diff, place), wanted.most_diffs)


def remarks(report: Report) -> list[str]:
    """What whoever exports it must hear, besides the report: a sentence each."""
    bad, path = report.bad_lines, report.facts.ledger
    said = [f"{path}: this is {which}"] if (which := figures.which(report)) else []
    said += [f"{path}, line {each.number}: {clean(each.problem)}" for each in bad[:MOST_REMARKS]]
    if (left := len(bad) - MOST_REMARKS) > 0:
        said.append(f"{path}: and {counted(left, 'more line')} that could not be read")
    return said


def _ledger_at(path: Path) -> Path:
    if not path.exists():
        raise UnusableWorkspace(f"there is no {path}.")
    found = list(past.find(path))
    if not found:
        raise UnusableWorkspace(f"there is no session in {path}.")
    if len(found) > 1:
        names = ", ".join(str(each) for each in found[:3])
        raise UnusableWorkspace(f"there are {len(found)} sessions in {path}: name one, as in {names}.")
    return found[0]


def _segment(path: Path, book: Ledger, number: int | None) -> Segment:
    if not book.segments:
        raise UnusableWorkspace(f"no session was begun in {path} yet.")
    if number is None:
        return next((each for each in reversed(book.segments) if each.experiments), book.segments[-1])
    if not 1 <= number <= len(book.segments):
        raise UnusableWorkspace(f"{path} has segments 1 to {len(book.segments)}, and no segment {number}.")
    return book.segments[number - 1]


def write(report: Report, form: str, output: Path, *, force: bool = False) -> list[Path]:
    """Write the report to ``output``; returns what was written: Markdown gets the chart beside it.

    A file that is there already is replaced only where it says that we made it, or by ``force``; nothing is written
    before all of it may be. Raises UnusableWorkspace, or OSError with the file's name.
    """
    contents: dict[Path, bytes] = {}
    if form == "md" and report.baseline is not None:
        beside = output.with_suffix(".png")
        contents[beside] = picture.png(report)
        contents[output] = markdown.markdown(report, chart=beside.name).encode()
    else:
        contents[output] = FORMS[form].render(report)
    for path in contents:
        _refuse(path, force=force)
    for path, content in contents.items():
        with _naming(path):
            write_atomically(path, content)
    return list(reversed(contents))


def write_to(stream: BinaryIO, content: bytes) -> None:
    """Write to the standard output, all of it. Raises OSError."""
    with _naming("the standard output"):
        stream.write(content)
        stream.flush()


@contextmanager
def _naming(place: Path | str) -> Iterator[None]:
    """An OSError names what the person named, and not the draft that was to become it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(place)) from error


def _refuse(path: Path, *, force: bool) -> None:
    """Raises UnusableWorkspace where a file can't be put at ``path``, or something of the person's is there."""
    if not path.parent.is_dir():
        raise UnusableWorkspace(f"there is no directory {path.parent}.")
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not stat.S_ISREG(path.stat().st_mode):
        raise UnusableWorkspace(f"{path} is no regular file: name another with --output.")
    if force:
        return
    with path.open("rb") as file:
        if MADE_BY.encode() not in file.read(HEAD):
            raise UnusableWorkspace(f"{path} is there already, and no export made it: name another, or say --force.")
