"""The agent skill, put where coding agents look for skills, or brought up to date there.

It ignores itself (a .gitignore of its own), so that no experiment commits it, in whatever repository or none.
"""

import hashlib
import os
import shutil
import tomllib
from pathlib import Path

from engine import obstacles
from engine.errors import UnusableWorkspace
from engine.initialize import ASSETS, HOUSE
from engine.workspace import Workspace

NAME = "autoresearch"
PLACES = (".claude/skills", ".agents/skills")
"""Claude Code reads the first; Codex, OpenCode, Gemini CLI, Goose, Cursor and Amp the second."""
SOURCE = ASSETS / "skill"
MANIFEST = ".installed"
"""In an installed skill: the checksum of each of its files, which tells an edit of the person's from an old version."""
CACHE = "__pycache__"


def files() -> dict[str, bytes]:
    """The skill's files by their names in it."""
    own = {
        path.relative_to(SOURCE).as_posix(): path.read_bytes()
        for path in SOURCE.rglob("*")
        if path.is_file() and CACHE not in path.parts
    }
    template = tomllib.loads((ASSETS / "skill.toml").read_text("utf-8"))["template"]
    copied = {f"template/{name}": (HOUSE / source).read_bytes() for name, source in template.items()}
    return own | copied | {".gitignore": b"*\n"}


def homes(workspace: Workspace) -> list[Path]:
    """Where the skill goes in a directory."""
    return [workspace.root / place / NAME for place in PLACES]


def refuse(workspace: Workspace) -> None:
    """Raises UnusableWorkspace where the directory is none, or something of the person's is in the skill's place."""
    obstacles.refuse_missing_directory(workspace)
    contents = files()
    for home in homes(workspace):
        for directory in (home.parent.parent, home.parent):
            if os.path.lexists(directory) and not directory.is_dir():
                raise UnusableWorkspace(f"{directory} is no directory, and the skill belongs in there: move it away.")
        if home.is_symlink() or (home.exists() and not home.is_dir()):
            raise UnusableWorkspace(f"{home} is no directory of ours, and the skill belongs there: move it away.")
        known = _manifest(home)
        for name, path in _found(home).items():
            sums = (known.get(name), _sum(contents[name]) if name in contents else None)
            if name != MANIFEST and _sum(path.read_bytes()) not in sums:
                raise UnusableWorkspace(
                    f"{path} was not put there by autoresearch-tui, or was changed since: move {home} away."
                )


def install(workspace: Workspace) -> list[Path]:
    """Put the skill in its places, each at once or not at all; returns them. Raises as ``refuse`` does."""
    refuse(workspace)
    contents = files()
    contents[MANIFEST] = "".join(f"{_sum(content)}  {name}\n" for name, content in sorted(contents.items())).encode()
    for home in homes(workspace):
        try:
            home.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            said = f"{home.parent} can't be made ({error.strerror})"
            raise UnusableWorkspace(f"{said}: make {workspace.root} writable, or name another directory.") from None
        draft, old = (home.with_name(f".{NAME}.{state}") for state in ("draft", "old"))
        for left in (draft, old):
            shutil.rmtree(left, ignore_errors=True)
        if {name: path.read_bytes() for name, path in _found(home).items()} == contents:
            continue
        for name, content in sorted(contents.items()):
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o755 if name.endswith(".sh") else 0o644)
        if home.exists():
            home.rename(old)
        draft.rename(home)
        shutil.rmtree(old, ignore_errors=True)
    return homes(workspace)


def _found(home: Path) -> dict[str, Path]:
    paths = (each for each in home.rglob("*") if each.is_symlink() or not each.is_dir())
    return {path.relative_to(home).as_posix(): path for path in paths if CACHE not in path.parts}


def _manifest(home: Path) -> dict[str, str]:
    """The checksums of what was put there; none where nothing was."""
    path = home / MANIFEST
    lines = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
    pairs = (line.partition("  ") for line in lines)
    return {name: checksum for checksum, _, name in pairs}


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
