"""Append-only files: what is complete stays, what is torn goes aside, whoever writes and whoever reads."""

import multiprocessing
import resource
from pathlib import Path

import pytest

from engine import jsonlines
from engine.jsonlines import READ_AT_ONCE, Follower, JsonLinesFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lines.jsonl"


def file_at(path: Path) -> JsonLinesFile:
    return JsonLinesFile(path, path.parent / "state" / "lock", path.parent / "state" / "torn")


def torn_pieces(path: Path) -> list[bytes]:
    return [each.read_bytes() for each in sorted((path.parent / "state" / "torn").glob("*"))]


def texts(path: Path) -> list[bytes]:
    return [line.text for line in Follower(path)]


def test_what_is_appended_is_read_back_in_order(path: Path) -> None:
    for number in range(3):
        file_at(path).append(b'{"n":%d}' % number)
    assert texts(path) == [b'{"n":0}', b'{"n":1}', b'{"n":2}']


def test_a_line_knows_its_number_and_where_it_ends(path: Path) -> None:
    path.write_bytes(b"one\n\nthree\n")
    assert [(line.number, line.end, line.text) for line in Follower(path)] == [
        (1, 4, b"one"),
        (2, 5, b""),
        (3, 11, b"three"),
    ]


@pytest.mark.parametrize(
    "torn",
    [b'{"n":', b"{", b'"text"', b"12", b"null", b"\0\0\0\0", b'{"n":"\xe2\x86', b'{"n":"\xff"}', b"[" * 100_000],
    ids=["cut", "brace", "text", "number", "null", "zeros", "cut in a character", "not UTF-8", "deep"],
)
def test_a_torn_last_line_is_moved_aside_and_never_fuses_with_the_next(path: Path, torn: bytes) -> None:
    path.write_bytes(b'{"n":0}\n' + torn)
    file_at(path).append(b'{"n":1}')
    assert path.read_bytes() == b'{"n":0}\n{"n":1}\n'
    assert torn_pieces(path) == [torn]


def test_a_complete_last_line_that_lacks_only_its_newline_is_kept(path: Path) -> None:
    path.write_bytes(b'{"n":0}\n{"n":1}')
    file_at(path).append(b'{"n":2}')
    assert path.read_bytes() == b'{"n":0}\n{"n":1}\n{"n":2}\n'
    assert torn_pieces(path) == []


def test_a_file_that_is_one_torn_line_and_nothing_else_is_mended(path: Path) -> None:
    path.write_bytes(b'{"n":')
    file_at(path).append(b'{"n":1}')
    assert path.read_bytes() == b'{"n":1}\n'


def test_a_torn_line_longer_than_a_block_is_moved_aside_whole(path: Path) -> None:
    torn = b'{"n":"' + b"x" * 200_000
    path.write_bytes(b'{"n":0}\n' + torn)
    file_at(path).append(b'{"n":1}')
    assert texts(path) == [b'{"n":0}', b'{"n":1}']
    assert torn_pieces(path) == [torn]


def test_opening_for_reading_mends_nothing(path: Path) -> None:
    path.write_bytes(b'{"n":0}\n{"n":')
    assert texts(path) == [b'{"n":0}']
    assert path.read_bytes() == b'{"n":0}\n{"n":'


def test_reading_a_file_that_is_not_there_gives_nothing_and_makes_nothing(path: Path) -> None:
    assert texts(path) == []
    assert not path.exists()


def test_a_line_is_given_once_and_only_once_its_newline_is_there(path: Path) -> None:
    follower = Follower(path)
    path.write_bytes(b"fir")
    assert follower.poll() == []
    with path.open("ab") as file:
        file.write(b"st\nsec")
    assert [line.text for line in follower.poll()] == [b"first"]
    assert follower.poll() == []
    with path.open("ab") as file:
        file.write(b"ond\n")
    assert [line.text for line in follower.poll()] == [b"second"]


def test_a_follower_goes_on_from_the_offset_of_the_last_line_it_had(path: Path) -> None:
    path.write_bytes(b"one\ntwo\n")
    first, _ = Follower(path)
    assert [line.text for line in Follower(path, first.end)] == [b"two"]


def test_a_follower_starts_over_in_a_file_that_was_replaced_by_a_shorter_one(path: Path) -> None:
    path.write_bytes(b"a long first line\n")
    follower = Follower(path)
    follower.poll()
    path.write_bytes(b"new\n")
    assert [line.text for line in follower.poll()] == [b"new"]


def test_a_follower_starts_over_in_another_file_of_the_same_name(path: Path) -> None:
    path.write_bytes(b"one\ntwo\n")
    follower = Follower(path)
    follower.poll()
    other = path.with_suffix(".new")
    other.write_bytes(b"one\ntwo\nthree\n")
    other.replace(path)
    assert [(line.number, line.text) for line in follower.poll()] == [(1, b"one"), (2, b"two"), (3, b"three")]
    assert follower.poll() == []


