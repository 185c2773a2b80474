"""The skill's scripts as an agent runs them where this package is not installed, under every shell and awk there is."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from engine.skill import SOURCE

SCRIPTS = SOURCE / "scripts"
LOG, METRICS = SCRIPTS / "log-experiment.sh", SCRIPTS / "parse-metrics.sh"
TOOLS = (
    *("sh", "awk", "cat", "cut", "date", "dd", "dirname", "flock", "head", "mkdir", "mv", "od", "rm", "rmdir", "sed"),
    *("sleep", "sync", "tail", "tr", "wc"),
)
"""All that they need."""
KINDS = {
    "dash, mawk": ("dash", "mawk"),
    "bash, gawk": ("bash", "gawk"),
    "dash, the original awk": ("dash", "original-awk"),
    "busybox": ("busybox", "busybox"),
}


@dataclass(frozen=True)
class Shell:
    """A PATH with one shell, one awk and the few tools, and no autoresearch-tui."""

    path: Path

    @classmethod
    def make(cls, path: Path, kind: str = "", without: tuple[str, ...] = ()) -> "Shell":
        """``kind``: one of KINDS; empty: the machine's own sh and awk. ``without``: tools that are not installed."""
        shell, awk = KINDS.get(kind, ("sh", "awk"))
        path.mkdir()
        for tool in TOOLS:
            name = {"sh": shell, "awk": awk}.get(tool, "busybox" if shell == "busybox" and tool != "flock" else tool)
            found = shutil.which(name)
            if found and tool not in without:
                (path / tool).symlink_to(os.path.realpath(found))
        if awk == "gawk":
            (path / "awk").unlink()
            (path / "awk").write_text(f'#!/bin/sh\nexec {shutil.which("gawk")} --posix "$@"\n')
            (path / "awk").chmod(0o755)
        return cls(path)

    def run(
        self, script: Path, *arguments: object, given: bytes = b"", cwd: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one of the scripts."""
        command = [self.path / "sh", script, *(os.fsencode(str(each)) for each in arguments)]
        environment = {"PATH": str(self.path)}
        return subprocess.run(command, input=given, cwd=cwd, env=environment, capture_output=True, check=False)


def kinds() -> list[str]:
    """Those of KINDS that are installed; never none."""
    return [kind for kind, programs in KINDS.items() if all(map(shutil.which, programs))] or [""]
