"""The fixed half of a workspace: the data, the tokenizer, the budget and the metric. Nothing edits it in a session.

What:  `python prepare.py` downloads the training text and trains the tokenizer, once. train.py imports the rest:
       `load_tokenizer`, `training_batches`, `Budget` (what ends training) and `evaluate_bpb` (the number to lower).
Why:   runs are compared with each other, so whatever makes them comparable lives here, out of the reach of the edits
       that a session makes to train.py. train.py only asks: `budget.progress`, `budget.done`.
Costs: 11 shards of climbmix are about 1 GB on disk and the tokenizer takes about a minute on 8 cores; after that
       nothing is prepared again. Best-fit packing fills every row to the last token, at the price of the ends of cut
       documents: about a third of the tokens at MAX_SEQ_LEN = 2048, none with SPLIT_LONG_DOCUMENTS.

The constants are plain literals, so that a profile (assets/profiles/*.toml) is nothing but other values for them.
torch is imported where it is used: `python prepare.py --check` answers in a tenth of a second.
"""

from __future__ import annotations

import argparse
import base64
import bisect
import contextlib
import ctypes
import errno
import fcntl
import http.client
import itertools
import json
import math
import os
import random
import shutil
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import pyarrow.parquet
    import tiktoken
    import torch

Result = TypeVar("Result")

# ------------------------------------------------------------------------------------------------------------------
# Constants

MAX_SEQ_LEN = 2048  # tokens of context
TIME_BUDGET = 300  # seconds of training, by the wall clock; with a FLOP_BUDGET, only what that is expected to take
FLOP_BUDGET = None  # floating-point operations of training; None: TIME_BUDGET decides
UNTIMED_STEPS = 10  # the first steps, in which torch.compile works: the wall clock starts after them
EVAL_TOKENS = 40 * 524288  # validation tokens that evaluate_bpb predicts, or all there are
VOCAB_SIZE = 8192  # reserved tokens included
SPLIT_LONG_DOCUMENTS = False  # True: the rest of a cut document is kept, with a BOS of its own; False: it is dropped
DOCUMENT_BUFFER = 1000  # documents that best-fit chooses from
NUM_THREADS = None  # CPU threads of training; None: torch's own choice
DATA_DIR = "~/.cache/autoresearch"  # a relative path starts at the folder of this file
DATASET = "karpathy/climbmix-400b-shuffle"  # on the Hugging Face hub, or on HF_ENDPOINT where that is set
MAX_SHARD = 6542  # the number of the last shard, which is pinned for validation
NUM_SHARDS = 10  # training shards that are downloaded unless --num-shards says otherwise
DOWNLOAD_WORKERS = 8  # parallel downloads unless --workers says otherwise
DOWNLOAD_ATTEMPTS = 6  # tries that bring nothing new before a shard is given up
BACKOFF_SECONDS = 1.0  # pause after the first failed try; doubles with each
TOKENIZER_CHARACTERS = 1_000_000_000  # the tokenizer is trained on this much text, at most
TOKENIZER_DOCUMENT_CHARACTERS = 10_000  # and on this much of any one document

# GPT-4's way of cutting text into words before BPE, with numbers in groups of two digits instead of three: a small
# vocabulary has better uses for a thousand entries.
SPLIT_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}|"
    r" ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)
RESERVED_TOKENS = ("<|bos|>", "<|reserved_1|>", "<|reserved_2|>", "<|reserved_3|>")  # the last ids; BOS is the first


class Failure(SystemExit):
    """One sentence for the person. Uncaught, Python prints it on stderr without a traceback and exits with 1."""

    def __init__(self, sentence: str, status: int = 1) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status


# ------------------------------------------------------------------------------------------------------------------
# Files. Everything is written beside its place and renamed into it: what has its final name is complete.


def data_dir() -> Path:
    """The folder that holds the shards and the tokenizer."""
    return Path(__file__).resolve().parent / Path(DATA_DIR).expanduser()


def shard_path(index: int) -> Path:
    return data_dir() / f"shard_{index:05d}.parquet"


def training_shards() -> list[Path]:
    """The training shards that are there, in order. More shards make another data order: add them between sessions."""
    validation = shard_path(MAX_SHARD)
    return [path for path in sorted(data_dir().glob("shard_?????.parquet")) if path.name < validation.name]


