"""A change as a patch that `git apply` takes, and as an amount of code."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.patch import NOTHING, Size, size_of, unified

BEFORE = "".join(f"line {number}\n" for number in range(40))


def applied(before: str, patch: str, directory: Path) -> str:
    """What `git apply` makes of a train.py."""
    train = directory / "train.py"
    train.write_bytes(before.encode())
    subprocess.run(
        ["git", "apply", "-"], cwd=directory, input=patch.encode(), check=True, capture_output=True,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "GIT_DIR": "/nowhere", "HOME": str(directory)},
    )  # fmt: skip
    return train.read_bytes().decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BEFORE, BEFORE.replace("line 7\n", "line seven\n")),
        (BEFORE, BEFORE.replace("line 7\n", "").replace("line 30\n", "line 30\nnew\n")),
        (BEFORE, "at the top\n" + BEFORE),
        (BEFORE, BEFORE + "at the end\n"),
        ("a\nb", "a\nc"),
        ("a\nb\n", "a\nb"),
        ("a\nb", "a\nb\n"),
        ("a\nb", "a\nb\nc"),
        ("a", "b"),
        ("a\n", ""),
        ("a\n\n\n", "a\n"),
        ("a\r\nb\r\n", "a\r\nc\r\n"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("page\n\x0cnext\nend\n", "page\n\x0cother\nend\n"),
        ("a = '\u2028'\nb\n", "a = '\u2028\u2029\x85'\nb\n"),
        ("bar\rfoo\nx\n", "bar\rfoo\ny\n"),
        ("lr → µ\n", "lr → é\n"),
        ("--- a\n+++ b\n", "--- b\n+++ a\n"),
        ("\\ No newline at end of file\nx", "\\ No newline at end of file\ny"),
    ],
    ids=[
        "change", "two hunks", "top", "end", "no newline in both", "newline lost", "newline won", "no newline, longer",
        "one line", "emptied", "blank lines", "crlf", "crlf to lf", "form feed", "unicode line ends", "lone cr",
        "not ascii", "like a header", "like the marker",
    ],
)  # fmt: skip
def test_git_apply_makes_the_new_version_of_the_old_one(before: str, after: str, tmp_path: Path) -> None:
    assert applied(before, unified(before, after, "train.py"), tmp_path) == after


text = st.lists(st.sampled_from(["a", "b = 1", "", "\x0c", "x\r", "é\u2028", "\\", "-", "+ c", "@@"]), max_size=8).map(
    "\n".join
)


@given(text.filter(bool), text)
@settings(max_examples=25, deadline=None)
def test_git_apply_takes_any_patch(tmp_path_factory: pytest.TempPathFactory, before: str, after: str) -> None:
    patch = unified(before, after, "train.py")
    if patch:
        assert applied(before, patch, tmp_path_factory.mktemp("apply")) == (after or "")


def test_no_change_is_an_empty_patch() -> None:
    assert unified(BEFORE, BEFORE, "train.py") == ""


def test_a_patch_names_its_file_as_git_does() -> None:
    assert unified("a\n", "b\n", "train.py").splitlines()[:2] == ["--- a/train.py", "+++ b/train.py"]


CODE = "DEPTH = 2\n\n\ndef width(depth):\n    return depth * 64\n"


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("", 0),
        ("\n\n\n", 0),
        ("# only a comment\n", 0),
        ("x = 1\n", 1),
        ("x = 1", 1),
        ("x = 1  # why\n", 1),
        ("x = 1; y = 2\n", 1),
        (CODE, 3),
        (CODE.replace("\n", "\r\n"), 3),
        ("x = (\n    1,\n    # why\n\n    2,\n)\n", 4),
        ("x = 1 + \\\n    2\n", 2),
        ('"""A docstring.\n\nIts second part.\n"""\n', 0),
        ("if x:\n    # nothing to do\n    pass\n", 2),
    ],
    ids=[
        "nothing", "blank lines", "comment", "statement", "no newline", "with a comment", "two statements", "function",
        "crlf", "brackets", "backslash", "docstring", "comment in a block",
    ],
)  # fmt: skip
def test_lines_are_counted_without_comments_and_blank_ones(source: str, lines: int) -> None:
    assert size_of(source).lines == lines


@pytest.mark.parametrize(
    "changed",
    [
        CODE.replace("DEPTH = 2\n", "# how deep\nDEPTH = 2  # layers\n"),
        CODE.replace("\n\n\n", "\n\n\n\n\n"),
        CODE.replace("depth * 64", "depth    *    64"),
        CODE.replace("DEPTH = 2", "DEPTH = 3"),
    ],
    ids=["comments", "blank lines", "spaces", "another value"],
)
def test_the_size_stays_the_same(changed: str) -> None:
    assert size_of(changed) - size_of(CODE) == NOTHING


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1\ny = 2\n", "x = 1; y = 2\n"),
        ("f(\n    1,\n)\n", "f(1)\n"),
        ("if x:\n    y = 1\n", "if x: y = 1\n"),
        ("x = 1  # why\n\n", "x = 1\n"),
        (CODE, CODE),
    ],
    ids=["joined", "brackets", "block on a line", "comment", "the same"],
)
def test_another_layout_is_no_simplification(before: str, after: str) -> None:
    assert not (size_of(after) - size_of(before)).simpler


@pytest.mark.parametrize(
    ("before", "after"),
    [("x = 1\ny = 2\n", "x = 1\n"), ("x = abs(abs(y))\n", "x = abs(y)\n"), (CODE, "DEPTH = 2\n")],
    ids=["a statement less", "a call less", "a function less"],
)
def test_less_code_is_a_simplification(before: str, after: str) -> None:
    assert (size_of(after) - size_of(before)).simpler
    assert not (size_of(before) - size_of(after)).simpler


@pytest.mark.parametrize(
    ("growth", "simpler"),
    [
        (Size(-1, -5), True),
        (Size(0, -5), True),
        (Size(-1, 0), False),
        (Size(0, 0), False),
        (Size(-1, 1), False),
        (Size(1, -1), False),
        (Size(1, 1), False),
    ],
)
def test_simpler_is_fewer_nodes_on_no_more_lines(growth: Size, simpler: bool) -> None:
    assert growth.simpler is simpler


def test_what_is_no_python_has_no_size() -> None:
    with pytest.raises(SyntaxError):
        size_of("def (:\n")
