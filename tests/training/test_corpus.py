"""The demo's corpus: every novel is represented on both sides, and no validation text is in training."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.training import build_corpus

CORPUS = Path(__file__).parents[2] / "assets" / "corpus"
SOURCES = Path("/work/shared/corpus")
# somebody who is in one novel only
CHARACTERS = ("Dashwood", "Bingley", "Crawford", "Knightley", "Tilney", "Wentworth")


def texts(name: str) -> list[str]:
    return [str(text) for text in pq.read_table(CORPUS / name).column("text").to_pylist()]


def paragraphs(documents: list[str]) -> set[str]:
    """Those that are long enough to be nobody's "Yes, sir."."""
    return {" ".join(part.split()) for text in documents for part in text.split("\n\n") if len(part) > 120}


def test_no_validation_document_is_in_training() -> None:
    training, validation = texts("shard_00000.parquet"), texts("shard_00001.parquet")
    assert len(validation) == 17
    assert not set(training) & set(validation)
    assert len(paragraphs(validation)) > 300
    assert not paragraphs(training) & paragraphs(validation)


@pytest.mark.parametrize("character", CHARACTERS)
def test_every_novel_is_in_both_shards(character: str) -> None:
    assert sum(character in text for text in texts("shard_00000.parquet")) >= 15
    assert sum(character in text for text in texts("shard_00001.parquet")) >= 2


def test_the_shuffle_of_a_run_reaches_the_whole_text() -> None:
    assert pq.ParquetFile(CORPUS / "shard_00000.parquet").num_row_groups == 1


@pytest.mark.skipif(not SOURCES.exists(), reason="the novels' texts are not on this machine")
def test_the_builder_makes_the_shards_that_ship() -> None:
    training, validation = build_corpus.split(SOURCES)
    assert training == texts("shard_00000.parquet")
    assert validation == texts("shard_00001.parquet")


def test_a_text_without_chapters_is_refused() -> None:
    with pytest.raises(ValueError, match="Chapter N"):
        build_corpus.chapters("It is a truth universally acknowledged")