def tokenizer_path() -> Path:
    return data_dir() / f"tokenizer-{VOCAB_SIZE}.json"


def publish(part: Path, path: Path) -> None:
    """Give the finished file `part` its final name, so that after a power cut it is there whole or not at all."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def open_shard(path: Path) -> Iterator[pyarrow.parquet.ParquetFile]:
    """A shard, open for reading. Raises Failure where it, or what is read from it inside the block, is damaged."""
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            if "text" not in file.schema_arrow.names:
                raise Failure(f"{path} has no column 'text'")
            yield file
    except (pyarrow.ArrowException, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise Failure(f"{path} is no readable parquet shard ({reason}): delete it and run prepare again") from None


def row_groups(path: Path) -> int:
    """The number of row groups of a shard."""
    with open_shard(path) as file:
        return int(file.num_row_groups)


def read_documents(path: Path, group: int) -> list[str]:
    """The texts of a row group, in order, empty ones left out."""
    with open_shard(path) as file:
        return [text for text in file.read_row_group(group, columns=["text"]).column("text").to_pylist() if text]


def verify(path: Path) -> None:
    """Read a shard through, a row group at a time. Raises Failure where it is damaged."""
    with open_shard(path) as file:
        for group in range(file.num_row_groups):
            file.read_row_group(group, columns=["text"])


# ------------------------------------------------------------------------------------------------------------------
# Download


class Progress:
    """One bar on stderr for all the shards together: redrawn in place on a terminal, a line per shard elsewhere."""

    def __init__(self, shards: int, total: int, have: int) -> None:
        self.shards, self.total, self.have = shards, total, have
        self.finished = 0
        self.fetched = 0
        self.started = self.drawn = time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.lock = threading.Lock()

    def add(self, size: int) -> None:
        """`size` bytes have arrived (negative: have been thrown away)."""
        with self.lock:
            self.have += size
            self.fetched += max(size, 0)
            if self.terminal and time.monotonic() - self.drawn > 0.1:
                self.drawn = time.monotonic()
                sys.stderr.write("\r" + self.line())
                sys.stderr.flush()

    def finish(self, name: str) -> None:
        with self.lock:
            self.finished += 1
            sys.stderr.write(f"\r{self.line()}" if self.terminal else f"{name}: {self.line()}\n")
            sys.stderr.flush()

    def line(self) -> str:
        share = min(self.have / self.total, 1.0) if self.total else 1.0
        bar = ("#" * round(24 * share)).ljust(24, ".")
        rate = self.fetched / max(time.monotonic() - self.started, 1e-3) / 1e6
        size = f"{self.have / 1e6:,.0f}/{self.total / 1e6:,.0f} MB"
        return f"[{bar}] {share:4.0%}  {self.finished}/{self.shards} shards  {size}  {rate:,.1f} MB/s "


def open_url(url: str, first_byte: int, last_byte: int | None = None) -> http.client.HTTPResponse:
    """Ask for the bytes of `url` from `first_byte` on. The server may ignore the range and answer 200 with them all."""
    agent = {"User-Agent": "autoresearch-tui", "Accept-Encoding": "identity"}
    span = {"Range": f"bytes={first_byte}-{'' if last_byte is None else last_byte}"}
    response: http.client.HTTPResponse = urllib.request.urlopen(
        urllib.request.Request(url, headers=agent | span), timeout=30
    )
    return response


def whole_size(response: http.client.HTTPResponse) -> int:
    """The size of the whole file in bytes, by the answer to a request for a part of it. Raises OSError without one."""
    span = response.headers.get("Content-Range", "")
    size = span.rpartition("/")[2] if response.status == 206 else response.headers.get("Content-Length", "")
    if not size.isdigit():
        raise OSError("the server does not say how large the file is")
    return int(size)


def retrying(what: str, attempt: Callable[[], Result], stop: threading.Event, news: Callable[[], int]) -> Result:
    """Call `attempt` until it returns. After DOWNLOAD_ATTEMPTS tries in a row without `news` growing: Failure.

    A full disk and an answer that no retry can change (404, 403) end it at once.
    """
    failed = 0
    known = news()
    while True:
        try:
            return attempt()
        except urllib.error.HTTPError as error:
            error.close()
            reason = f"the server answers {error.code}"
            if 400 <= error.code < 500 and error.code not in (408, 416, 425, 429):
                raise Failure(f"cannot download {what}: {reason}") from None
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Failure(f"no space left in {data_dir()}: free some and run prepare again", 2) from None
            reason = str(getattr(error, "reason", "") or error) or type(error).__name__
        grown, known = news() > known, news()
        failed = 1 if grown else failed + 1
        if failed >= DOWNLOAD_ATTEMPTS:
            raise Failure(f"cannot download {what}: {reason} (gave up after {failed} tries)")
        if stop.wait(BACKOFF_SECONDS * 2 ** (failed - 1)):
            raise Failure("stopped")


class Shard:
    """One shard on its way here: `part` grows by what arrives, and becomes `path` when it is whole and readable."""

    def __init__(self, index: int, stop: threading.Event) -> None:
        self.path = shard_path(index)
        self.part = self.path.with_name(self.path.name + ".part")
        endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
        self.url = f"{endpoint.rstrip('/')}/datasets/{DATASET}/resolve/main/{self.path.name}"
        self.stop = stop
        self.size = 0

    def have(self) -> int:
        """Bytes of it that are already here."""
        return self.part.stat().st_size if self.part.exists() else 0

    def measure(self) -> int:
        """Its size in bytes, as the server tells it."""

        def attempt() -> int:
            with open_url(self.url, 0, 0) as response:
                return whole_size(response)

        self.size = retrying(self.url, attempt, self.stop, lambda: 0)
        return self.size

    def fetch(self, progress: Progress) -> None:
        """Download what is missing of it. Raises Failure when the server does not give it."""
        retrying(self.url, lambda: self.attempt(progress), self.stop, self.have)
        publish(self.part, self.path)
        progress.finish(self.path.name)

    def attempt(self, progress: Progress) -> None:
        if self.have() > self.size:
            self.discard(progress)
        if self.have() < self.size:
            with open_url(self.url, self.have()) as response:
                resumed = response.status == 206
                if whole_size(response) != self.size:
                    raise OSError("the file changed on the server")
                if not resumed:
                    self.discard(progress)
                with self.part.open("ab") as file:
                    while chunk := response.read(1 << 18):
                        file.write(chunk)
                        progress.add(len(chunk))
                        if self.stop.is_set():
                            raise Failure("stopped")
        if self.have() != self.size:
            raise OSError(f"the connection was cut at {self.have():,} of {self.size:,} bytes")
        try:
            verify(self.part)
        except Failure as failure:
            self.discard(progress)
            raise OSError(failure.sentence) from None

    def discard(self, progress: Progress) -> None:
        progress.add(-self.have())
        self.part.unlink(missing_ok=True)


def download(num_shards: int, workers: int) -> None:
    """Fetch the first `num_shards` training shards and the validation shard, those that are not here yet.

    Raises Failure: no network, no such file, no space (asked before the first byte), `num_shards` out of range.
    """
    if not 1 <= num_shards <= MAX_SHARD:
        raise Failure(f"--num-shards must be between 1 and {MAX_SHARD}, not {num_shards}", 2)
    if workers < 1:
        raise Failure(f"--workers must be at least 1, not {workers}", 2)
    stop = threading.Event()
    shards = [Shard(index, stop) for index in (*range(num_shards), MAX_SHARD) if not shard_path(index).exists()]
    if not shards:
        return
    with ThreadPoolExecutor(workers) as pool:
        try:
            total = sum(pool.map(Shard.measure, shards))
            have = sum(shard.have() for shard in shards)
            free = shutil.disk_usage(data_dir()).free
            if total - have > free:
                raise Failure(
                    f"not enough space in {data_dir()}: {(total - have) / 1e9:,.2f} GB to download, "
                    f"{free / 1e9:,.2f} GB free (fewer shards: --num-shards)",
                    2,
                )
            progress = Progress(len(shards), total, have)
            for future in as_completed([pool.submit(shard.fetch, progress) for shard in shards]):
                future.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            if sys.stderr.isatty():
                sys.stderr.write("\n")


# ------------------------------------------------------------------------------------------------------------------
# Tokenizer


class Tokenizer:
    """A byte-level BPE: any text becomes token ids and comes back byte for byte.

    vocab_size   number of ids, the reserved ones included
    bos          the id that begins every document and every row
    token_bytes  int64 array (vocab_size,): the bytes that each token stands for; 0 for the reserved ones. Many tokens
                 are no valid UTF-8 on their own (half an emoji): bytes are counted, never those of a decoded string.
    """

    def __init__(self, encoding: tiktoken.Encoding) -> None:
        import numpy as np

        self.encoding = encoding
        self.vocab_size: int = encoding.n_vocab
        self.bos: int = encoding.encode_single_token(RESERVED_TOKENS[0])
        ordinary = self.vocab_size - len(RESERVED_TOKENS)
        lengths = [len(encoding.decode_single_token_bytes(token)) for token in range(ordinary)]
        self.token_bytes: np.ndarray = np.array(lengths + [0] * len(RESERVED_TOKENS), dtype=np.int64)

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text, without BOS. What looks like a reserved token in a text is ordinary text."""
        return self.encoding.encode_ordinary_batch(texts, num_threads=NUM_THREADS or 8)

    def decode(self, tokens: list[int]) -> bytes:
        """The bytes that `tokens` stand for."""
        return self.encoding.decode_bytes(tokens)


