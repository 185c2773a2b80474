"""evaluate_bpb against a slow computation that shares no code with it, and what it refuses.

The slow one goes through the validation documents one at a time, in plain Python and numpy, in float64:

- the true bytes are those of the document's text, cut where its tokens end;
- evaluate_bpb packs several pieces of documents into a row, and a token is predicted from everything before it in its
  row. So a document's probability is that of its pieces, each given the beginning of the row that it came to lie in.
  The slow packer finds these rows by the rule in words (look at every document in the buffer), and knows whose each
  token is;
- the model is computed anew from its weights, a row at a time, with loops over the heads and a mask for the window.
"""

import base64
import functools
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.training.conftest import Workspace

CPU = torch.device("cpu")
T = 256
BOS = 2044
FOREIGN = [
    "大象在雨中跳舞。" * 40 + "🐘🌧️👩‍👩‍👧‍👦" * 60,
    "こんにちは世界 — naïve café, £20,000 😀😃😄😁😆🥹😅 안녕하세요" * 12,
]

Array = np.ndarray[Any, np.dtype[np.float64]]
Token = tuple[int, int, int]  # (document, place in it, id); BOS has place -1


# ---- the slow computation


def slow_pieces(documents: list[list[int]]) -> list[list[Token]]:
    """Each document cut into pieces of T tokens and a rest, a BOS before each."""
    pieces = []
    for number, tokens in enumerate(documents):
        for start in range(0, len(tokens), T):
            places = range(start, min(start + T, len(tokens)))
            pieces.append([(number, -1, BOS), *((number, place, tokens[place]) for place in places)])
    return pieces


def slow_rows(pieces: list[list[Token]], buffer_size: int) -> list[list[Token]]:
    """Best fit by looking at every piece in the buffer, the oldest first."""
    waiting = list(pieces)
    buffer: list[list[Token]] = []
    rows = []
    while True:
        row: list[Token] = []
        while len(row) < T + 1:
            while waiting and len(buffer) < buffer_size:
                buffer.append(waiting.pop(0))
            if not buffer:
                return rows
            room = T + 1 - len(row)
            fitting = [piece for piece in buffer if len(piece) <= room]
            if fitting:
                chosen = max(fitting, key=len)  # max and min take the first of equals
                buffer.remove(chosen)
                row += chosen
            else:
                chosen = min(buffer, key=len)
                buffer.remove(chosen)
                row += chosen[:room]
                buffer.append([(chosen[0][0], -1, BOS), *chosen[room:]])
        rows.append(row)


def rms(x: Array) -> Array:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + np.finfo(np.float32).eps)


@functools.cache
def angles(positions: int, half: int, base: float) -> Array:
    """RoPE's angle for each position and pair of channels. (positions, half)."""
    return np.array([[position * base ** (-pair / half) for pair in range(half)] for position in range(positions)])


def turned(x: Array, base: float) -> Array:
    """RoPE as a product of complex numbers. x: (T, D); channel i is paired with channel i + D/2."""
    half = x.shape[1] // 2
    pairs = (x[:, :half] + 1j * x[:, half:]) * np.exp(-1j * angles(T, half, base)[: len(x)])
    return np.concatenate([pairs.real, pairs.imag], axis=1)


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def slow_logits(train: Any, weights: dict[str, Array], windows: list[int], tokens: list[int]) -> Array:
    """The demo's GPT (depth 2, width 64, 2 heads of 32) on one row, from its weights. (len(tokens), vocabulary)."""
    x = first = rms(weights["embedding.weight"][tokens])
    positions = np.arange(len(tokens))
    for layer, window in enumerate(windows):
        x = weights["stream_scale"][layer] * x + weights["first_scale"][layer] * first
        h = rms(x)
        name = f"blocks.{layer}.attention."
        q, k, v = (h @ weights[f"{name}{part}.weight"].T for part in "qkv")
        if layer == 1:
            gate = 2 / (1 + np.exp(-h[:, :32] @ weights[f"{name}gate.weight"].T))
            v = v + np.repeat(gate, 32, axis=1) * weights["value_embeddings.1.weight"][tokens]
        back = positions[:, None] - positions[None, :]
        heads = []
        for head in (slice(0, 32), slice(32, 64)):
            scores = (
                rms(turned(q[:, head], train.ROPE_BASE)) @ rms(turned(k[:, head], train.ROPE_BASE)).T / math.sqrt(32)
            )
            heads.append(softmax(np.where((back >= 0) & (back <= window), scores, -np.inf)) @ v[:, head])
        x = x + np.concatenate(heads, 1) @ weights[f"{name}out.weight"].T
        hidden = np.maximum(rms(x) @ weights[f"blocks.{layer}.mlp.up.weight"].T, 0) ** 2
        x = x + hidden @ weights[f"blocks.{layer}.mlp.down.weight"].T
    return train.LOGIT_CAP * np.tanh(rms(x) @ weights["unembedding.weight"].T / train.LOGIT_CAP)


