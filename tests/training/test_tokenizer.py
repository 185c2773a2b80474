"""The tokenizer gives back every byte, counts bytes and not characters, and is stored as data."""

import base64
import json
from collections.abc import Callable

import pytest

from tests.training.conftest import Workspace

TEXTS = [
    "It is a truth universally acknowledged, that a single man in possession",
    "naïve café, £20,000 — “quoted” … \t tabs\r\nand\n\n\nlines   ",
    "大象在雨中跳舞。こんにちは世界 안녕하세요",
    "🐘🌧️👩‍👩‍👧‍👦🇩🇪 👍🏽",
    "<|bos|> is ordinary text here, and so is <|reserved_3|>",
    "\x00\x7f\u200b\ufeff\ufffd",
    "",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back_byte_for_byte(demo: Workspace, text: str) -> None:
    tokenizer = demo.prepare().load_tokenizer()
    [tokens] = tokenizer.encode([text])
    assert tokenizer.decode(tokens) == text.encode()
    assert tokenizer.token_bytes[tokens].sum() == len(text.encode())


def test_a_token_counts_its_own_bytes_even_where_it_is_no_utf_8(demo: Workspace) -> None:
    tokenizer = demo.prepare().load_tokenizer()
    broken = [
        token
        for token in range(tokenizer.vocab_size - 4)
        if "\ufffd" in tokenizer.decode([token]).decode(errors="replace")
    ]
    assert len(broken) >= 128
    for token in broken:
        assert tokenizer.token_bytes[token] == len(tokenizer.decode([token]))


def test_the_last_four_ids_are_reserved_and_the_first_of_them_is_bos(demo: Workspace) -> None:
    tokenizer = demo.prepare().load_tokenizer()
    assert tokenizer.vocab_size == 2048
    assert tokenizer.bos == 2044
    assert list(tokenizer.token_bytes[-5:] > 0) == [True, False, False, False, False]


def test_it_is_stored_as_plain_json(demo: Workspace) -> None:
    stored = json.loads((demo.data / "tokenizer-2048.json").read_text(encoding="utf-8"))
    assert sorted(stored) == ["format", "pattern", "reserved", "tokens"]
    assert len({base64.b64decode(token) for token in stored["tokens"]}) == 2044
    for name in ("prepare.py", "train.py"):
        source = (demo.folder / name).read_text(encoding="utf-8")
        assert not any(word in source for word in ("pickle", "torch.load", "eval(", "exec("))


def test_trained_again_on_the_same_text_it_is_the_same(workspace: Callable[..., Workspace], demo: Workspace) -> None:
    own = workspace()
    (own.data / "tokenizer-2048.json").unlink()
    assert own.run("prepare.py").returncode == 0
    assert (own.data / "tokenizer-2048.json").read_bytes() == (demo.data / "tokenizer-2048.json").read_bytes()


@pytest.mark.parametrize("vocab_size", [-1, 0, 255, 256, 259])
def test_a_vocabulary_without_room_for_the_bytes_is_refused_in_one_sentence(
    workspace: Callable[..., Workspace], vocab_size: int
) -> None:
    done = workspace(VOCAB_SIZE=vocab_size).run("prepare.py")
    assert done.returncode == 2
    assert done.stderr == (
        f"VOCAB_SIZE = {vocab_size} is too small: 256 bytes and 4 reserved tokens need at least 260\n"
    )


def test_the_smallest_vocabulary_is_bytes_only(workspace: Callable[..., Workspace]) -> None:
    own = workspace(VOCAB_SIZE=260)
    assert own.run("prepare.py").returncode == 0
    [tokens] = own.prepare().load_tokenizer().encode(["🐘 ab"])
    assert len(tokens) == len("🐘 ab".encode())


def test_a_vocabulary_larger_than_the_text_gives_is_refused_in_one_sentence(
    workspace: Callable[..., Workspace],
) -> None:
    own = workspace(TOKENIZER_CHARACTERS=500, VOCAB_SIZE=4096)
    done = own.run("prepare.py")
    assert done.returncode == 2
    assert "less than VOCAB_SIZE = 4096" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(own.data.glob("tokenizer-4096*"))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "autoresearch-bpe-1", "tokens": ["=="]}', "\x80"])
def test_a_damaged_tokenizer_file_is_named_in_one_sentence(workspace: Callable[..., Workspace], content: str) -> None:
    own = workspace()
    (own.data / "tokenizer-2048.json").write_text(content, encoding="latin-1")
    done = own.run("-c", "import prepare; prepare.load_tokenizer()")
    assert done.returncode == 1
    assert "tokenizer-2048.json is no tokenizer of this version" in done.stderr
    assert done.stderr.count("\n") == 1
