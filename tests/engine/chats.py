"""Whole sessions with a scripted model at an endpoint on loopback: settings, answers, and what is left on disk."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from engine import events
from engine.events import EventFollower
from engine.ledger import Experiment
from engine.transcript import Said
from engine.workspace import Workspace
from tests.engine.endpoints import Exchange, Reply, says
from tests.engine.workspaces import expected_subjects, experiments, git, subjects

KEY = "sk-test-c0ffee-not-to-be-written-anywhere"
KEY_NAME = "A_KEY"

_TRAIN = re.compile(r"^<(data-\w+) train\.py>\n(.*?)^</\1>$", re.M | re.S)


def use(workspace: Workspace, url: str, proposer: str = "chat", **tables: dict[str, object]) -> None:
    """Have the scripted model propose; ``tables``: more of autoresearch.toml."""
    chat = {"base_url": url, "model": "scripted", "key": KEY_NAME} | tables.pop("chat", {})
    policy = {"baseline_repeats": 1} | tables.pop("policy", {})
    run = {"python": "engine", "grace_seconds": 1, "environment": ["AUTORESEARCH_TEST_SECONDS"]} | tables.pop("run", {})
    lines = [f'proposer = "{proposer}"']
    for name, table in ({"chat": chat, "run": run, "policy": policy} | tables).items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    workspace.settings.write_text("\n".join(lines) + "\n")
    git(workspace.root, "commit", "--quiet", "-am", "who proposes")


def give_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of an engine: the key, and no proxy between it and the loopback."""
    monkeypatch.setenv(KEY_NAME, KEY)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def briefing(request: dict) -> str:  # type: ignore[type-arg]
    return str(request["messages"][1]["content"])


def shown_train(request: dict) -> str:  # type: ignore[type-arg]
    """The train.py that the model is shown."""
    found = _TRAIN.search(briefing(request))
    assert found, briefing(request)
    return found[2]


def block(old: str, new: str) -> str:
    return f"<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"


def told(text: str, description: str) -> str:
    """An answer with its notes."""
    notes = {"description": description, "hypothesis": f"why {description}", "arch_change": description}
    return f"I think.\n\n{text}\n```asi\n{json.dumps(notes)}\n```\n"


def edits(pattern: str, change: Callable[[str], str], description: str, **more: object) -> Reply:
    """The line of the shown train.py that begins like this, changed."""

    def reply(exchange: Exchange) -> None:
        lines = shown_train(exchange.body).splitlines()
        line = next(line for line in lines if line.startswith(pattern))
        says(told(block(line, change(line)), description), **more)(exchange)  # type: ignore[arg-type]

    return reply


def moves(knob: str, change: Callable[[float], float], description: str, **more: object) -> Reply:
    """A number of the shown train.py, changed."""

    def changed(line: str) -> str:
        number = re.search(r"= ([\d.]+)", line)
        assert number, line
        value = change(float(number[1]))
        return line.replace(number[0], f"= {round(value) if knob == 'DEPTH' else round(value, 6)}")

    return edits(f"{knob} = ", changed, description, **more)


def seen(workspace: Workspace, kind: type) -> list:  # type: ignore[type-arg]
    return [event for event in EventFollower(workspace.events) if isinstance(event, kind)]


def failures(workspace: Workspace) -> list[events.ProposalFailed]:
    return seen(workspace, events.ProposalFailed)


def warnings(workspace: Workspace) -> list[str]:
    return [event.message for event in seen(workspace, events.Warned)]


def transcript(workspace: Workspace, experiment: Experiment) -> list[Said]:
    path = workspace.run_folder(experiment.folder_number).transcript
    return [msgspec.json.decode(line, type=Said) for line in path.read_bytes().splitlines()] if path.exists() else []


def tokens(cost: dict[str, float]) -> tuple[float, float]:
    return cost.get("tokens_in", 0), cost.get("tokens_out", 0)


def check_clean(workspace: Workspace) -> None:
    """A settled session whose settings are committed; its mended candidates are commits of their own."""
    assert git(workspace.root, "status", "--porcelain") == ""
    assert not workspace.journal.exists()
    if not any("(mended, " in subject for subject in subjects(workspace)):
        before = subjects(workspace).index("who proposes") + 1
        assert subjects(workspace)[before:] == expected_subjects(workspace)
    for each in experiments(workspace):
        at = git(workspace.root, "show", f"{each.commit}:train.py") + "\n"
        assert at == workspace.run_folder(each.folder_number).train.read_text()


def check_nowhere(secret: str, root: Path) -> None:
    """Not in a file, nor in anything that git remembers."""
    assert [path for path in root.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()] == []
    assert secret not in git(root, "log", "-p", "--all")