def slow_bpb(own: Workspace, logits: Callable[[list[int]], Array]) -> float:
    """Bits per byte, a document at a time. `logits` gives a row's (len, vocabulary)."""
    prepare = own.prepare()
    texts = pq.read_table(own.data / "shard_00001.parquet").column("text").to_pylist()
    documents = [prepare.load_tokenizer().encoding.encode_ordinary(text) for text in texts]
    table = json.loads((own.data / "tokenizer-2048.json").read_text())["tokens"]
    bytes_of = [base64.b64decode(token) for token in table]
    rows = slow_rows(slow_pieces(documents), prepare.DOCUMENT_BUFFER)[: prepare.EVAL_TOKENS // T]

    loss_at: dict[tuple[int, int], float] = {}  # (document, place): -ln p
    for row in rows:
        scores = logits([token for _, _, token in row[:-1]])
        log_total = np.log(np.exp(scores).sum(-1))
        for position, (document, place, token) in enumerate(row[1:]):
            if token != BOS:
                loss_at[document, place] = float(log_total[position] - scores[position, token])

    nats, size = [], 0
    for number, (text, tokens) in enumerate(zip(texts, documents, strict=True)):
        assert b"".join(bytes_of[token] for token in tokens) == text.encode()
        seen = [place for place in range(len(tokens)) if (number, place) in loss_at]
        nats += [loss_at[number, place] for place in seen]
        size += len(text.encode()) - sum(len(bytes_of[tokens[p]]) for p in range(len(tokens)) if p not in set(seen))
    return math.fsum(nats) / (math.log(2) * size)


# ---- the tests


def restless_gpt(own: Workspace) -> tuple[Any, Any, Any]:
    """An untrained model in which nothing is zero, its weights in float64, and the module it came from."""
    train = own.train()
    torch.manual_seed(0)
    model = train.GPT(2048)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    weights = {name: value.detach().double().numpy() for name, value in model.named_parameters()}
    return model, weights, train


def with_foreign_text(own: Workspace) -> Workspace:
    """Emoji and CJK among the validation documents: nearly all of their tokens are no valid UTF-8 on their own."""
    path = own.data / "shard_00001.parquet"
    texts = pq.read_table(path).column("text").to_pylist()
    mixed = [text[:6000] for text in texts[:3]] + FOREIGN + [text[:6000] for text in texts[3:6]]
    pq.write_table(pa.table({"text": mixed}), path)
    return own


def test_it_agrees_with_the_slow_computation_on_the_corpus(workspace: Callable[..., Workspace]) -> None:
    own = workspace(EVAL_TOKENS=60 * T, WINDOW_PATTERN="SL")
    model, weights, train = restless_gpt(own)
    assert model.windows == [128, 256]
    fast = train.prepare.evaluate_bpb(model, train.prepare.load_tokenizer(), 4, CPU)
    slow = slow_bpb(own, lambda tokens: slow_logits(train, weights, model.windows, tokens))
    assert fast == pytest.approx(slow, abs=1e-6)


def test_it_agrees_on_text_whose_tokens_are_no_valid_utf_8(workspace: Callable[..., Workspace]) -> None:
    own = with_foreign_text(workspace())
    model, weights, train = restless_gpt(own)
    tokenizer = train.prepare.load_tokenizer()
    fast = train.prepare.evaluate_bpb(model, tokenizer, 4, CPU)
    slow = slow_bpb(own, lambda tokens: slow_logits(train, weights, model.windows, tokens))
    assert fast == pytest.approx(slow, abs=1e-6)

    # with the bytes of decoded strings, as others count them, the same model looks better than it is
    for token in range(2044):
        tokenizer.token_bytes[token] = len(tokenizer.decode([token]).decode(errors="replace").encode())
    assert train.prepare.evaluate_bpb(model, tokenizer, 4, CPU) < fast - 0.1


def test_on_the_whole_corpus_it_agrees_for_a_model_of_token_pairs(demo: Workspace) -> None:
    """Such a model sees one token back, so that here a document's probability does not depend on its row."""
    prepare = demo.prepare()
    table = torch.randn(2048, 2048, generator=torch.Generator().manual_seed(1))
    exact = table.double().numpy()
    fast = prepare.evaluate_bpb(lambda tokens: table[tokens], prepare.load_tokenizer(), 16, CPU)
    assert fast == pytest.approx(slow_bpb(demo, lambda tokens: exact[tokens]), abs=1e-6)


def test_a_blind_guess_costs_the_logarithm_of_the_vocabulary(demo: Workspace) -> None:
    prepare = demo.prepare()
    tokenizer = prepare.load_tokenizer()
    bpb = prepare.evaluate_bpb(lambda tokens: torch.zeros(*tokens.shape, 2048), tokenizer, 16, CPU)
    texts = pq.read_table(demo.data / "shard_00001.parquet").column("text").to_pylist()
    tokens = sum(map(len, tokenizer.encode(texts)))
    assert bpb == pytest.approx(
        11 * tokens / sum(len(text.encode()) for text in texts), rel=1e-3
    )  # but for the last row


def test_the_batch_size_does_not_matter(workspace: Callable[..., Workspace]) -> None:
    model, _, train = restless_gpt(workspace(EVAL_TOKENS=21 * T))
    tokenizer = train.prepare.load_tokenizer()
    one, other = (train.prepare.evaluate_bpb(model, tokenizer, size, CPU) for size in (4, 7))
    assert one == pytest.approx(other, abs=1e-7)


def test_the_result_is_recorded_where_the_engine_asks_for_it(
    workspace: Callable[..., Workspace], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _, train = restless_gpt(workspace(EVAL_TOKENS=8 * T))
    monkeypatch.setenv("AUTORESEARCH_RECORD", str(tmp_path / "record.json"))
    bpb = train.prepare.evaluate_bpb(model, train.prepare.load_tokenizer(), 4, CPU)
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["val_bpb"] == bpb == record["nats"] / (math.log(2) * record["bytes"])
    assert record["tokens"] == 8 * T
    assert record["shard_size"] == train.prepare.shard_path(1).stat().st_size
    assert record["evaluations"] == 1
    assert record["budget"].keys() >= {"kind", "limit", "steps", "flops", "training_seconds", "outside_seconds"}


def peeking(tokens: torch.Tensor) -> torch.Tensor:
    """A model that puts all its weight on the token that comes next."""
    return 20.0 * torch.nn.functional.one_hot(tokens.roll(-1, dims=1), 2048)


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_a_model_that_looks_ahead_is_refused(demo: Workspace, batch_size: int) -> None:
    prepare = demo.prepare()
    with pytest.raises(prepare.Failure, match="looks ahead"):
        prepare.evaluate_bpb(peeking, prepare.load_tokenizer(), batch_size, CPU)


def test_logits_of_a_wrong_shape_are_refused(demo: Workspace) -> None:
    prepare = demo.prepare()
    with pytest.raises(prepare.Failure, match=r"shape \(4, 256, 7\); evaluate_bpb needs \(4, 256, 2048\)"):
        prepare.evaluate_bpb(lambda tokens: torch.zeros(*tokens.shape, 7), prepare.load_tokenizer(), 4, CPU)


def test_logits_that_are_no_numbers_are_refused(demo: Workspace) -> None:
    prepare = demo.prepare()
    with pytest.raises(prepare.Failure, match="not a number"):
        prepare.evaluate_bpb(
            lambda tokens: torch.full((*tokens.shape, 2048), math.nan), prepare.load_tokenizer(), 4, CPU
        )


def test_a_larger_output_layer_than_the_vocabulary_is_no_advantage(demo: Workspace) -> None:
    prepare = demo.prepare()
    tokenizer = prepare.load_tokenizer()
    plain = prepare.evaluate_bpb(lambda tokens: torch.zeros(*tokens.shape, 2048), tokenizer, 16, CPU)
    padded = prepare.evaluate_bpb(lambda tokens: torch.zeros(*tokens.shape, 4096), tokenizer, 16, CPU)
    assert padded > plain
