"""METRIC lines, clause by clause (DESIGN §5)."""

import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.metrics import LONGEST_LINE, LONGEST_NAME, MOST_NAMES, MOST_PROBLEMS, MetricScanner


def scanned(*chunks: bytes | str) -> MetricScanner:
    scanner = MetricScanner()
    for chunk in chunks:
        scanner.feed(chunk.encode() if isinstance(chunk, str) else chunk)
    scanner.finish()
    return scanner


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.9979", 0.9979),
        ("5.", 5.0),
        (".5", 0.5),
        ("1e-3", 0.001),
        ("+5", 5.0),
        ("-5", -5.0),
        ("0", 0.0),
        ("007", 7.0),
        ("1E3", 1000.0),
        ("1.5e+10", 1.5e10),
        ("-.5E-2", -0.005),
        ("1e-999", 0.0),
        ("123456789012345678901234567890", 123456789012345678901234567890.0),
    ],
)
def test_a_finite_decimal_number_is_a_value(text: str, value: float) -> None:
    scanner = scanned(f"METRIC val_bpb={text}\n")
    assert (scanner.metrics, scanner.problems) == ({"val_bpb": value}, [])


@pytest.mark.parametrize(
    "text",
    [
        "NaN", "nan", "-nan", "inf", "-inf", "Infinity", "+INF", "1e999", "-1e999",
        "1,000", "12ms", "", "1_000", "0x10", "1e", "e5", ".", "-", "--5", "1.2.3", "5 5", " 5", "5%", "٣", "1e5.5",
    ],
)  # fmt: skip
def test_what_is_no_finite_decimal_number_is_reported_and_is_no_value(text: str) -> None:
    scanner = scanned(f"METRIC val_bpb={text}\n")
    assert scanner.metrics == {}
    assert len(scanner.problems) == 1
    assert f"val_bpb={text}".strip() in scanner.problems[0]


@pytest.mark.parametrize("name", ["val_bpb", "a", "A9", "9", "_", "loss.train", "step_µs", "µ", "a.b.c_d.E0"])
def test_a_name_has_letters_digits_underscores_dots_and_micro_signs(name: str) -> None:
    assert scanned(f"METRIC {name}=1\n").metrics == {name: 1.0}


@pytest.mark.parametrize("name", ["val-bpb", "val bpb", "", "val/bpb", "größe", "a:b", "a=b", "μ"])
def test_any_other_name_is_reported(name: str) -> None:
    scanner = scanned(f"METRIC {name}=1\n")
    assert scanner.metrics == {}
    assert len(scanner.problems) == 1


@pytest.mark.parametrize(
    "line",
    [
        "METRIC a=1 b=2",
        "METRIC a=1 # fine",
        "METRIC a =1",
        "METRIC a",
        "METRIC a: 1",
        "METRIC lines follow",
    ],
)
def test_a_line_that_says_metric_and_does_not_parse_is_reported(line: str) -> None:
    scanner = scanned(line + "\n")
    assert scanner.metrics == {}
    assert len(scanner.problems) == 1


@pytest.mark.parametrize(
    "line",
    [
        "",
        "val_bpb=1",
        "the METRIC a=1",
        "# METRIC a=1",
        "METRICS a=1",
        "METRICa=1",
        "metric a=1",
        "Metric a=1",
        "METRIC",
        "METRIC ",
    ],
)
def test_a_line_of_another_kind_is_neither_a_metric_nor_worth_a_report(line: str) -> None:
    scanner = scanned(line + "\n")
    assert (scanner.metrics, scanner.problems) == ({}, [])


def test_the_last_one_for_a_name_wins() -> None:
    assert scanned("METRIC a=1\nMETRIC b=7\nMETRIC a=3\nMETRIC a=2\n").metrics == {"a": 2.0, "b": 7.0}


