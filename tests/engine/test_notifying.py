"""Messages to a person who is away: real engines, apprise itself, and an endpoint on loopback that takes them."""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engine import events, messenger
from engine.events import EventFollower, EventLog
from engine.ledger import Config, Experiment, LedgerFile
from engine.notifying import Notifier, notifying
from engine.runner import environment as environment_of_a_run
from engine.settings import NotifySettings, RunSettings
from engine.workspace import Workspace
from tests.engine.workspaces import PROGRAM, TRAIN, environment, git, make, until

SECRET = "s3cr3t-t0k3n"


@dataclass
class Phone:
    """Where messages arrive."""

    url: str = ""
    got: list[dict[str, str]] = field(default_factory=list)

    @property
    def titles(self) -> list[str]:
        return [each["title"] for each in self.got]


@pytest.fixture
def phone() -> Iterator[Phone]:
    phone = Phone()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            phone.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    phone.url = f"json://127.0.0.1:{server.server_port}/{SECRET}"
    yield phone
    server.shutdown()
    thread.join()
    server.server_close()


def away(workspace: Workspace, *on: str, **settings: object) -> None:
    """Have autoresearch.toml say what a person wants to be called for."""
    text = workspace.settings.read_text().partition("\n[notify]")[0]
    more = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    workspace.settings.write_text(f"{text}\n[notify]\non = {json.dumps(on)}\n{more}")
    git(workspace.root, "commit", "--quiet", "-am", "call me")


def run(workspace: Workspace, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "run", str(workspace.root), "--headless", *arguments],
        env=environment(0) | variables,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def warnings(workspace: Workspace) -> list[str]:
    found = [each.message for each in EventFollower(workspace.events) if isinstance(each, events.Warned)]
    return [each for each in found if "message to you" in each]


def check_secret(workspace: Workspace, *said: str) -> None:
    """The URL is in nothing that the engine wrote or printed."""
    for path in workspace.state.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    assert not any(SECRET in each for each in said)


def test_a_night_is_told_and_the_run_knows_nothing_of_it(tmp_path: Path, phone: Phone) -> None:
    tells = "import os, sys\nprint([name for name in os.environ if 'NOTIFY' in name or 'APPRISE' in name])\n"
    workspace = make(tmp_path / "night", TRAIN.replace("import math\n", f"import math\n{tells}"))
    away(workspace, "incumbent", "stop", urls="AUTORESEARCH_NOTIFY")
    done = run(workspace, "--experiments", "6", AUTORESEARCH_NOTIFY=phone.url, APPRISE_URLS="json://nowhere")
    assert done.returncode == 0, done.stderr
    first, last = phone.got[0], phone.got[-1]
    assert first["title"].startswith("night: val_bpb 1.0") and "after run" in first["title"]
    assert first["type"] == "success" and "In all −" in first["message"] and "unproven" in first["message"]
    assert last["title"] == "night: stopped: 6 experiments are done" and last["type"] == "info"
    assert last["message"].startswith("val_bpb went from 1.0184 to ")
    assert len(phone.got) == 2  # what was kept within a minute of the first message is in the last one
    assert "[]" in workspace.run_folder(1).log.read_text()
    assert warnings(workspace) == []
    check_secret(workspace, done.stdout, done.stderr)


def test_trouble_is_told(tmp_path: Path, phone: Phone) -> None:
    workspace = make(tmp_path / "night", "raise SystemExit(3)\n")
    away(workspace, "stop")
    done = run(workspace, "--experiments", "2", APPRISE_URLS=phone.url)
    (only,) = phone.got
    assert done.returncode == 1 and only["type"] == "failure"
    assert only["title"].startswith("night: needs you: "), only


