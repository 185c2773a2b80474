"""prepare.py against a real HTTP server on loopback that misbehaves as networks do."""

import fcntl
import io
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.training.conftest import Workspace

SMALL = {"MAX_SHARD": 3, "VOCAB_SIZE": 300, "BACKOFF_SECONDS": 0.01, "DOWNLOAD_ATTEMPTS": 3}


def shard(number: int) -> bytes:
    """A parquet shard of about 60 kB that does not compress away."""
    words = [f"{(number + 1) * 7919 * i % 1_000_003:x}" for i in range(12_000)]
    texts = [" ".join(words[start : start + 400]) for start in range(0, len(words), 400)]
    out = io.BytesIO()
    pq.write_table(pa.table({"text": texts}), out, compression="zstd", row_group_size=10)
    return out.getvalue()


class Hub(ThreadingHTTPServer):
    """Serves four shards as the hub does. `trouble` maps a shard's name to what happens to its next requests, in order:

    a status code; ("cut", n): the connection ends after n bytes; ("stall", n): it hangs after n bytes.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = {f"shard_{index:05d}.parquet": shard(index) for index in range(4)}
        self.trouble: dict[str, list[int | tuple[str, int]]] = {}
        self.requests: list[tuple[str, str]] = []  # (name, range asked for)
        self.ranges = True
        self.claimed_size: int | None = None
        self.stalled = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def asked(self, index: int) -> list[str]:
        """The ranges that were asked of a shard, without the questions for its size."""
        return [span for name, span in self.requests if name == f"shard_{index:05d}.parquet" and span != "bytes=0-0"]


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        folder, _, name = self.path.rpartition("/")
        span = self.headers.get("Range", "")
        self.server.requests.append((name, span))
        content = self.server.files.get(name)
        if folder != "/datasets/karpathy/climbmix-400b-shuffle/resolve/main" or content is None:
            self.send_error(404)
            return
        trouble = self.server.trouble.get(name, [])
        probing = span == "bytes=0-0"
        event = trouble.pop(0) if trouble and not probing else None
        if isinstance(event, int):
            self.send_error(event)
            return
        first, last = 0, len(content) - 1
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", span)
        if wanted and self.server.ranges:
            first, last = int(wanted[1]), min(int(wanted[2] or last), last)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{self.server.claimed_size or len(content)}")
        else:
            self.send_response(200)
        body = content[first : last + 1]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if isinstance(event, tuple):
            self.wfile.write(body[: event[1]])
            self.wfile.flush()
            if event[0] == "stall":
                self.server.stalled.set()
                time.sleep(60)
            self.close_connection = True
            return
        self.wfile.write(body)


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def empty(empty_workspace: Callable[..., Workspace]) -> Workspace:
    return empty_workspace(**SMALL)


def prepare(own: Workspace, hub: Hub, *arguments: str) -> subprocess.CompletedProcess[str]:
    return own.run("prepare.py", *(arguments or ("--num-shards", "2")), HF_ENDPOINT=hub.url)


def has(own: Workspace, hub: Hub, *indices: int) -> None:
    """Exactly these shards are in `own`, byte for byte, and nothing half done."""
    found = {path.name: path.read_bytes() for path in own.data.glob("shard*")}
    assert found == {name: content for name, content in hub.files.items() if int(name[6:11]) in indices}


def one_sentence(done: subprocess.CompletedProcess[str], status: int, part: str) -> None:
    assert done.returncode == status, done.stderr
    assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stdout == ""


def test_it_fetches_the_first_shards_and_the_last_and_trains_the_tokenizer(empty: Workspace, hub: Hub) -> None:
    done = prepare(empty, hub)
    assert done.returncode == 0, done.stderr
    has(empty, hub, 0, 1, 3)
    assert (empty.data / "tokenizer-300.json").exists()
    assert empty.run("prepare.py", "--check").returncode == 0


def test_a_second_run_asks_for_nothing(empty: Workspace, hub: Hub) -> None:
    prepare(empty, hub)
    hub.requests.clear()
    assert prepare(empty, hub).returncode == 0
    assert hub.requests == []


def test_more_shards_later_fetch_only_those(empty: Workspace, hub: Hub) -> None:
    prepare(empty, hub, "--num-shards", "1", "--workers", "1")
    hub.requests.clear()
    assert prepare(empty, hub, "--num-shards", "3").returncode == 0
    assert {name for name, _ in hub.requests} == {"shard_00001.parquet", "shard_00002.parquet"}
    has(empty, hub, 0, 1, 2, 3)


def test_a_download_that_was_cut_goes_on_where_it_stopped(empty: Workspace, hub: Hub) -> None:
    hub.trouble["shard_00000.parquet"] = [("cut", 20_000), ("cut", 5_000), ("cut", 5_000), ("cut", 5_000)]
    assert prepare(empty, hub).returncode == 0
    assert hub.asked(0) == ["bytes=0-", "bytes=20000-", "bytes=25000-", "bytes=30000-", "bytes=35000-"]
    has(empty, hub, 0, 1, 3)


def test_a_server_that_ignores_ranges_sends_it_all_again(empty: Workspace, hub: Hub) -> None:
    hub.ranges = False
    hub.trouble["shard_00000.parquet"] = [("cut", 20_000)]
    assert prepare(empty, hub).returncode == 0
    has(empty, hub, 0, 1, 3)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_passing_error_of_the_server_is_tried_again(empty: Workspace, hub: Hub, status: int) -> None:
    hub.trouble["shard_00001.parquet"] = [status, status]
    assert prepare(empty, hub).returncode == 0
    has(empty, hub, 0, 1, 3)


def test_an_error_that_stays_is_one_sentence(empty: Workspace, hub: Hub) -> None:
    hub.trouble["shard_00001.parquet"] = [500] * 3
    done = prepare(empty, hub)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("the server answers 500 (gave up after 3 tries)")
    assert empty.run("prepare.py", "--check").returncode == 2


def test_a_missing_shard_is_not_asked_for_again(empty: Workspace, hub: Hub) -> None:
    del hub.files["shard_00001.parquet"]
    one_sentence(prepare(empty, hub), 1, "the server answers 404")
    assert len([name for name, _ in hub.requests if name == "shard_00001.parquet"]) == 1


def test_no_server_is_one_sentence(empty: Workspace) -> None:
    done = empty.run("prepare.py", HF_ENDPOINT="http://127.0.0.1:9")
    one_sentence(done, 1, "Connection refused")


def test_a_shard_that_is_no_parquet_is_not_kept(empty: Workspace, hub: Hub) -> None:
    hub.files["shard_00000.parquet"] = hub.files["shard_00000.parquet"][:-3000]
    done = prepare(empty, hub)
    assert done.returncode == 1
    assert "is no readable parquet shard" in done.stderr.splitlines()[-1]
    assert not (empty.data / "shard_00000.parquet").exists()
    assert not (empty.data / "shard_00000.parquet.part").exists()
    assert empty.run("prepare.py", "--check").returncode == 2


def test_damage_inside_a_shard_is_found_and_it_is_fetched_anew(empty: Workspace, hub: Hub) -> None:
    content = bytearray(hub.files["shard_00000.parquet"])
    content[5000:9000] = bytes(4000)
    empty.data.mkdir()
    (empty.data / "shard_00000.parquet.part").write_bytes(content)
    assert prepare(empty, hub).returncode == 0
    assert hub.asked(0) == ["bytes=0-"]
    has(empty, hub, 0, 1, 3)


def test_a_complete_part_needs_only_its_name(empty: Workspace, hub: Hub) -> None:
    empty.data.mkdir()
    (empty.data / "shard_00000.parquet.part").write_bytes(hub.files["shard_00000.parquet"])
    assert prepare(empty, hub).returncode == 0
    assert hub.asked(0) == []
    has(empty, hub, 0, 1, 3)


def test_no_space_is_found_out_before_the_first_byte(empty: Workspace, hub: Hub) -> None:
    hub.claimed_size = 10**18
    one_sentence(prepare(empty, hub), 2, "not enough space in")
    assert not list(empty.data.glob("shard*"))
    assert all(span == "bytes=0-0" for _, span in hub.requests)


def test_a_disk_that_fills_up_on_the_way_is_one_sentence(empty: Workspace, hub: Hub) -> None:
    script = (
        "import errno, prepare, sys\n"
        "def full(self, *_): raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "prepare.Shard.attempt = full\n"
        "sys.exit(prepare.main(['--num-shards', '1']))\n"
    )
    one_sentence(empty.run("-c", script, HF_ENDPOINT=hub.url), 2, "no space left in")


def test_killed_in_the_middle_it_leaves_nothing_that_looks_complete(empty: Workspace, hub: Hub) -> None:
    hub.trouble["shard_00003.parquet"] = [("stall", 30_000)]
    process = subprocess.Popen(
        [sys.executable, "prepare.py", "--num-shards", "2"],
        cwd=empty.folder,
        env={"HF_ENDPOINT": hub.url},
        stderr=subprocess.DEVNULL,
    )
    part = empty.data / "shard_00003.parquet.part"
    assert hub.stalled.wait(60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (empty.data / "shard_00003.parquet").exists()
    one_sentence(empty.run("prepare.py", "--check"), 2, "prepare")
    already = part.stat().st_size if part.exists() else 0
    hub.requests.clear()
    assert prepare(empty, hub).returncode == 0
    assert hub.asked(3) == [f"bytes={already}-"]
    has(empty, hub, 0, 1, 3)


def test_a_half_written_tokenizer_is_not_taken_for_one(empty: Workspace, hub: Hub) -> None:
    prepare(empty, hub)
    complete = (empty.data / "tokenizer-300.json").read_bytes()
    (empty.data / "tokenizer-300.json").rename(empty.data / "tokenizer-300.json.part")
    (empty.data / "tokenizer-300.json.part").write_bytes(complete[:1000])
    one_sentence(empty.run("prepare.py", "--check"), 2, "no tokenizer")
    assert prepare(empty, hub).returncode == 0
    assert (empty.data / "tokenizer-300.json").read_bytes() == complete


def test_two_at_once_do_not_mix(empty: Workspace, hub: Hub) -> None:
    empty.data.mkdir()
    with (empty.data / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        one_sentence(prepare(empty, hub), 2, "another prepare.py is at work")
    assert prepare(empty, hub).returncode == 0


@pytest.mark.parametrize("arguments", [("--num-shards", "0"), ("--num-shards", "4"), ("--workers", "0")])
def test_impossible_numbers_are_refused(empty: Workspace, hub: Hub, arguments: tuple[str, str]) -> None:
    one_sentence(prepare(empty, hub, *arguments), 2, arguments[0])
    assert hub.requests == []


def test_a_data_folder_that_cannot_be_made_is_one_sentence(empty: Workspace, hub: Hub) -> None:
    empty.data.write_text("in the way")
    one_sentence(prepare(empty, hub), 2, "cannot write in")


def test_check_names_what_is_missing_and_the_command(empty: Workspace, hub: Hub) -> None:
    one_sentence(empty.run("prepare.py", "--check"), 2, "run `autoresearch-tui prepare`")
    assert not empty.data.exists()
    prepare(empty, hub)
    (empty.data / "shard_00003.parquet").unlink()
    one_sentence(empty.run("prepare.py", "--check"), 2, "no validation shard")


def test_check_is_silent_and_loads_no_torch(demo: Workspace) -> None:
    script = (
        "import prepare, sys; assert prepare.main(['--check']) == 0; assert not {'torch', 'pyarrow'} & {*sys.modules}"
    )
    done = demo.run("-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_train_without_data_says_which_command_fetches_it(empty: Workspace) -> None:
    one_sentence(empty.run("train.py"), 1, "run `autoresearch-tui prepare`")


def test_the_data_folder_of_the_gpu_profile_is_in_the_persons_cache() -> None:
    source = (Path(__file__).parents[2] / "training" / "prepare.py").read_text()
    assert '\nDATA_DIR = "~/.cache/autoresearch"' in source


def test_the_files_in_use_are_named_once_they_are_there(demo: Workspace, empty: Workspace) -> None:
    named = [Path(name) for name in json.loads(demo.run("prepare.py", "--files").stdout)]
    assert [path.name for path in named] == ["shard_00000.parquet", "shard_00001.parquet", "tokenizer-2048.json"]
    assert all(path.is_absolute() and path.is_file() for path in named)
    one_sentence(empty.run("prepare.py", "--files"), 2, "prepare")
