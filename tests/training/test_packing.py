"""Rows: full to the last token, a BOS first, documents whole or cut as documented, always in the same order."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.conftest import Workspace

BOS = 1_000_000


def numbered(lengths: list[int]) -> list[list[int]]:
    """Documents of `lengths` tokens after BOS, no token twice."""
    counter = itertools.count()
    return [[BOS, *itertools.islice(counter, length)] for length in lengths]


@pytest.fixture(scope="module")
def prepare(demo: Workspace) -> Iterator[Any]:
    yield demo.prepare()


def packed(prepare: Any, documents: list[list[int]], length: int, split: bool, buffer: int) -> list[list[int]]:
    prepare.SPLIT_LONG_DOCUMENTS, prepare.DOCUMENT_BUFFER = split, buffer
    return list(prepare.packed_rows(documents, length, BOS))


lengths = st.lists(st.integers(min_value=0, max_value=40), max_size=60)


@settings(deadline=None, max_examples=150)
@given(lengths=lengths, length=st.integers(min_value=2, max_value=20), split=st.booleans(), buffer=st.integers(1, 9))
def test_rows_are_full_and_begin_with_bos(
    prepare: Any, lengths: list[int], length: int, split: bool, buffer: int
) -> None:
    for row in packed(prepare, numbered(lengths), length, split, buffer):
        assert len(row) == length
        assert row[0] == BOS


@settings(deadline=None, max_examples=150)
@given(lengths=lengths, length=st.integers(min_value=2, max_value=20), split=st.booleans(), buffer=st.integers(1, 9))
def test_the_tokens_of_a_document_stay_in_order_and_none_is_seen_twice(
    prepare: Any, lengths: list[int], length: int, split: bool, buffer: int
) -> None:
    documents = numbered(lengths)
    tokens = [token for row in packed(prepare, documents, length, split, buffer) for token in row if token != BOS]
    assert len(tokens) == len(set(tokens))
    place = {token: index for index, token in enumerate(tokens)}
    for document in documents:
        seen = [token for token in document[1:] if token in place]
        assert seen == document[1 : 1 + len(seen)]  # the beginning of it, or all
        assert [place[token] for token in seen] == sorted(place[token] for token in seen)


@settings(deadline=None, max_examples=150)
@given(lengths=lengths, length=st.integers(min_value=2, max_value=20), buffer=st.integers(1, 9))
def test_with_splitting_only_the_last_row_is_lost(prepare: Any, lengths: list[int], length: int, buffer: int) -> None:
    documents = numbered(lengths)
    rows = packed(prepare, documents, length, True, buffer)
    kept = sum(token != BOS for row in rows for token in row)
    assert sum(lengths) - kept < length


def test_the_longest_that_fits_goes_first_and_then_the_shortest_is_cut(prepare: Any) -> None:
    a, b, c, d = numbered([2, 6, 4, 8])  # with BOS: 3, 7, 5, 9
    assert packed(prepare, [a, b, c, d], 10, False, 4) == [d + a[:1], b + c[:3]]
    assert packed(prepare, [a, b, c, d], 10, True, 4) == [d + a[:1], [*b, BOS, *a[1:]]]


def test_a_long_document_comes_as_pieces_that_fill_a_row_each(demo: Workspace) -> None:
    prepare = demo.prepare()
    tokenizer = prepare.load_tokenizer()
    shard = [prepare.shard_path(1)]
    pieces = list(prepare.token_documents(tokenizer, shard, None))
    assert all(piece[0] == tokenizer.bos and tokenizer.bos not in piece[1:] for piece in pieces)
    assert max(len(piece) for piece in pieces) == 257
    assert b"".join(tokenizer.decode(piece[1:]) for piece in pieces).decode() == "".join(
        prepare.read_documents(shard[0], 0)
    )


def first_rows(own: Workspace, batch_size: int, seed: int, rows: int = 24) -> torch.Tensor:
    prepare = own.prepare()
    batches = prepare.training_batches(prepare.load_tokenizer(), batch_size, torch.device("cpu"), seed)
    blocks = [
        torch.cat([inputs, targets[:, -1:]], 1) for inputs, targets in itertools.islice(batches, rows // batch_size)
    ]
    return torch.cat(blocks)


def test_a_seed_gives_one_order_whatever_the_batch_size(demo: Workspace) -> None:
    rows = first_rows(demo, 4, seed=7)
    assert rows.shape == (24, 257)
    assert torch.equal(rows, first_rows(demo, 8, seed=7))
    assert not torch.equal(rows, first_rows(demo, 4, seed=8))


def test_targets_are_the_inputs_one_token_on(demo: Workspace) -> None:
    prepare = demo.prepare()
    inputs, targets = next(prepare.training_batches(prepare.load_tokenizer(), 4, torch.device("cpu"), 0))
    assert inputs.dtype == targets.dtype == torch.int64
    assert inputs.shape == targets.shape == (4, 256)
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    assert (inputs[:, 0] == 2044).all()


def test_training_never_reads_the_validation_shard(workspace: Callable[..., Workspace]) -> None:
    own = workspace()
    (own.data / "shard_00001.parquet").write_bytes(b"not to be opened")
    first_rows(own, 4, seed=0)
    assert [path.name for path in own.prepare().training_shards()] == ["shard_00000.parquet"]


@pytest.mark.parametrize("content", [b"", b"PAR1 and nothing more"])
def test_a_damaged_shard_is_named_in_one_sentence(workspace: Callable[..., Workspace], content: bytes) -> None:
    own = workspace()
    (own.data / "shard_00000.parquet").write_bytes(content)
    done = own.run("-c", "import prepare; next(prepare.token_documents(None, prepare.training_shards(), 0))")
    assert done.returncode == 1
    assert "shard_00000.parquet is no readable parquet shard" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_text_is_gone_through_again_when_it_ends(workspace: Callable[..., Workspace]) -> None:
    prepare = workspace().prepare()
    tokenizer = prepare.load_tokenizer()
    shard = [prepare.shard_path(1)]
    once = len(list(prepare.token_documents(tokenizer, shard, None)))
    epochs = list(itertools.islice(prepare.token_documents(tokenizer, shard, 3), 2 * once))
    assert sorted(epochs[:once]) == sorted(epochs[once:])
    assert epochs[:once] != epochs[once:]


@pytest.mark.gpu
def test_batches_on_a_gpu_are_those_of_the_cpu(demo: Workspace) -> None:
    prepare = demo.prepare()
    tokenizer = prepare.load_tokenizer()
    cpu = prepare.training_batches(tokenizer, 4, torch.device("cpu"), 0)
    gpu = prepare.training_batches(tokenizer, 4, torch.device("cuda"), 0)
    held = [next(gpu) for _ in range(50)]  # not looked at until all copies are under way
    for inputs, targets in held:
        expected_inputs, expected_targets = next(cpu)
        assert torch.equal(inputs.cpu(), expected_inputs)
        assert torch.equal(targets.cpu(), expected_targets)
