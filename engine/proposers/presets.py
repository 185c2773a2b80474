"""How the common agents are run without a person: one table.

{prompt} is what is to be done in one sentence, {context} the file that says it all; that is on standard input
too. Where an agent can be kept from running commands, it is: an edit of train.py is all that is wanted.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """One agent's command line."""

    command: tuple[str, ...]
    known_from: str
    """How far it was tried."""


DOCUMENTED = "its documentation; not run"
REMEMBERED = "not verified"

PRESETS = {
    "claude": Preset(("claude", "-p", "{prompt}", "--permission-mode", "acceptEdits"), DOCUMENTED),
    "codex": Preset(
        ("codex", "exec", "--sandbox", "workspace-write", "--skip-git-repo-check", "--color", "never", "{prompt}"),
        "codex-cli 0.169.0, run by tests/benchmarks/real_agents.py",
    ),
    "gemini": Preset(("gemini", "-p", "{prompt}", "--approval-mode", "auto_edit", "--skip-trust"), DOCUMENTED),
    "qwen": Preset(("qwen", "-p", "{prompt}", "--approval-mode", "auto-edit"), DOCUMENTED),
    "opencode": Preset(("opencode", "run", "{prompt}"), "opencode 1.18.33, run by tests/benchmarks/real_agents.py"),
    "cursor": Preset(("cursor-agent", "-p", "{prompt}", "--output-format", "text"), DOCUMENTED),
    "goose": Preset(("goose", "run", "--no-session", "-t", "{prompt}"), DOCUMENTED),
    "amp": Preset(("amp", "-x", "{prompt}"), DOCUMENTED),
    "aider": Preset(
        (
            *("aider", "--message-file", "{context}", "--yes-always", "--no-auto-commits", "--no-pretty"),
            *("--no-check-update", "train.py"),
        ),
        REMEMBERED,
    ),
}
