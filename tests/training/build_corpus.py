"""Builds assets/corpus/*.parquet from the texts of Jane Austen's six novels. Run by hand, once:

    python tests/training/build_corpus.py FOLDER_OF_TEXTS [OUTPUT_FOLDER]

A document is a chapter, its text unchanged (hard line ends included). Every novel gives every 16th of its chapters,
from its 8th on, to the validation shard and all the others to the training shard. Nothing else decides, so the same
texts give the same documents in the same order. The training chapters are shuffled once (seed 0) and lie in one row
group, so that a run, which sees a third of the text, sees it from all the novels alike. The cost: a second.
"""

import random
import re
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

NOVELS = (
    "sense-and-sensibility",
    "pride-and-prejudice",
    "mansfield-park",
    "emma",
    "northanger-abbey",
    "persuasion",
)
HEADING = re.compile(r"^(?:CHAPTER|Chapter) (?:\d+|[IVXLC]+)\.?[ \t]*$", re.MULTILINE)
VOLUME = re.compile(r"^VOLUME [IVX]+[ \t]*$", re.MULTILINE)
VALIDATION_EVERY = 16
VALIDATION_FIRST = 8
ROW_GROUP = 256  # documents in a row group, which is what a reader shuffles: all of them


def chapters(text: str) -> list[str]:
    """The chapters of a novel in order, each with its heading; the title page before the first one is left out.

    Raises ValueError where the text has no chapter headings.
    """
    starts = [match.start() for match in HEADING.finditer(text)]
    if not starts:
        raise ValueError("no line that reads 'Chapter N'")
    ends = [*starts[1:], len(text)]
    return [VOLUME.sub("", text[start:end]).strip() for start, end in zip(starts, ends, strict=True)]


def split(folder: Path) -> tuple[list[str], list[str]]:
    """(training documents, validation documents) from the texts in `folder`."""
    training: list[str] = []
    validation: list[str] = []
    for novel in NOVELS:
        for index, chapter in enumerate(chapters((folder / f"{novel}.txt").read_text(encoding="utf-8"))):
            held_out = index % VALIDATION_EVERY == VALIDATION_FIRST - 1
            (validation if held_out else training).append(chapter)
    random.Random(0).shuffle(training)
    return training, validation


def write(path: Path, documents: list[str]) -> None:
    """Write `documents` as the string column `text` of a zstd parquet file."""
    table = pa.table({"text": pa.array(documents, pa.string())})
    pq.write_table(
        table, path, compression="zstd", compression_level=22, row_group_size=ROW_GROUP, use_dictionary=False
    )
    size = sum(len(document.encode()) for document in documents)
    print(f"{path.name}: {len(documents)} documents, {size:,} bytes of text, {path.stat().st_size:,} on disk")


def main(arguments: list[str]) -> int:
    if len(arguments) not in (1, 2):
        print("usage: build_corpus.py FOLDER_OF_TEXTS [OUTPUT_FOLDER]", file=sys.stderr)
        return 2
    output = Path(arguments[1]) if len(arguments) == 2 else Path(__file__).parents[2] / "assets" / "corpus"
    training, validation = split(Path(arguments[0]))
    write(output / "shard_00000.parquet", training)
    write(output / "shard_00001.parquet", validation)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
