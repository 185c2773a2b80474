"""The skill's parse-metrics.sh reads METRIC lines as the engine does, with every shell and awk that is installed."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.metrics import LONGEST_LINE, MOST_NAMES, MOST_PROBLEMS, MetricScanner
from tests.engine.shells import METRICS, Shell, kinds
from tests.engine.test_metrics import STREAM

VALUES = (
    *("0.9979", "5.", ".5", "1e-3", "+5", "-5", "-0", "007", "1E3", "1.5e+10", "-.5E-2", "1e-999", "0e999",
      "1" + "0" * 308),
    *("1.7976931348623158e308", "1.7976931348623159e308", "NaN", "-inf", "Infinity", "1e999", "1" + "0" * 309),
    *("1,000", "12ms", "", "1_000", "0x10", "1e", "e5", ".", "-", "--5", "1.2.3", "5 5", " 5", "5%", "٣", "1e5.5",
      "ınf"),
)  # fmt: skip
NAMES = ("a", "A9", "_", "loss.train", "step_µs", "µ", "val-bpb", "größe", "a:b", "a=b", "μ", "", "x" * 100, "µ" * 101)
LINES = (
    *("METRIC a", "METRIC ", "METRIC", "METRICS a=1", "metric a=1", "# METRIC a=1", "METRIC lines follow",
      "METRIC a=1 # fine"),
    *("METRIC a=2\r", "  METRIC a=3  ", "\tMETRIC\ta=4\t", "\x1b[32mMETRIC a=5\x1b[0m", "MET\x1b[1mRIC a=6",
      "\x1bMETRIC a=7"),
    *("\x1b]0;title\x07METRIC a=8", "\x1b]8;;http://x\x1b\\METRIC a=9\x1b]8;;\x1b\\", "\x1b(BMETRIC a=10",
      "9%\rMETRIC a=11\rx"),
    *("METRIC a=12\u00a0", "\u2003METRIC a=13\u3000", "METRIC \u00a0a=14", "METRIC a=1\0", "\0METRIC a=15",
      "METRIC \x0ba=16"),
    *("METRIC a=1" + "0" * LONGEST_LINE, "METRIC a=nan" + " " * LONGEST_LINE,
      "METRIC a=17" + " " * LONGEST_LINE + "x"),
    "METRIC a=1." + "0" * (LONGEST_LINE - 11),
)  # fmt: skip


@pytest.fixture(params=kinds())
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    return Shell.make(tmp_path / "bin", request.param)


def check_same(shell: Shell, text: bytes) -> None:
    """The script says what the engine says: the same values in the same order, and as many reports."""
    scanner = MetricScanner()
    scanner.feed(text)
    scanner.finish()
    done = shell.run(METRICS, given=text)
    assert done.returncode == 0, done
    said = json.loads(done.stdout, parse_int=float)
    assert list(said.items()) == list(scanner.metrics.items())
    assert len(done.stderr.splitlines()) == len(scanner.problems), (done.stderr, scanner.problems)


def test_every_kind_of_line_is_read_as_the_engine_reads_it(shell: Shell) -> None:
    lines = [f"METRIC a{number}={value}" for number, value in enumerate(VALUES)]
    for some in (lines, [f"METRIC a=1\nMETRIC a={value}" for value in VALUES], [f"METRIC {name}=1" for name in NAMES]):
        for at in range(0, len(some), MOST_PROBLEMS - 2):
            check_same(shell, "\n".join(some[at : at + MOST_PROBLEMS - 2]).encode())
    for at in range(0, len(LINES), 6):
        check_same(shell, "\n".join(LINES[at : at + 6]).encode())
    check_same(shell, STREAM)
    check_same(shell, b"")


def test_no_output_whatever_is_read_differently(tmp_path: Path) -> None:
    shell = Shell.make(tmp_path / "bin")
    pieces = [
        b"METRIC ",
        b"METRIC a=",
        b"METRIC b=",
        b"MET",
        b"RIC c=",
        b"\x1b[",
        b"\x1b[1m",
        b"\x1b]",
        b"\x07",
        b"\x1b",
    ]
    pieces += [
        b"\r",
        b"\n",
        b" ",
        b"\t",
        b"=",
        b"1",
        b".5",
        b"nan",
        b"e5",
        b"\xc2",
        b"\xb5",
        b"\xa0",
        b"\xff",
        b"\0",
        b"\x0b",
    ]

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.sampled_from(pieces) | st.binary(max_size=4), max_size=40))
    def check(chunks: list[bytes]) -> None:
        check_same(shell, b"".join(chunks))

    check()


def test_names_and_reports_are_bounded_as_the_engines_are(shell: Shell) -> None:
    many = "".join(f"METRIC junk_{number}=1\nMETRIC a={number}\n" for number in range(MOST_NAMES + 20))
    check_same(shell, many.encode())
    check_same(shell, b"METRIC a=12ms\n" * 50 + b"METRIC a=1\n")


def test_a_line_of_many_megabytes_is_read_past(tmp_path: Path) -> None:
    shell = Shell.make(tmp_path / "bin")
    check_same(shell, b"METRIC a=1\n" + b"x" * (20 << 20) + b"\nMETRIC b=2")


def test_an_argument_is_refused_in_one_sentence(tmp_path: Path) -> None:
    done = Shell.make(tmp_path / "bin").run(METRICS, "run.log")
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)


@pytest.mark.parametrize("stdin", ["<&-", "0>file"])
def test_a_stdin_that_cannot_be_read_is_no_stdin_without_metrics(shell: Shell, tmp_path: Path, stdin: str) -> None:
    caller = tmp_path / "caller"
    caller.write_text(f'sh "$1" {stdin}\n')
    done = shell.run(caller, METRICS, cwd=tmp_path)
    assert done.returncode == 2, done
    assert done.stderr == b"parse-metrics.sh: stdin can't be read: METRIC lines come on it.\n"
