"""The commands `log` and `init --skill`: what they print and write, and that bad input changes nothing."""

import json
from pathlib import Path

import pytest

from engine import ledger, skill
from engine.workspace import Workspace
from tests.engine.shells import LOG, Shell
from tests.engine.workspaces import git, snapshot
from tests.tui.test_cli import call, refused
from tui import cli

EXPERIMENT = ("--metric", "0.99", "--status", "keep", "--description", "x")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with a ledger, as an outside agent has it, and nothing else of ours."""
    root = tmp_path / "work"
    root.mkdir()
    (root / "autoresearch.jsonl").write_text('{"run":1,"metric":1,"status":"keep","description":"baseline"}\n{"torn')
    return root


@pytest.mark.parametrize("writer", ["command", "script"])
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "Missing option '--metric'."),
        (EXPERIMENT[:2], "Missing option '--status'."),
        (EXPERIMENT[:4], "Missing option '--description'."),
        ((*EXPERIMENT, "--nonsense", "1"), "No such option"),
        ((*EXPERIMENT, "-x"), "No such option"),
        ((*EXPERIMENT, "lower", "the"), "unexpected extra argument"),
        ((*EXPERIMENT, "--asi"), "Option '--asi' requires an argument."),
        ((*EXPERIMENT, "--run=1"), "run 1 is not the next one, which is 2: leave --run out."),
        ((*EXPERIMENT, "--run", "3"), "run 3 is not the next one, which is 2: leave --run out."),
        ((*EXPERIMENT, "--run", "two"), "--run 'two' is no whole number from 1."),
        ((*EXPERIMENT, "--segment", "1"), "segment 1 is not the current one, which is 0: --config begins the next."),
        ((*EXPERIMENT, "--segment", "-1"), "--segment '-1' is no whole number from 0."),
        ((*EXPERIMENT, "--commit", "HEAD"), "--commit 'HEAD' is no commit: give what `git rev-parse"),
        ((*EXPERIMENT, "--metric", "nan"), "--metric 'nan' is neither a finite number nor null."),
        ((*EXPERIMENT, "--metric", "null"), "a kept experiment has a metric"),
        ((*EXPERIMENT, "--status", "kept"), "--status 'kept' is none of keep, discard, crash, checks_failed."),
        ((*EXPERIMENT, "--description", ""), "--description is empty: say what was tried."),
        ((*EXPERIMENT, "--metrics", '{"a": NaN}'), "--metrics is no JSON object of finite numbers"),
        ((*EXPERIMENT, "--asi", "{"), "--asi is no JSON object"),
        ((*EXPERIMENT, "--config"), "--metric belongs to an experiment, and --config begins a segment."),
        ((*EXPERIMENT, "--name", "x"), "--name belongs to --config."),
        (("--config", "--direction", "down"), "--direction 'down' is neither lower nor higher."),
        (("--config", "--metric-name", "val bpb"), "--metric-name 'val bpb' is no METRIC name"),
        (("--config", "--name", " "), "--name is empty: say what is optimized."),
        ((*EXPERIMENT, "--dir", "/nowhere"), "there is no directory /nowhere."),
    ],
)
def test_a_wrong_argument_is_one_sentence_and_not_a_byte_is_changed(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    writer: str,
    options: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.chdir(root)
    before = snapshot(root)
    if writer == "command":
        code = cli._run(["log", *options], debug=False)
        said, error = capfdbinary.readouterr()
    else:
        done = Shell.make(tmp_path / "bin").run(LOG, *options, cwd=root)
        code, said, error = done.returncode, done.stdout, done.stderr
    assert (code, said, error.count(b"\n")) == (2, b"", 1), error
    assert sentence in error.decode()
    assert snapshot(root) == before


def test_log_prints_the_line_that_it_has_written_and_needs_neither_git_nor_a_workspace(root: Path) -> None:
    done = call("log", "--dir", root, *EXPERIMENT, "--asi", '{"hypothesis": "µ"}', PATH="/nowhere")
    assert done.returncode == 0, done
    assert (root / "autoresearch.jsonl").read_text().splitlines()[-1] == done.stdout.rstrip("\n")
    said = json.loads(done.stdout)
    assert (said["run"], said["segment"], said["asi"]) == (2, 0, {"hypothesis": "µ"})
    assert call("log", "--dir", root, "--config", "--name", "next", PATH="/nowhere").returncode == 0
    book = ledger.read(root / "autoresearch.jsonl")
    assert (len(book.experiments), len(book.segments)) == (2, 2)
    assert [each.read_bytes() for each in (root / ".autoresearch" / "torn").iterdir()] == [b'{"torn']


def test_init_with_skill_alone_puts_it_into_any_directory(tmp_path: Path) -> None:
    done = call("init", tmp_path, "--skill")
    assert done.returncode == 0, done
    homes = skill.homes(Workspace.at(tmp_path))
    assert [line.partition(": ")[0] for line in done.stdout.splitlines()] == [str(home) for home in homes]
    assert all((home / "SKILL.md").is_file() for home in homes)
    assert sorted(each.name for each in tmp_path.iterdir()) == [".agents", ".claude"]
    assert call("init", tmp_path, "--skill").returncode == 0


def test_init_with_a_tag_begins_the_session_and_commits_nothing_of_the_skill(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert call("init", tmp_path, "--tag", "x", "--skill").returncode == 0
    assert git(tmp_path, "branch", "--show-current").startswith("autoresearch/x-")
    assert git(tmp_path, "status", "--porcelain", "--untracked-files=all") == ""
    assert "SKILL.md" not in git(tmp_path, "ls-files")
    assert skill.homes(Workspace.at(tmp_path))[0].is_dir()


def test_a_skill_of_somebody_elses_is_refused_before_a_session_begins(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    other = tmp_path / ".agents" / "skills" / "autoresearch" / "SKILL.md"
    other.parent.mkdir(parents=True)
    other.write_text("mine\n")
    for arguments in (("--skill",), ("--tag", "x", "--skill")):
        assert "was not put there by autoresearch-tui" in refused(tmp_path, "init", tmp_path, *arguments)
    assert "Missing option '--tag'" in refused(tmp_path, "init", tmp_path)
    assert "there is no directory" in refused(tmp_path, "init", tmp_path / "nowhere", "--skill")
    assert "is a file, not a directory: name" in refused(tmp_path, "init", other, "--skill")


def test_a_directory_that_can_hold_no_skill_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".claude").symlink_to("nowhere")
    assert f"{tmp_path / '.claude'} is no directory" in refused(tmp_path, "init", tmp_path, "--skill")
    done = call("init", "/proc", "--skill")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "can't be made" in done.stderr and "name another directory" in done.stderr
