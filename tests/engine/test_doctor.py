"""The doctor: each thing that is missing is found, said and remedied in words; nothing is changed."""

import json
import os
import shutil
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pynvml
import pytest

from engine import doctor, events, journal, messenger
from engine.doctor import examine
from engine.events import EventLog
from engine.finding import Finding
from engine.initialize import Profile, initialize
from engine.journal import InFlight, Phase
from engine.presence import holding
from engine.settings import AgentSettings, ChatSettings, NotifySettings, RunSettings, Settings
from engine.workspace import Workspace
from tests.engine.workspaces import git, make, snapshot

NO_TORCH = doctor.PROBE.replace("import torch\n", "raise ImportError('no torch here')\n")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch takes seconds to import; one test has it."""
    monkeypatch.setattr(doctor, "PROBE", NO_TORCH)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make(tmp_path / "work")


def found(workspace: Workspace, chosen: Settings | None = None, *, wants_gpu: bool | None = None) -> dict[str, Finding]:
    return {each.name: each for each in examine(workspace, chosen, wants_gpu=wants_gpu)}


def test_a_sound_workspace_has_nothing_wrong_and_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    workspace = Workspace.at(tmp_path / "demo")
    workspace.root.mkdir()
    git(workspace.root, "init", "--quiet")
    initialize(workspace, "t", Profile.load("demo"))
    before = snapshot(workspace.root)
    findings = found(workspace)
    assert [each for each in findings.values() if each.ok is False] == [findings["data"]]
    assert "autoresearch-tui prepare" in findings["data"].said
    assert findings["session"].ok and "autoresearch/t-" in findings["session"].said
    assert findings["ignored"].ok and findings["ledger"].said == "0 runs in 1 segment"
    assert findings["guarded"].ok and "prepare.py" in findings["guarded"].said
    assert findings["torch"].ok and findings["python"].ok and "5 packages" in findings["python"].said
    assert findings["proposer"].ok and findings["disk"].name == "disk"
    assert snapshot(workspace.root) == before


def test_a_directory_without_a_session_is_no_fault(tmp_path: Path) -> None:
    for root, chosen in ((tmp_path, None), (tmp_path / "not" / "there", Settings())):
        findings = found(Workspace(root), chosen)
        assert findings["session"].ok is None and f"autoresearch-tui {root}" in findings["session"].remedy
        assert findings["data"].ok is None
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_there_is_named_and_how_one_is_begun(tmp_path: Path) -> None:
    finding = found(Workspace(tmp_path / "no where"))["session"]
    assert finding.ok is False and finding.said == f"there is no directory {tmp_path / 'no where'}."
    assert f"`autoresearch-tui '{tmp_path / 'no where'}'`" in finding.remedy


@pytest.mark.parametrize("branch", ["main", "autoresearch/mar5"])
@pytest.mark.parametrize("name", ["results.tsv", ".auto/log.jsonl"])
def test_another_tools_session_is_one_that_can_be_watched(tmp_path: Path, branch: str, name: str) -> None:
    git(tmp_path, "init", "--quiet", f"--initial-branch={branch}")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "theirs")
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    rows = "commit\tval_bpb\tstatus\tdescription\n0123456\t1.0\tkeep\tbaseline\n"
    line = '{"type":"config","name":"x","metricName":"val_bpb"}\n{"run":1,"metric":1.0,"status":"keep"}\n'
    file.write_text(rows if name == "results.tsv" else line)
    findings = found(Workspace(tmp_path))
    assert findings["session"].ok is None and findings["session"].said == f"{file} is another tool's."
    assert f"`autoresearch-tui watch {tmp_path}`" in findings["session"].remedy
    assert "ledger" not in findings and "guarded" not in findings


@pytest.mark.parametrize("has_ledger", [False, True])
def test_a_bare_repository_is_said_once(tmp_path: Path, has_ledger: bool) -> None:
    git(tmp_path, "init", "--quiet", "--bare")
    if has_ledger:
        (tmp_path / "autoresearch.jsonl").touch()
    (finding,) = [
        each for each in examine(Workspace(tmp_path)) if "git repository" in each.said or " bare " in each.said
    ]
    assert finding.name == "session" and finding.ok is False and "is a bare repository" in finding.said


def break_train(workspace: Workspace) -> None:
    workspace.train.write_text("def broken(:\n")


def leave_branch(workspace: Workspace) -> None:
    git(workspace.root, "switch", "--quiet", "main")


def lose_repository(workspace: Workspace) -> None:
    shutil.rmtree(workspace.root / ".git")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (break_train, "not valid Python"),
        (leave_branch, "the branch main is checked out"),
        (lose_repository, "is not a git repository"),
        (lambda workspace: workspace.prepare.unlink(), "prepare.py is missing"),
    ],
)
def test_a_session_that_could_not_start_says_why(
    workspace: Workspace, harm: Callable[[Workspace], None], words: str
) -> None:
    harm(workspace)
    finding = found(workspace)["session"]
    assert finding.ok is False and words in finding.said


def test_a_guarded_file_that_was_edited_is_named(workspace: Workspace) -> None:
    workspace.prepare.write_text("MAX_SEQ_LEN = 512\n")
    finding = found(workspace)["guarded"]
    assert finding.ok is None and finding.said.startswith("prepare.py is not as committed") and "git" in finding.remedy


def test_edits_of_train_py_that_are_not_committed_are_named(workspace: Workspace) -> None:
    assert found(workspace)["train.py"].ok
    workspace.train.write_text("DEPTH = 5\n")
    finding = found(workspace)["train.py"]
    assert finding.ok is None and "not committed" in finding.said and "measured first" in finding.remedy


def test_a_ledger_with_lines_that_cannot_be_read_or_none(workspace: Workspace) -> None:
    assert found(workspace)["ledger"].said == "0 runs in 1 segment"
    with workspace.ledger.open("a") as file:
        file.write("garbage\n")
    finding = found(workspace)["ledger"]
    assert finding.ok is None and "1 line can't be read, the first is 2" in finding.said
    workspace.ledger.unlink()
    finding = found(workspace)["ledger"]
    assert finding.ok is None and "there is no autoresearch.jsonl" in finding.said


def test_an_engine_that_runs_rests_or_was_cut_off(workspace: Workspace) -> None:
    assert found(workspace)["engine"].said == "none runs"
    EventLog(workspace).emit(events.Paused(reason="No space left on device"))
    flight = InFlight(id="x", run=1, phase=Phase.RUNNING, parent="c", description="d", source="search")
    journal.save(workspace, flight)
    finding = found(workspace)["engine"]
    assert finding.ok is None and "`p` resumes" in finding.remedy
    assert finding.said == "none runs; run 1 was cut off, paused (No space left on device)."
    workspace.engine_pid.write_text(json.dumps({"pid": 2**22 + 1, "born": 1.0, "started": 1.0}))
    assert found(workspace)["engine"].ok is None  # it died: what it left behind is no engine
    with holding(workspace):
        finding = found(workspace)["engine"]
        assert finding.ok and f"process id {os.getpid()}" in finding.said and "train.py" not in found(workspace)


def test_what_a_session_writes_is_not_to_be_in_git(workspace: Workspace) -> None:
    assert found(workspace)["ignored"].ok
    exclude = workspace.root / ".git" / "info" / "exclude"
    rules = exclude.read_text()
    exclude.write_text(rules.replace("/run.log\n", ""))
    finding = found(workspace)["ignored"]
    assert (
        finding.ok is None and finding.said == "git does not ignore run.log." and ".git/info/exclude" in finding.remedy
    )
    git(workspace.root, "add", "--force", "autoresearch.jsonl")
    finding = found(workspace)["ignored"]
    assert finding.ok is False and "git rm -r --cached autoresearch.jsonl" in finding.remedy


def test_settings_that_are_no_use_hide_nothing_else_and_are_said_once(workspace: Workspace) -> None:
    workspace.settings.write_text("proposer = 3\n")
    findings = list(examine(workspace))
    assert sum("autoresearch.toml is not usable" in each.said for each in findings) == 1
    assert {"disk", "GPU", "ledger", "ignored"} <= {each.name for each in findings}


def test_an_endpoint_nearby_that_does_not_answer(workspace: Workspace) -> None:
    def of(url: str) -> Finding:
        chosen = Settings(proposer="chat", chat=ChatSettings(base_url=url, model="m", key=""))
        return found(workspace, chosen)["proposer"]

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert of(f"http://localhost:{port}/v1").ok
    finding = of(f"http://127.0.0.1:{port}/v1")
    assert finding.ok is False and "nobody answers there" in finding.said and "base_url" in finding.remedy
    assert of("https://far.example/v1").ok  # not asked


def test_messages_are_looked_at_where_they_are_wanted(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("APPRISE_URLS", raising=False)
    chosen = Settings(notify=NotifySettings(on=["stop"]))
    assert "messages" not in found(workspace)
    finding = found(workspace, chosen)["messages"]
    assert finding.ok is False and "neither APPRISE_URLS nor" in finding.said
    messenger.urls_file().parent.mkdir()
    messenger.urls_file().write_text("json://127.0.0.1/secret\n")
    messenger.urls_file().chmod(0o644)
    finding = found(workspace, chosen)["messages"]
    assert finding.ok is None and "chmod 600" in finding.remedy
    messenger.urls_file().chmod(0o600)
    finding = found(workspace, chosen)["messages"]
    assert finding.ok and finding.said.startswith("on stop: 1 URL in") and "secret" not in finding.said


@pytest.mark.parametrize(
    ("capability", "built_for", "runs"),
    [
        ("9.0", ("sm_80", "sm_90"), True),
        ("8.9", ("sm_80", "sm_90"), True),
        ("9.0", ("sm_90a",), True),
        ("12.0", ("sm_80", "sm_90"), False),
        ("12.0", ("sm_80", "compute_90"), True),
        ("7.0", ("sm_75", "sm_80"), False),
        ("9.0", (), True),
    ],
)
def test_a_build_of_torch_and_a_gpu(capability: str, built_for: tuple[str, ...], runs: bool) -> None:
    assert doctor.runs_on(capability, built_for) is runs


@pytest.mark.parametrize(
    ("said", "name", "ok", "words"),
    [
        ({"capability": "9.0"}, "attention", None, "kernels is not installed"),
        ({"capability": "9.0", "packages": {"kernels": "0.12"}}, "attention", True, "kernels 0.12"),
        ({"capability": "12.0"}, "torch", False, "built for sm_90"),
    ],
)
def test_what_torch_says_of_a_gpu(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, said: dict[str, object], name: str, ok: bool, words: str
) -> None:
    told = {"python": "3.12", "torch": "2.13", "cuda": "13.0", "device": "a GPU", "built_for": ["sm_90"]}
    installed = dict.fromkeys(("numpy", "pyarrow", "rustbpe", "tiktoken", "torch"), "1") | said.pop("packages", {})  # type: ignore[operator]
    monkeypatch.setattr(doctor, "PROBE", f"print({json.dumps(json.dumps(told | {'packages': installed} | said))})")
    finding = found(workspace)[name]
    assert finding.ok is ok and words in finding.said


def test_git_that_is_missing_or_knows_nobody(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_identity: None
) -> None:
    finding = found(workspace)["git"]
    assert finding.ok is None and "autoresearch@localhost" in finding.said and "user.name" in finding.remedy
    old = tmp_path / "old" / "git"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho git version 2.17.1\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}:{os.environ['PATH']}")
    assert "too old" in found(Workspace(tmp_path / "new"))["git"].said
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert "no git on PATH" in found(workspace)["git"].said


def test_a_full_disk(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type(shutil.disk_usage(workspace.root))
    for free, ok in ((5 * 2**20, False), (4 * 2**30, None), (500 * 2**30, True)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: usage(10**12, 10**12 - free, free))
        finding = found(workspace)["disk"]
        assert finding.ok is ok and bool(finding.remedy) is (ok is not True)


def test_a_gpu_that_is_wanted_and_not_there(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", none)
    assert found(workspace)["GPU"].ok is None
    assert found(workspace, wants_gpu=True)["GPU"].ok is False
    workspace.prepare.write_text("FLOP_BUDGET = None  # by the clock\n")
    assert found(workspace)["GPU"].ok is False
    workspace.prepare.write_text("FLOP_BUDGET = 750_000_000_000\n")
    assert "needs none" in found(workspace)["GPU"].said


def test_an_environment_of_uvs_that_is_not_there_yet(workspace: Workspace) -> None:
    findings = found(workspace, Settings(run=RunSettings(python="uv")))
    assert findings["python"].ok is None and "prepare" in findings["python"].remedy
    assert findings["uv"].ok is (shutil.which("uv") is not None)
    assert findings["data"].ok is None or findings["data"].ok


def test_packages_that_are_missing_and_a_python_that_does_not_work(workspace: Workspace) -> None:
    workspace.pyproject.write_text('[project]\ndependencies = ["numpy>=2", "no-such-package==1 ; x", 7, "torch"]\n')
    findings = found(workspace)
    assert findings["python"].ok is False and "lacks no-such-package." in findings["python"].said
    assert findings["torch"].ok is False and "no torch here" in findings["torch"].said
    python = workspace.root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho broken >&2; exit 3\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    findings = found(workspace, Settings(run=RunSettings(python="uv")))
    assert findings["python"].ok is False and "broken" in findings["python"].said
    workspace.pyproject.write_text("not toml")
    assert "pyproject.toml is not usable" in found(workspace)["python"].said


def test_a_proposer_that_cannot_work(workspace: Workspace) -> None:
    finding = found(workspace, Settings(proposer="agent", agent=AgentSettings(command=["/no/such/agent"])))["proposer"]
    assert finding.ok is False and "/no/such/agent" in finding.said
    finding = found(workspace, Settings(proposer="agent", agent=AgentSettings(command=[sys.executable])))["proposer"]
    assert finding.ok and finding.said.startswith("agent: ")
