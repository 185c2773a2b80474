"""What a workspace says of a session besides its ledger: its diffs, its proposer, what was written down."""

import re
from contextlib import suppress
from pathlib import Path

from engine import events, settings, spending
from engine.changes import Changes
from engine.document import BEGIN, END
from engine.errors import UnusableWorkspace
from engine.events import EventFollower
from engine.files import read_regular
from engine.ledger import Segment
from engine.reporting import Facts
from engine.spending import Spent
from engine.workspace import LEDGER, Workspace

LONGEST_DIFF = 20_000
"""Characters."""
LONGEST_DOCUMENT = 200_000
DIRECTORIES_OF_TOOLS = (".auto", ".autoresearch")
"""Where a ledger may lie inside its workspace."""
_COMMIT = re.compile(r"[0-9a-f]{7,40}")
_LEARNED = re.compile(r"^(#{1,6})\s+.*(?:learned|learnt|tried|findings|lessons).*$", re.IGNORECASE | re.MULTILINE)
_HEADING = re.compile(r"^(#{1,6})\s", re.MULTILINE)


def gather(path: Path, segment: Segment) -> Facts:
    """The facts for the ledger at ``path``; whatever can't be read is left out."""
    place = path.parent.parent if path.parent.name in DIRECTORIES_OF_TOOLS else path.parent
    workspace = Workspace.at(place)
    is_ours = path.name == LEDGER and workspace.state.is_dir()
    return Facts(
        name=workspace.root.name,
        ledger=str(path),
        proposer=_proposer(workspace) if is_ours else "",
        diffs=_diffs(workspace, segment, is_ours=is_ours),
        learned=_learned(workspace),
        in_vain=_in_vain(workspace) if is_ours else spending.NOTHING,
    )


def _proposer(workspace: Workspace) -> str:
    with suppress(UnusableWorkspace, OSError):
        return settings.load(workspace).proposer if workspace.settings.exists() else ""
    return ""


def _in_vain(workspace: Workspace) -> Spent:
    with suppress(OSError):
        failed = (each for each in EventFollower(workspace.events) if isinstance(each, events.ProposalFailed))
        return spending.total(each.cost for each in failed)
    return spending.NOTHING


def _learned(workspace: Workspace) -> str:
    """The section of autoresearch.md on what was learned, less what the engine wrote: that is in the report anyway."""
    text = ""
    with suppress(OSError):
        text = read_regular(workspace.document)[:LONGEST_DOCUMENT].decode("utf-8", "replace")
    if (heading := _LEARNED.search(text)) is None:
        return ""
    rest = text[heading.end() :]
    deeper = len(heading[1])
    end = next((each.start() for each in _HEADING.finditer(rest) if len(each[1]) <= deeper), len(rest))
    before, begin, after = rest[:end].partition(BEGIN)
    return (before + after.partition(END)[2]).strip() if begin else before.strip()


def _diffs(workspace: Workspace, segment: Segment, *, is_ours: bool) -> dict[int, str]:
    """From the runs' folders; what was kept, and has none, from git."""
    found: dict[int, str] = {}
    for at, experiment in enumerate(segment.experiments):
        diff = ""
        if is_ours:
            with suppress(OSError):
                folder = workspace.run_folder(experiment.folder_number)
                diff = read_regular(folder.diff).decode("utf-8", "replace")
        if not diff and experiment.kept and experiment is not segment.baseline:
            diff = _from_git(workspace, experiment.commit)
        if diff:
            found[at] = diff if len(diff) <= LONGEST_DIFF else diff[:LONGEST_DIFF] + "\n… cut here: it is longer\n"
    return found


def _from_git(workspace: Workspace, commit: str) -> str:
    return Changes(workspace.root).of(commit).decode("utf-8", "replace") if _COMMIT.fullmatch(commit) else ""
