"""The skill: what it says is what its scripts do, and it is put where agents look for it, whole, or not at all."""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import skill
from engine.errors import UnusableWorkspace
from engine.initialize import HOUSE
from engine.ledger import FIRST_ASI_KEYS, STATUSES
from engine.skill import MANIFEST, SOURCE
from engine.workspace import Workspace
from tests.engine.conftest import Person, snapshot
from tests.engine.shells import LOG

TEXT = (SOURCE / "SKILL.md").read_text("utf-8")
OPTIONS = re.findall(r"^    (--[a-z-]+)\) ", LOG.read_text("utf-8"), re.MULTILINE)


def front_matter() -> dict[str, str]:
    begin, head, _ = TEXT.split("---\n", 2)
    assert begin == ""
    pairs = (line.partition(": ") for line in head.splitlines())
    return {name: value for name, _, value in pairs if value}


def test_the_front_matter_is_what_agents_want() -> None:
    head = front_matter()
    assert head["name"] == skill.NAME == "autoresearch"
    assert 100 < len(head["description"]) <= 1024
    for value in head.values():
        assert ": " not in value and " #" not in value and value[0] not in "'\"[{&*!|>%@`"


def test_the_loop_has_twelve_steps() -> None:
    loop = TEXT.split("## The loop\n")[1].split("\n## ")[0]
    assert re.findall(r"^(\d+)\. ", loop, re.MULTILINE) == [str(number) for number in range(1, 13)]


def test_it_names_the_options_statuses_and_keys_that_there_are() -> None:
    named = set(re.findall(r"`(--[a-z-]+)", TEXT)) | set(re.findall(r"log-experiment\.sh (--[a-z]+)", TEXT))
    assert named - {"--help", "--check"} == {*OPTIONS, "--config"} - {"--help"}
    for word in (*STATUSES, *FIRST_ASI_KEYS):
        assert f"`{word}`" in TEXT
    for path in re.findall(r"(?:\"?\$SKILL\"?|skill)/([a-z./-]+[a-z])", TEXT):
        assert path == "s/autoresearch" or any(name.startswith(path) for name in skill.files()), path


def test_every_command_of_its_sets_up_and_runs_as_it_is_written(tmp_path: Path) -> None:
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL):
        done = subprocess.run(
            ["sh", "-n", "-c", block.replace("<", "").replace(">", "")], capture_output=True, check=False
        )
        assert done.returncode == 0, (block, done)


def test_help_of_the_script_explains_every_option() -> None:
    said = subprocess.run(
        ["sh", LOG, "--help"], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
    ).stdout
    assert said.startswith("Append one experiment")
    for option in OPTIONS:
        assert option in said or option == "--help"


def check_installed(root: Path) -> None:
    for home in skill.homes(Workspace.at(root)):
        found = {each.relative_to(home).as_posix(): each for each in home.rglob("*") if each.is_file()}
        assert set(found) == {*skill.files(), MANIFEST}
        assert {name: found[name].read_bytes() for name in skill.files()} == skill.files()
        for name, path in found.items():
            assert os.access(path, os.X_OK) == name.endswith(".sh"), name
        sums = subprocess.run(["sha256sum", "-c", MANIFEST], cwd=home, capture_output=True, check=False)
        assert sums.returncode == 0
        assert [each.name for each in home.parent.iterdir()] == [skill.NAME]


def test_it_lies_in_both_places_and_git_sees_nothing_of_it(workspace: Workspace, person: Person) -> None:
    person.commit({"a.txt": "a\n"})
    skill.install(workspace)
    check_installed(workspace.root)
    assert person.git("status", "--porcelain", "--untracked-files=all") == ""


def test_an_older_one_and_what_a_kill_left_are_brought_up_to_date(workspace: Workspace) -> None:
    skill.install(workspace)
    first, second = skill.homes(workspace)
    (first / "SKILL.md").write_text("older\n")
    (first / "gone.md").write_text("older\n")
    old = {name: skill._sum((first / name).read_bytes()) for name in ("SKILL.md", "gone.md")}
    (first / MANIFEST).write_text("".join(f"{checksum}  {name}\n" for name, checksum in old.items()))
    (second / MANIFEST).unlink()  # a copy by hand
    (second.parent / f".{skill.NAME}.draft").mkdir()
    (second.parent / f".{skill.NAME}.old").mkdir()
    skill.install(workspace)
    check_installed(workspace.root)


def _edited(home: Path) -> None:
    (home / "SKILL.md").write_text(TEXT + "mine\n")


def _added(home: Path) -> None:
    (home / "notes.md").write_text("mine\n")


def _another(home: Path) -> None:
    for path in (home / MANIFEST, home / "SKILL.md"):
        path.unlink()
    (home / "SKILL.md").write_text("---\nname: autoresearch\ndescription: another one\n---\n")


def _linked(home: Path) -> None:
    home.rename(home.with_name("elsewhere"))
    home.symlink_to("elsewhere")


def _in_the_way(home: Path) -> None:
    home.rename(home.parent.parent.parent / "elsewhere")
    home.parent.rmdir()
    home.parent.write_text("a file\n")


@pytest.mark.parametrize("spoil", [_edited, _added, _another, _linked, _in_the_way])
@pytest.mark.parametrize("place", [0, 1])
def test_what_is_not_ours_is_refused_and_nothing_is_changed(
    workspace: Workspace, spoil: Callable[[Path], None], place: int
) -> None:
    skill.install(workspace)
    spoil(skill.homes(workspace)[place])
    before = snapshot(workspace.root)
    with pytest.raises(UnusableWorkspace, match=r"move .* ?away\.$"):
        skill.install(workspace)
    assert snapshot(workspace.root) == before


def test_the_wheel_carries_the_same_skill_and_keeps_what_it_is_copied_from(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        tmp_path,
        HOUSE,
    ]
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=HOUSE, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        for name, content in skill.files().items():
            if name != ".gitignore":
                assert wheel.read(f"assets/skill/{name}") == content
        for kept in ("training/train.py", "training/prepare.py", "assets/workspace/program.md"):
            assert kept in names
        wheel.extractall(tmp_path / "installed")
    into = tmp_path / "into"
    into.mkdir()
    code = "import sys; from pathlib import Path; from engine import skill; from engine.workspace import Workspace\n"
    code += f"assert skill.__file__.startswith({str(tmp_path)!r}); skill.install(Workspace.at(Path({str(into)!r})))"
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    check_installed(into)