def tokenizer_text() -> Iterator[str]:
    """The beginnings of the training documents, TOKENIZER_CHARACTERS in all."""
    left = TOKENIZER_CHARACTERS
    for path in training_shards():
        for group in range(row_groups(path)):
            for text in read_documents(path, group):
                yield text[: min(TOKENIZER_DOCUMENT_CHARACTERS, left)]
                left -= min(len(text), TOKENIZER_DOCUMENT_CHARACTERS)
                if left <= 0:
                    return


def train_tokenizer() -> None:
    """Train the BPE on the training shards and store it as JSON: data that is read, never code that is run.

    Raises Failure for a vocabulary that has no room for the 256 bytes, or for more merges than the text holds.
    """
    check_vocabulary()
    import rustbpe

    started = time.monotonic()
    trainer = rustbpe.Tokenizer()
    trainer.train_from_iterator(tokenizer_text(), VOCAB_SIZE - len(RESERVED_TOKENS), pattern=SPLIT_PATTERN)
    tokens = [bytes(token) for token, rank in sorted(trainer.get_mergeable_ranks(), key=lambda pair: pair[1])]
    found = len(tokens) + len(RESERVED_TOKENS)
    if found < VOCAB_SIZE:
        raise Failure(f"the training text holds only {found} tokens, less than VOCAB_SIZE = {VOCAB_SIZE}: lower it", 2)
    stored = {
        "format": "autoresearch-bpe-1",
        "pattern": SPLIT_PATTERN,
        "reserved": list(RESERVED_TOKENS),
        "tokens": [base64.b64encode(token).decode("ascii") for token in tokens],
    }
    path = tokenizer_path()
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(stored), encoding="utf-8")
    publish(part, path)
    print(f"{path}: {VOCAB_SIZE} tokens in {time.monotonic() - started:.1f} s", file=sys.stderr)


