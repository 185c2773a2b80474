"""What a proposer says is kept, and read by a viewer while it is written, begun anew and put beside its run."""

from pathlib import Path

from engine.proposers import Watch
from engine.proposers.voice import LONGEST, Voice
from engine.transcript import MOST_BYTES, Transcript, TranscriptFollower
from engine.workspace import Workspace


def texts(follower: TranscriptFollower) -> list[str]:
    return [each.text for each in follower.poll()[1]]


def test_a_transcript_is_read_while_it_grows_and_is_begun_anew(workspace: Workspace) -> None:
    transcript, follower = Transcript(workspace), TranscriptFollower(workspace.proposing)
    assert follower.poll() == (False, [])
    transcript.begin()
    transcript.say("thought", "one")
    transcript.say("tool", "two")
    assert texts(follower) == ["one", "two"] and texts(follower) == []
    transcript.begin()
    assert follower.poll() == (True, [])
    transcript.say("message", "three")
    is_anew, said = follower.poll()
    assert not is_anew and [each.kind for each in said] == ["message"]


def test_one_that_was_begun_anew_and_is_longer_already_is_read_from_its_beginning(workspace: Workspace) -> None:
    transcript, follower = Transcript(workspace), TranscriptFollower(workspace.proposing)
    transcript.begin()
    transcript.say("thought", "one")
    follower.poll()
    transcript.begin()
    for text in ("four", "five", "six"):
        transcript.say("thought", text)
    is_anew, said = follower.poll()
    assert is_anew and [each.text for each in said] == ["four", "five", "six"]


def test_it_is_read_on_where_it_was_put_beside_its_run(workspace: Workspace) -> None:
    transcript, follower = Transcript(workspace), TranscriptFollower(workspace.proposing)
    transcript.begin()
    transcript.say("message", "one")
    assert texts(follower) == ["one"]
    transcript.say("message", "two")
    folder = workspace.run_folder(7)
    folder.path.mkdir(parents=True)
    transcript.keep(folder)
    assert texts(follower) == []
    follower.path = folder.transcript
    is_anew, said = follower.poll()
    assert not is_anew and [each.text for each in said] == ["two"]
    other = workspace.run_folder(6)
    other.path.mkdir()
    other.transcript.write_bytes(b'{"at":1,"kind":"thought","text":"another"}\n')
    follower.path = other.transcript
    assert follower.poll()[0]


def test_lines_that_are_none_are_passed_over_and_a_torn_one_waits(tmp_path: Path) -> None:
    path = tmp_path / "proposer.jsonl"
    path.write_bytes(b'nonsense\n[1]\n\xff\n{"at":1,"kind":"tool","text":"a"}\n{"at":2,"ki')
    follower = TranscriptFollower(path)
    assert texts(follower) == ["a"]
    path.write_bytes(path.read_bytes() + b'nd":"tool","text":"b"}\n')
    assert texts(follower) == ["b"]
    follower.path = tmp_path
    assert follower.poll() == (False, [])


def test_a_transcript_without_end_is_kept_up_to_a_limit(workspace: Workspace) -> None:
    transcript = Transcript(workspace)
    transcript.begin()
    for _ in range(20):
        transcript.say("thought", "x" * (1 << 20))
    assert workspace.proposing.stat().st_size < MOST_BYTES + 200
    follower = TranscriptFollower(workspace.proposing)
    read = []
    while said := follower.poll()[1]:
        read += said
    assert read[-1].kind == "error" and len(read) == 16


def test_what_streams_is_said_so_that_its_pieces_make_the_text_again() -> None:
    said: list[tuple[str, str]] = []
    voice = Voice(Watch(say=lambda kind, text: said.append((kind, text))))
    long = "words" * LONGEST
    for piece in ("I ra", "ise it.\n\n  Twice ", "\nas fast", ".\n", long[:999], long[999:], "\nend"):
        voice.stream("message", piece)
    voice.say("tool", "read train.py")
    voice.stream("message", "done")
    voice.flush()
    text = "".join(text for kind, text in said if kind == "message")
    assert text == f"I raise it.\n  Twice\nas fast.\n{long}\nend\ndone\n"
    assert ("tool", "read train.py") in said
