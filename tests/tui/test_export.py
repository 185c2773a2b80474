"""The command `export`: where it writes to, and what it refuses."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.engine.workspaces import PROGRAM
from tests.tui import sessions
from tests.tui.test_cli import call, refused


@pytest.fixture
def session(tmp_path: Path) -> Path:
    return sessions.three(tmp_path / "demo").root


def test_text_goes_to_stdout_and_into_a_file_where_one_is_named(session: Path, tmp_path: Path) -> None:
    done = call("export", session, "--format", "tsv")
    assert done.returncode == 0 and done.stdout.startswith("commit\tval_bpb\t")
    target = tmp_path / "results.tsv"
    assert call("export", session / "autoresearch.jsonl", "--format", "tsv", "-o", target).stdout == f"{target}\n"
    assert target.read_text() == done.stdout


def test_a_report_in_a_file_has_its_chart_beside_it_and_is_made_anew(session: Path, tmp_path: Path) -> None:
    target = tmp_path / "night.md"
    for _ in range(2):
        done = call("export", session, "--output", target)
        assert done.stdout.splitlines() == [str(target), str(tmp_path / "night.png")], done
    assert "](<night.png>)" in target.read_text()
    assert (tmp_path / "night.png").read_bytes().startswith(b"\x89PNG")


def test_a_page_is_what_a_name_in_html_asks_for(session: Path, tmp_path: Path) -> None:
    target = tmp_path / "night.html"
    for _ in range(2):
        assert call("export", session, "-o", target).stdout == f"{target}\n"
    assert target.read_text().startswith("<!doctype html>\n<!-- made by autoresearch-tui export -->")
    assert call("export", session, "--format", "html").stdout == target.read_text()


def test_what_no_export_made_is_not_replaced(session: Path, tmp_path: Path) -> None:
    target = tmp_path / "night.md"
    (tmp_path / "night.png").write_bytes(b"my photo")
    said = refused(tmp_path, "export", session, "--format", "md", "-o", target)
    assert "night.png is there already" in said and not target.exists()
    assert call("export", session, "--format", "md", "-o", target, "--force").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--format", "tsv", "-o", "train.tsv"), "is there already"),
        (("--format", "svg", "-o", "nowhere/x.svg"), "no directory nowhere"),
        (("--format", "svg", "-o", "."), "no regular file"),
        (("--format", "md", "--segment", "2"), "no segment 2"),
        (("--format", "pdf"), "is not one of"),
        (("-o", "x.pdf"), "say --format"),
    ],
)
def test_a_refusal_is_one_sentence(
    session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "train.tsv").write_text("commit\tval_bpb\tmemory_gb\tstatus\tdescription\n")
    monkeypatch.chdir(tmp_path)
    assert sentence in refused(tmp_path, "export", session, *arguments)


def test_where_there_is_no_session_the_sentence_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "there is no session in" in refused(tmp_path, "export", tmp_path / "empty", "--format", "md")
    assert "there is no " in refused(tmp_path, "export", tmp_path / "nowhere", "--format", "md")
    (tmp_path / "thesis.md").write_text("# My thesis\n")
    assert "can't be read" in refused(tmp_path, "export", tmp_path / "thesis.md", "--format", "md")
    for name in ("a", "b"):
        sessions.three(tmp_path / "both" / name)
    assert "there are 2 sessions" in refused(tmp_path, "export", tmp_path / "both", "--format", "md")


def test_lines_that_cannot_be_read_are_told(session: Path, tmp_path: Path) -> None:
    with (session / "autoresearch.jsonl").open("a") as ledger:
        ledger.write("{not json\n" * 22)
    done = call("export", session, "--format", "md")
    said = done.stderr.splitlines()
    assert done.returncode == 0 and len(said) == 21
    assert said[0].startswith(f"autoresearch-tui: {session / 'autoresearch.jsonl'}, line ")
    assert said[-1].endswith(": and 2 more lines that could not be read")
    assert "- Lines that could not be read: 22 (" in done.stdout


def test_only_a_form_that_shows_changes_asks_git_for_them(tmp_path: Path) -> None:
    runs = (f'{{"run": {at}, "metric": {2 - at / 10}, "status": "keep", "commit": "abcdef{at}"}}\n' for at in (1, 2))
    (tmp_path / "autoresearch.jsonl").write_text("".join(runs))
    asked, git = tmp_path / "asked", tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text(f'#!/bin/sh\necho "$@" >>{asked}\nexec {shutil.which("git")} "$@"\n')
    git.chmod(0o755)
    path = f"{git.parent}:{os.environ['PATH']}"
    for form in ("tsv", "svg"):
        assert call("export", tmp_path, "--format", form, PATH=path).returncode == 0
    assert " show " not in asked.read_text()
    assert call("export", tmp_path, "--format", "md", PATH=path).returncode == 0
    assert re.search(" show .* abcdef2 ", asked.read_text())


def test_a_dash_is_stdout_for_every_form_and_a_name_may_be_in_capitals(session: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [PROGRAM, "export", session, "--format", "png", "-o", "-"],
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.startswith(b"\x89PNG") and not (tmp_path / "-").exists()
    assert call("export", session, "-o", "-").stdout.startswith("<!-- made by")
    assert call("export", session, "-o", tmp_path / "NIGHT.HTML").returncode == 0
    assert (tmp_path / "NIGHT.HTML").read_text().startswith("<!doctype html>")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="/proc is Linux's")
def test_where_it_cannot_be_written_the_sentence_names_the_file_that_was_named(session: Path) -> None:
    done = call("export", session, "-o", "/proc/night.svg")
    assert done.returncode == 1 and done.stderr.endswith(": /proc/night.svg.\n")


def test_a_full_disk_is_told_with_the_name_of_what_was_to_be_written(session: Path, tmp_path: Path) -> None:
    script = f'ulimit -f 1; trap "" XFSZ; exec {PROGRAM} export {session} -o {tmp_path}/night.svg'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and done.stderr == f"autoresearch-tui: File too large: {tmp_path}/night.svg.\n"
    assert list(tmp_path.glob("*night*")) == []