def test_an_endpoint_that_is_dead_is_one_warning_that_names_no_url(tmp_path: Path, phone: Phone) -> None:
    workspace = make(tmp_path / "night")
    away(workspace, "incumbent", "stop")
    dead = f"json://127.0.0.1:9/{SECRET}"
    done = run(workspace, "--experiments", "4", APPRISE_URLS=f"{dead} {phone.url}")
    assert done.returncode == 0, done.stderr
    assert warnings(workspace) == ["a message to you can't be sent: URL 1 of 2 in APPRISE_URLS takes no messages"]
    assert phone.titles[-1] == "night: stopped: 4 experiments are done"
    check_secret(workspace, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "neither APPRISE_URLS nor "),
        (f"nonsense://{SECRET}", "does not know what to make of the URL in APPRISE_URLS"),
        (SECRET, "does not know what to make of the URL in APPRISE_URLS"),
    ],
)
def test_what_cannot_work_is_said_at_once_and_the_loop_goes_on(tmp_path: Path, given: str, words: str) -> None:
    workspace = make(tmp_path / "night")
    away(workspace, "stop")
    done = run(workspace, "--experiments", "1", APPRISE_URLS=given, XDG_CONFIG_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    (warning,) = warnings(workspace)
    assert words in warning
    check_secret(workspace, done.stdout, done.stderr)


def test_without_apprise_the_loop_goes_on_and_says_what_to_install(tmp_path: Path) -> None:
    workspace = make(tmp_path / "night")
    away(workspace, "stop")
    code = f"""
import sys
sys.modules["apprise"] = None
from pathlib import Path
from engine.launch import run_engine
from engine.workspace import Workspace
print(run_engine(Workspace(Path({str(workspace.root)!r})), experiments=1))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(0), capture_output=True, text=True, timeout=240, check=False
    )
    assert done.stdout == "1 experiment is done\n", done.stderr
    (warning,) = warnings(workspace)
    assert "apprise is not installed: `pip install" in warning


def test_off_is_the_default_and_then_nothing_listens(workspace: Workspace) -> None:
    def listener(event: events.Event) -> None:
        raise AssertionError

    with notifying(workspace, NotifySettings(), listener) as hears:
        assert hears is listener
    assert not any(each.name == "notifier" for each in threading.enumerate())


@pytest.fixture
def session(workspace: Workspace) -> Workspace:
    workspace.state.mkdir()
    LedgerFile(workspace).open_segment(Config(branch="autoresearch/t"))
    LedgerFile(workspace).append(Experiment(run=0, metric=2.0, status="keep", description="baseline"))
    return workspace


@pytest.fixture
def notifier(session: Workspace, phone: Phone, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notifier]:
    """One that wants everything, and takes a tenth of a second for a stall."""
    monkeypatch.setenv("APPRISE_URLS", phone.url)
    settings = NotifySettings(on=["incumbent", "stop", "stall"], stall_minutes=0.1 / 60)
    notifier = Notifier(session, settings, EventLog(session))
    notifier.start()
    yield notifier
    notifier.close()


def test_a_stall_is_told_once_and_again_after_something_happened(
    session: Workspace, notifier: Notifier, phone: Phone
) -> None:
    until(lambda: phone.got, "the stall")
    assert phone.titles == [f"{session.root.name}: nothing has happened for 1 minute"]
    assert "run.log has not grown" in phone.got[0]["message"] and phone.got[0]["type"] == "warning"
    session.run_log.write_text("step 1\n")
    until(lambda: len(phone.got) == 2, "the next stall")


def test_a_pause_is_no_stall_and_is_told_where_there_is_a_reason(
    session: Workspace, notifier: Notifier, phone: Phone
) -> None:
    notifier.hear(events.Paused(reason="No space left on device"))
    until(lambda: any("No space left" in each for each in phone.titles), "the pause")
    assert phone.titles[-1].endswith(": paused, and needs you: No space left on device")
    count = len(phone.got)
    notifier.hear(events.Paused())
    notifier.close()
    assert len(phone.got) == count


def test_what_a_proposer_wrote_is_made_harmless(session: Workspace, notifier: Notifier, phone: Phone) -> None:
    notifier.hear(events.Paused())
    said = "\x1b[31mdeeper\x1b[0m\n\u202e" + "x" * 500
    LedgerFile(session).append(Experiment(run=0, metric=1.9, status="keep", description=said))
    notifier.hear(events.Recorded(run=2, status="keep"))
    until(lambda: any("after run 2" in each for each in phone.titles), "the incumbent")
    (message,) = [each["message"] for each in phone.got if "after run 2" in each["title"]]
    assert message.startswith("deeper xxx") and len(message) < 300


def test_the_urls_can_be_in_a_file_of_the_persons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("APPRISE_URLS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert messenger.urls(NotifySettings()) == []
    messenger.urls_file().parent.mkdir(parents=True)
    messenger.urls_file().write_text("# my phone\n\njson://127.0.0.1/a\n  json://127.0.0.1/b?to=x,y\n")
    assert messenger.urls(NotifySettings()) == ["json://127.0.0.1/a", "json://127.0.0.1/b?to=x,y"]
    assert messenger.what_is_wrong(NotifySettings()) == ""
    assert logging.getLogger("apprise").level > logging.CRITICAL


def test_no_run_sees_the_urls_whatever_the_variable_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("APPRISE_URLS", "AUTORESEARCH_NOTIFY", "AUTORESEARCH_URLS", "TORCH_WEBHOOK"):
        monkeypatch.setenv(name, SECRET)
    assert SECRET not in environment_of_a_run(RunSettings(), "x").values()
    assert SECRET in os.environ.values()
