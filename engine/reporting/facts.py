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
from engine.ledger import Experiment
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


def gather(path: Path) -> Facts:
    """The facts for the ledger at ``path``; whatever can't be read is left out."""
    workspace = _workspace(path)
    is_ours = _is_ours(path, workspace)
    return Facts(
        name=workspace.root.name,
        ledger=str(path),
        proposer=_proposer(workspace) if is_ours else "",
        learned=_learned(workspace),
        in_vain=_in_vain(workspace) if is_ours else spending.NOTHING,
    )


def named(path: Path) -> Facts:
    """The facts that cost nothing."""
    return Facts(name=_workspace(path).root.name, ledger=str(path))


def diff(path: Path, experiment: Experiment) -> str:
    """What a kept experiment of the ledger at ``path`` changed: by its run's folder, else by git; empty: unknown."""
    workspace, found = _workspace(path), ""
    if _is_ours(path, workspace):
        with suppress(OSError):
            folder = workspace.run_folder(experiment.folder_number)
            found = read_regular(folder.diff).decode("utf-8", "replace")
    if not found and _COMMIT.fullmatch(experiment.commit):
        found = Changes(workspace.root).of(experiment.commit).decode("utf-8", "replace")
    return found if len(found) <= LONGEST_DIFF else found[:LONGEST_DIFF] + "\n… cut here: it is longer\n"


def _workspace(path: Path) -> Workspace:
    return Workspace.at(path.parent.parent if path.parent.name in DIRECTORIES_OF_TOOLS else path.parent)


def _is_ours(path: Path, workspace: Workspace) -> bool:
    return path.name == LEDGER and workspace.state.is_dir()


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