@pytest.mark.parametrize("text", ["nan", "NaN", "-inf", "1e999", "infinity"])
def test_a_number_that_is_not_finite_takes_the_place_of_an_earlier_one(text: str) -> None:
    scanner = scanned(f"METRIC a=1\nMETRIC b=2\nMETRIC a={text}\n")
    assert scanner.metrics == {"b": 2.0}
    assert len(scanner.problems) == 1


def test_a_value_that_is_malformed_leaves_the_earlier_one() -> None:
    assert scanned("METRIC a=1\nMETRIC a=1,000\n").metrics == {"a": 1.0}


@pytest.mark.parametrize(
    "line",
    [
        "METRIC a=1\n",
        "METRIC a=1",
        "METRIC a=1\r\n",
        "  METRIC a=1  \n",
        "\tMETRIC\ta=1\t\n",
        "METRIC   a=1\n",
        "\x1b[32mMETRIC a=1\x1b[0m\n",
        "\x1b[1;38;5;208mMETRIC\x1b[0m \x1b[4ma\x1b[24m=\x1b[1m1\x1b[m\n",
        "MET\x1b[1mRIC a=1\n",
        "\x1b]0;title\x07METRIC a=1\n",
        "\x1b]8;;http://x\x1b\\METRIC a=1\x1b]8;;\x1b\\\n",
        "\x1b[2K\x1b[1GMETRIC a=1\x1b[K\n",
        "\x1b(BMETRIC a=1\n",
        "\x1b7METRIC a=1\x1b8\n",
        "step 9 (99%)\rMETRIC a=1\n",
        "step 8\rstep 9\r\x1b[KMETRIC a=1\r\n",
        "METRIC a=1\rstep 10\n",
    ],
)
def test_carriage_returns_and_terminal_escapes_are_no_obstacle(line: str) -> None:
    scanner = scanned("training\n" + line)
    assert (scanner.metrics, scanner.problems) == ({"a": 1.0}, [])


STREAM = (
    "loading\r\n\x1b[32mstep 1 (50%)\x1b[0m\rstep 2 (100%)\x1b[K\rdone\n"
    "METRIC val_bpb=0.9979\n\x1b[1mMETRIC step_µs=1e-3\x1b[0m\r\nMETRIC bad=1,000\n\n"
    "METRIC val_bpb=0.9971\nMETRIC peak_memory_mb=44200."
).encode()


def test_the_output_may_be_cut_anywhere() -> None:
    whole = scanned(STREAM)
    assert whole.metrics == {"val_bpb": 0.9971, "step_µs": 0.001, "peak_memory_mb": 44200.0}
    for offset in range(len(STREAM) + 1):
        assert scanned(STREAM[:offset], STREAM[offset:]) == whole, offset


def test_the_output_may_come_byte_by_byte() -> None:
    assert scanned(*(bytes([each]) for each in STREAM)) == scanned(STREAM)