def check_vocabulary() -> None:
    """Raises Failure for a VOCAB_SIZE with which rustbpe would panic."""
    smallest = 256 + len(RESERVED_TOKENS)
    if smallest > VOCAB_SIZE:
        raise Failure(
            f"VOCAB_SIZE = {VOCAB_SIZE} is too small: 256 bytes and {len(RESERVED_TOKENS)} reserved tokens need "
            f"at least {smallest}",
            2,
        )


def load_tokenizer() -> Tokenizer:
    """The tokenizer of this workspace. Raises Failure where there is none or its file is damaged."""
    check_ready()
    import tiktoken

    path = tokenizer_path()
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        ranks = {base64.b64decode(token): rank for rank, token in enumerate(stored["tokens"])}
        if stored["format"] != "autoresearch-bpe-1" or len(ranks) != VOCAB_SIZE - len(RESERVED_TOKENS):
            raise ValueError("another format")
        reserved = {name: len(ranks) + index for index, name in enumerate(stored["reserved"])}
        return Tokenizer(
            tiktoken.Encoding(path.stem, pat_str=stored["pattern"], mergeable_ranks=ranks, special_tokens=reserved)
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(f"{path} is no tokenizer of this version ({error}): delete it and run prepare again", 2) from None


# ------------------------------------------------------------------------------------------------------------------
# Data loader


def token_documents(tokenizer: Tokenizer, shards: list[Path], seed: int | None) -> Iterator[list[int]]:
    """The documents of `shards` as token ids, BOS first: without a seed once, in order; with one, shuffled and endless.

    With SPLIT_LONG_DOCUMENTS a document that is longer than a row comes as pieces that fill a row each, BOS first, and
    the piece that is left. All row groups are shuffled, and the pieces within each: memory holds one group.
    """
    longest = MAX_SEQ_LEN if SPLIT_LONG_DOCUMENTS else sys.maxsize
    order = random.Random(seed)
    while True:
        groups = [(path, group) for path in shards for group in range(row_groups(path))]
        if seed is not None:
            order.shuffle(groups)
        for path, group in groups:
            pieces = [
                [tokenizer.bos, *tokens[start : start + longest]]
                for tokens in tokenizer.encode(read_documents(path, group))
                for start in range(0, len(tokens), longest)
            ]
            if seed is not None:
                order.shuffle(pieces)
            yield from pieces
        if seed is None:
            return


def packed_rows(documents: Iterable[list[int]], length: int, bos: int) -> Iterator[list[int]]:
    """Rows of exactly `length` tokens, each beginning with a document's BOS; no padding.

    Best fit: of the DOCUMENT_BUFFER documents at hand the longest that fits goes into the row (the oldest of that
    length), until none fits; then the shortest is cut to fill the rest. What is cut off is dropped, or, with
    SPLIT_LONG_DOCUMENTS, becomes a document of its own, BOS first. Where the documents end before a row is full, that
    row is left out.
    """
    documents = iter(documents)
    buffer: list[list[int]] = []  # sorted by length
    while True:
        row: list[int] = []
        while (room := length - len(row)) > 0:
            for document in itertools.islice(documents, DOCUMENT_BUFFER - len(buffer)):
                bisect.insort_right(buffer, document, key=len)
            if not buffer:
                return
            fitting = bisect.bisect_right(buffer, room, key=len)
            if fitting:
                row += buffer.pop(bisect.bisect_left(buffer, len(buffer[fitting - 1]), key=len))
                continue
            document = buffer.pop(0)
            row += document[:room]
            if SPLIT_LONG_DOCUMENTS:
                bisect.insort_right(buffer, [bos, *document[room:]], key=len)
        yield row


def on_device(
    rows: Iterator[list[int]], batch_size: int, device: torch.device
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """(inputs, targets), int64 (batch_size, T) on `device`, from rows of T + 1 tokens; the last batch may be smaller.

    On a GPU the copy is asynchronous from pinned memory. There are two pinned buffers, and before one is refilled the
    event behind its last copy is waited for: refilling a buffer that is still being copied would tear batches.
    """
    import torch

    pinned: list[torch.Tensor] = []
    copied: list[torch.cuda.Event] = []
    for turn in itertools.count():
        chunk = list(itertools.islice(rows, batch_size))
        if not chunk:
            return
        block = torch.tensor(chunk, dtype=torch.int64)
        if device.type == "cuda":
            slot = turn % 2
            if turn < 2:
                pinned.append(torch.empty(batch_size, block.size(1), dtype=torch.int64, pin_memory=True))
                copied.append(torch.cuda.Event())
            copied[slot].synchronize()  # returns at once while nothing has been recorded
            host = pinned[slot][: len(chunk)]
            host.copy_(block)
            block = host.to(device, non_blocking=True)
            copied[slot].record()
        yield block[:, :-1].contiguous(), block[:, 1:].contiguous()


def training_batches(
    tokenizer: Tokenizer, batch_size: int, device: torch.device, seed: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless (inputs, targets), int64 (batch_size, MAX_SEQ_LEN) on `device`.

    A seed gives the same rows in the same order, whatever the batch size.
    """
    rows = packed_rows(token_documents(tokenizer, training_shards(), seed), MAX_SEQ_LEN + 1, tokenizer.bos)
    return on_device(rows, batch_size, device)


# ------------------------------------------------------------------------------------------------------------------
# Budget


def effort() -> float:
    """Seconds in which what goes on outside of the steps is measured: of the clock, as the budget is.

    Where the budget is work they are the processor's, ended children's included: the clock of a busy machine would
    count the neighbours.
    """
    if FLOP_BUDGET is None:
        return time.perf_counter()
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


class Account:
    """What the budget saw of this process, for the record: steps, and the seconds inside and outside of them."""

    def __init__(self) -> None:
        self.imported = effort()
        self.inside = 0.0
        self.evaluations = 0
        self.steps = 0
        self.timed_steps = 0
        self.flops = 0
        self.training_seconds = 0.0
        self.untimed_seconds = 0.0

    def add(self, seconds: float, effort: float, flops: int, timed: bool) -> None:
        """A step has ended."""
        self.steps += 1
        self.inside += effort
        self.timed_steps += timed
        self.flops += flops
        if timed:
            self.training_seconds += seconds
        else:
            self.untimed_seconds += seconds

    def statement(self) -> dict[str, Any]:
        """`outside_seconds` is the effort from the import of prepare.py to now, steps left out."""
        return {
            "kind": "clock" if FLOP_BUDGET is None else "flops",
            "limit": TIME_BUDGET if FLOP_BUDGET is None else FLOP_BUDGET,
            "steps": self.steps,
            "timed_steps": self.timed_steps,
            "flops": self.flops,
            "training_seconds": self.training_seconds,
            "untimed_seconds": self.untimed_seconds,
            "outside_seconds": effort() - self.imported - self.inside,
        }


ACCOUNT = Account()


class Budget:
    """What ends training. Every training step runs inside `with budget.step():`, and the loop asks `budget.done`.

    progress          0.0 … 1.0, the share of the budget that is spent: learning-rate schedules follow it
    done              no further step fits
    training_seconds  wall clock of the steps that count
    timed_steps       the number of these
    flops             floating-point operations counted so far (0 without a FLOP_BUDGET)

    Without FLOP_BUDGET the budget is TIME_BUDGET seconds by the wall clock, the first UNTIMED_STEPS steps (compilation)
    not counted. With it, the budget is work: every matrix product and attention that the step really executes, forward,
    backward and optimizer, is seen by torch's dispatcher and counted by its formula, 2mnk for a product (m×k)·(k×n).
    So a larger model gets fewer steps, as it would under a clock, and two runs of the same code take the same steps on
    any machine. Attention counts as dense, T×T, whatever its mask hides. Elementwise work, and work in other threads,
    is not counted. What torch.compile has compiled runs uncompiled inside of such a step, and is counted.
    """

    def __init__(self, device: torch.device) -> None:
        import torch

        self.device = device
        self.steps = 0
        self.flops = 0
        self.timed_steps = 0
        self.training_seconds = 0.0
        self._last_flops = 0
        if NUM_THREADS is not None:
            torch.set_num_threads(NUM_THREADS)
        if device.type == "cpu":
            keep_freed_memory()

    @property
    def progress(self) -> float:
        spent = self.training_seconds / TIME_BUDGET if FLOP_BUDGET is None else self.flops / FLOP_BUDGET
        return min(spent, 1.0)

    @property
    def done(self) -> bool:
        if FLOP_BUDGET is None:
            return self.training_seconds >= TIME_BUDGET
        return self.flops + self._last_flops > FLOP_BUDGET

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Times and counts a training step, a failing one too: data, forward, backward and optimizer belong inside."""
        started, entered = time.perf_counter(), effort()
        counter = None if FLOP_BUDGET is None else flop_counter()
        try:
            with counter or contextlib.nullcontext():
                yield
            if self.device.type == "cuda":
                import torch

                torch.cuda.synchronize()
        finally:
            self.steps += 1
            if counter is not None:
                self._last_flops = counter.flops
                self.flops += self._last_flops
            seconds = time.perf_counter() - started
            timed = counter is not None or self.steps > UNTIMED_STEPS
            if timed:
                self.timed_steps += 1
                self.training_seconds += seconds
            ACCOUNT.add(seconds, effort() - entered, self._last_flops, timed)


def flop_counter() -> Any:
    """A context that sees every operation of this thread and of its backward passes, and adds up `flops`.

    The formulas are torch's own, and for the attention kernels of the CPU, which it lacks, the same as for a GPU's.
    Costs about 15 µs per operation, a fifth of the demo's step. (torch's FlopCounterMode, which also tells the modules
    apart, costs half a step.)
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

    def attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return int(sdpa_flop_count(query.shape, key.shape, value.shape))

    def attention_backward(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return int(sdpa_backward_flop_count(gradient.shape, query.shape, key.shape, value.shape))

    formulas = {
        **flop_registry,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: attention_backward,
    }

    class FlopCounter(TorchDispatchMode):
        flops = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **kwargs) if kwargs else func(*args)
            if formula := formulas.get(func._overloadpacket):
                self.flops += formula(*args, **(kwargs or {}), out_val=out)
            return out

    return FlopCounter()


def keep_freed_memory() -> None:
    """Tell glibc not to hand large blocks back to the kernel when they are freed; elsewhere, do nothing.

    A CPU step frees and asks again for the logits, megabytes at a time, and each time the kernel maps and clears every
    page: a third of the demo's step.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


# ------------------------------------------------------------------------------------------------------------------
# The metric


def evaluate_bpb(
    model: Callable[[torch.Tensor], torch.Tensor], tokenizer: Tokenizer, batch_size: int, device: torch.device
) -> float:
    """Bits per byte of the validation shard: what the model needs to encode it, per byte of text. Lower is better.

    model: maps int64 token ids (B, T) to logits (B, T, V), V >= tokenizer.vocab_size, each from the tokens up to its
    own. The rows are packed as in training, from the validation shard in its order: EVAL_TOKENS tokens, or all there
    are. Reserved tokens stand for no text: they are predicted from, but neither their loss nor their length counts.

        bpb = sum of -ln p(token) over the text's tokens / (ln 2 * their bytes)

    This does not depend on the vocabulary: a change of tokenizer is measured by the same yardstick. The softmax is
    taken here, in float32 with a float64 sum, so the model can't report a distribution that doesn't sum to one. A model
    whose predictions depend on later tokens is refused: it would be reading the answers. Costs a forward pass over
    EVAL_TOKENS and one more batch.

    Where AUTORESEARCH_RECORD names a file, the result is written there too, for whoever checks what train.py prints,
    with what the budget saw and what was predicted.
    Raises Failure for logits of a wrong shape, a model that looks ahead, and a result that is no number.
    """
    import torch

    ACCOUNT.evaluations += 1
    budget = ACCOUNT.statement()
    lengths = torch.from_numpy(tokenizer.token_bytes).to(device)
    nats = torch.zeros((), dtype=torch.float64, device=device)
    size = torch.zeros((), dtype=torch.int64, device=device)
    documents = token_documents(tokenizer, [shard_path(MAX_SHARD)], seed=None)
    rows = itertools.islice(packed_rows(documents, MAX_SEQ_LEN + 1, tokenizer.bos), EVAL_TOKENS // MAX_SEQ_LEN)
    counted = 0
    with torch.no_grad():
        for inputs, targets in on_device(rows, batch_size, device):
            logits = model(inputs)
            if logits.shape[:2] != inputs.shape or logits.size(-1) < tokenizer.vocab_size:
                raise Failure(
                    f"the model's logits have shape {tuple(logits.shape)}; evaluate_bpb needs "
                    f"({inputs.size(0)}, {inputs.size(1)}, {tokenizer.vocab_size})"
                )
            if not counted:
                refuse_lookahead(model, inputs, logits, tokenizer.vocab_size)
            for row, answer in zip(
                logits, targets, strict=True
            ):  # a row at a time: float32 logits of a batch are gigabytes
                loss = torch.nn.functional.cross_entropy(row.float(), answer, reduction="none").double()
                nats += torch.where(lengths[answer] > 0, loss, 0.0).sum()
            size += lengths[targets].sum()
            counted += targets.numel()
    if not counted:
        raise Failure(f"the validation shard {shard_path(MAX_SHARD)} does not fill a row of {MAX_SEQ_LEN} tokens", 2)
    bpb = nats.item() / (math.log(2) * size.item())
    if not math.isfinite(bpb):
        raise Failure("val_bpb is not a number: the model's logits are not finite")
    if record := os.environ.get("AUTORESEARCH_RECORD"):
        part = Path(record + ".part")
        result = {"val_bpb": bpb, "nats": nats.item(), "bytes": size.item(), "tokens": counted}
        result |= {"shard_size": shard_path(MAX_SHARD).stat().st_size, "evaluations": ACCOUNT.evaluations}
        result |= {"budget": budget, "run_id": os.environ.get("AUTORESEARCH_RUN_ID")}
        part.write_text(json.dumps(result))
        part.replace(record)
    return bpb


def refuse_lookahead(
    model: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor, logits: torch.Tensor, vocab_size: int
) -> None:
    """Raises Failure if predictions change where only later tokens did. Each row is changed from another position on.

    A change is measured as the total variation distance of the two distributions: 0 for the causal kernels, whose bits
    do not change, and above 0.05 for any leak worth having.
    """
    import torch

    rows, length = inputs.shape
    starts = torch.linspace(1, length - 1, rows + 2, device=inputs.device)[1:-1].long()
    positions = torch.arange(length, device=inputs.device)
    changed = model(torch.where(positions >= starts.unsqueeze(1), (inputs + 1) % vocab_size, inputs))
    for row, start in enumerate(starts.tolist()):
        before, after = (scores[row, :start].float().softmax(-1) for scores in (logits, changed))
        distance = ((before - after).abs().sum(-1) / 2).max().item()
        if distance > 0.05:
            raise Failure(f"the model looks ahead: its predictions change with later tokens (by {distance:.0%})")


# ------------------------------------------------------------------------------------------------------------------
# Command line


def check_ready() -> None:
    """Raises Failure, naming what is missing and the command that fetches it, unless data and tokenizer are there."""
    check_vocabulary()
    if not training_shards():
        raise Failure(f"no data in {data_dir()}: run `autoresearch-tui prepare` (or `python prepare.py`)", 2)
    if not shard_path(MAX_SHARD).exists():
        raise Failure(
            f"no validation shard {shard_path(MAX_SHARD)}: run `autoresearch-tui prepare` (or `python prepare.py`)", 2
        )
    if not tokenizer_path().exists():
        raise Failure(f"no tokenizer {tokenizer_path()}: run `autoresearch-tui prepare` (or `python prepare.py`)", 2)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Holds the lock on the data folder. Raises Failure if another prepare.py is at work in it."""
    with (data_dir() / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure(f"another prepare.py is at work in {data_dir()}: wait for it", 2) from None
        yield


def files_in_use() -> list[Path]:
    """The files that a run reads: training shards, validation shard, tokenizer. Raises Failure while one is missing."""
    check_ready()
    return [*training_shards(), shard_path(MAX_SHARD), tokenizer_path()]


def prepare(num_shards: int, workers: int) -> None:
    """Make data and tokenizer ready; what is there already stays. Raises Failure."""
    check_vocabulary()
    try:
        data_dir().mkdir(parents=True, exist_ok=True)
        with alone():
            download(num_shards, workers)
            if not tokenizer_path().exists():
                train_tokenizer()
    except OSError as error:
        raise Failure(f"cannot write in {data_dir()}: {error.strerror or error}", 2) from None


def main(arguments: list[str] | None = None) -> int:
    """0: ready; 1: the download failed; 2: wrong usage, nothing there (--check, --files) or no space; 130: interrupted.

    --files prints a JSON list of absolute paths on stdout: what must stay as it is for runs to be comparable.
    """
    parser = argparse.ArgumentParser(description="Download the data and train the tokenizer.", allow_abbrev=False)
    parser.add_argument("--num-shards", type=int, default=NUM_SHARDS, help=f"training shards (default: {NUM_SHARDS})")
    parser.add_argument(
        "--workers", type=int, default=DOWNLOAD_WORKERS, help=f"parallel downloads (default: {DOWNLOAD_WORKERS})"
    )
    parser.add_argument("--check", action="store_true", help="only say whether data and tokenizer are ready")
    parser.add_argument("--files", action="store_true", help="print the data and tokenizer files in use as JSON")
    options = parser.parse_args(arguments)
    try:
        if options.files:
            print(json.dumps([str(path) for path in files_in_use()]))
        elif options.check:
            check_ready()
        else:
            prepare(options.num_shards, options.workers)
    except Failure as failure:
        print(failure.sentence, file=sys.stderr)
        return failure.status
    except KeyboardInterrupt:
        print("interrupted; run prepare again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