@pytest.mark.parametrize("content", [b"another\nwith\nmore lines\n", b"0ne\ntwo\nthree\n"])
def test_a_follower_starts_over_in_a_file_that_was_written_anew_in_its_place(path: Path, content: bytes) -> None:
    path.write_bytes(b"one\ntwo\n")
    follower = Follower(path)
    follower.poll()
    path.write_bytes(content)
    assert [line.text for line in follower.poll()] == content.split(b"\n")[:-1]


def test_a_follower_that_goes_on_from_an_offset_starts_over_where_no_line_ends_there(path: Path) -> None:
    path.write_bytes(b"one\ntwo\n")
    assert [line.text for line in Follower(path, 6)] == [b"one", b"two"]


def test_a_follower_that_lost_its_file_for_a_while_repeats_nothing(path: Path) -> None:
    path.write_bytes(b"one\n")
    follower = Follower(path)
    follower.poll()
    away = path.rename(path.with_suffix(".away"))
    assert follower.poll() == []
    away.rename(path)
    with path.open("ab") as file:
        file.write(b"two\n")
    assert [line.text for line in follower.poll()] == [b"two"]


def test_a_follower_is_not_confused_when_a_torn_line_is_moved_aside(path: Path) -> None:
    path.write_bytes(b'{"n":0}\n{"n":')
    follower = Follower(path)
    assert len(follower.poll()) == 1
    file_at(path).append(b'{"n":1}')
    assert [line.text for line in follower.poll()] == [b'{"n":1}']


@pytest.mark.parametrize("around", [-1, 0, 1])
def test_lines_that_end_around_the_edge_of_what_is_read_at_once_are_read_whole(path: Path, around: int) -> None:
    first = b"x" * (READ_AT_ONCE - 1 + around)
    path.write_bytes(first + b"\nsecond\n")
    assert texts(path) == [first, b"second"]


def test_a_line_longer_than_what_is_read_at_once_is_read_whole(path: Path) -> None:
    long = b"x" * (2 * READ_AT_ONCE + 5)
    path.write_bytes(long + b"\nsecond\n")
    assert texts(path) == [long, b"second"]


def _append_many(path: Path, writer: int, count: int) -> None:
    for number in range(count):
        file_at(path).append(b'{"writer":%d,"n":%d}' % (writer, number))


def test_writers_in_several_processes_lose_nothing_and_mix_nothing(path: Path) -> None:
    writers = [multiprocessing.Process(target=_append_many, args=(path, writer, 20)) for writer in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = texts(path)
    assert sorted(lines) == sorted(b'{"writer":%d,"n":%d}' % (w, n) for w in range(3) for n in range(20))
    assert all(
        [line for line in lines if line.startswith(b'{"writer":%d' % w)]
        == [b'{"writer":%d,"n":%d}' % (w, n) for n in range(20)]
        for w in range(3)
    )


def _append_on_a_full_disk(path: Path, room: int, said: "multiprocessing.Queue[str]") -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        file_at(path).append(b'{"n":"' + b"x" * 100 + b'"}')
    except OSError as error:
        said.put(str(error))
    else:
        said.put("")


@pytest.mark.parametrize("room", [8, 9, 50, 116])
def test_an_append_that_does_not_fit_on_the_disk_says_so_and_leaves_the_file_as_it_was(path: Path, room: int) -> None:
    path.write_bytes(b'{"n":0}\n')
    said: multiprocessing.Queue[str] = multiprocessing.Queue()
    writer = multiprocessing.Process(target=_append_on_a_full_disk, args=(path, room, said))
    writer.start()
    assert said.get(timeout=60)
    writer.join()
    assert path.read_bytes() == b'{"n":0}\n'


def test_a_new_file_is_made_with_its_first_line(path: Path) -> None:
    file_at(path).append(b"{}")
    assert path.read_bytes() == b"{}\n"


def test_reading_deciding_and_appending_is_one_step_under_the_lock(path: Path) -> None:
    file = file_at(path)
    with file.writing():
        other = multiprocessing.Process(target=_append_many, args=(path, 1, 1))
        other.start()
        other.join(0.5)
        assert texts(path) == []
        file.append_locked(b'{"first":true}')
    other.join()
    assert texts(path) == [b'{"first":true}', b'{"writer":1,"n":0}']


def test_a_writer_that_never_lets_go_is_an_error_and_no_wait_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonlines, "LOCKED_FOR_SECONDS", 0.1)
    file = file_at(path)
    with file_at(path).writing(), pytest.raises(OSError, match="another program has been writing it"):
        file.append(b"{}")
    file.append(b"{}")
    assert texts(path) == [b"{}"]