@given(st.lists(st.integers(0, len(STREAM))))
def test_the_output_may_be_cut_in_any_number_of_pieces(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert scanned(*(STREAM[a:b] for a, b in itertools.pairwise(edges))) == scanned(STREAM)


@given(st.lists(st.binary(max_size=30) | st.sampled_from([b"METRIC a=", b"METRIC ", b"\x1b[", b"\r", b"1\n"])))
def test_no_output_whatever_stops_the_scanner(chunks: list[bytes]) -> None:
    scanned(*chunks, b"\nMETRIC last=1\n")
    assert scanned(*chunks, b"\nMETRIC last=1\n").metrics["last"] == 1.0


def test_metrics_are_known_as_soon_as_their_line_is_complete() -> None:
    scanner = MetricScanner()
    scanner.feed(b"METRIC a=1")
    assert scanner.metrics == {}
    scanner.feed(b"\n")
    assert scanner.metrics == {"a": 1.0}


def test_a_metric_early_in_a_long_output_is_not_forgotten() -> None:
    assert scanned(b"METRIC a=1\n", *([b"noise\n" * 100_000] * 3)).metrics == {"a": 1.0}


def test_a_line_of_100_mb_is_read_past_in_bounded_memory() -> None:
    chunk = b"x" * (1 << 20)
    scanner = MetricScanner()
    tracemalloc.start()
    scanner.feed(b"METRIC a=1\n")
    for _ in range(100):
        scanner.feed(chunk)
    scanner.feed(b"\nMETRIC b=2\n")
    scanner.finish()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert scanner.metrics == {"a": 1.0, "b": 2.0}
    assert peak < 8 * len(chunk)


@pytest.mark.parametrize("more", [0, 1, 5000])
def test_a_line_is_read_up_to_the_longest_and_never_in_part(more: int) -> None:
    line = b"METRIC a=1." + b"0" * (LONGEST_LINE - len(b"METRIC a=1.") + more)
    scanner = scanned(line + b"\n")
    assert scanner.metrics == ({"a": 1.0} if more == 0 else {})
    assert len(scanner.problems) == (more > 0)


def test_what_comes_after_the_longest_line_does_not_pass_unseen() -> None:
    assert scanned(b"METRIC a=1" + b" " * LONGEST_LINE + b"but not really\n").metrics == {}


def test_reports_are_bounded_in_number_and_in_length() -> None:
    scanner = scanned(b"METRIC a=" + b"x" * 4000 + b"\n", *([b"METRIC a=12ms\n"] * 1000))
    assert len(scanner.problems) == MOST_PROBLEMS
    assert max(map(len, scanner.problems)) < 300


# ------------------------------------------------------------------------------------------- outputs without measure


def test_names_are_bounded_in_number_and_the_last_ones_count() -> None:
    lines = "".join(f"METRIC junk_{number}=1\n" for number in range(10 * MOST_NAMES))
    scanner = scanned(lines + "METRIC val_bpb=2\n")
    assert len(scanner.metrics) == MOST_NAMES
    assert scanner.metrics["val_bpb"] == 2.0
    assert len(scanner.problems) == 1


def test_a_name_that_is_set_again_and_again_is_not_crowded_out() -> None:
    lines = "".join(f"METRIC junk_{number}=1\nMETRIC a={number}\n" for number in range(2 * MOST_NAMES))
    assert scanned(lines).metrics["a"] == 2 * MOST_NAMES - 1


def test_names_are_bounded_in_length_and_that_is_said_once() -> None:
    longest = "x" * LONGEST_NAME
    scanner = scanned(f"METRIC {longest}=1\n", *[f"METRIC {longest}y=1\n"] * 100)
    assert scanner.metrics == {longest: 1.0}
    assert len(scanner.problems) == 1


def test_lines_without_a_metric_are_never_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []
    monkeypatch.setattr(MetricScanner, "_line", lambda self, raw: looked_at.append(raw))
    scanned(b"\x1b[32mstep 1\x1b[0m METR loss 3.5\rstep 2\n" * 1_000_000)
    assert len(looked_at) == 2  # the two ends of the chunk


@pytest.mark.parametrize("piece", [b"M\x1b]\x1b\\", b"M\x1b[", b"M\x1b]", b"ME\x1b[1m", b"M\x1b(", b"METRIC "])
def test_no_line_makes_the_search_go_back_and_forth(piece: bytes) -> None:
    for repeated in (piece * 500_000, piece[:1] + piece[1:] * 500_000):
        assert scanned(repeated + b"\nMETRIC a=1\n").metrics == {"a": 1.0}


def test_a_chunk_of_many_lines_of_which_some_are_metrics_is_read_like_line_by_line() -> None:
    text = b"noise\nMETRIC a=1\n\rMETRIC b=x\rMET\x1b[0mRIC c=3\n\n\nnoise METRIC d=4\nMETRIC e=5\r\nnoise"
    one_by_one = scanned(*(line for line in text.splitlines(keepends=True)))
    assert scanned(text) == one_by_one
    assert one_by_one.metrics == {"a": 1.0, "c": 3.0, "e": 5.0}
