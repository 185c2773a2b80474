"""results.tsv, as karpathy's autoresearch and its many descendants write it.

Columns are known by their names in the header, in any order and number. What is measured is the first column with
figures that is none of the usual others, one that is named like a validation figure before any other. Which way it gets
better is said nowhere: the way that the kept runs went tells, and before there are enough of them its name. A row that
cannot be one, as the second line of a description is, is reported. Where nothing was measured there is a 0.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engine.dialects.values import Numbers, Text, moment, number, status
from engine.ledger import STATUSES, Book, Config, Ledger

STATUS = ("status", "decision", "verdict", "outcome")
COMMIT = ("commit", "commit_hash", "commit_sha", "sha", "hash", "git_commit", "git_sha")
DESCRIPTION = ("description", "desc", "change", "changes", "summary", "notes", "note", "idea", "comment", "hypothesis")
RUN = (
    "run",
    "experiment",
    "exp",
    "iteration",
    "iter",
    "trial",
    "#",
    "run_id",
    "experiment_id",
    "exp_id",
    "expid",
    "id",
)
TIME = ("timestamp", "datetime", "date", "time", "ts")
SECONDS = ("seconds", "total_seconds", "wall_seconds", "wallclock_s", "elapsed_s", "duration_s", "runtime_seconds")
MEGABYTES = {"memory_gb": 1024, "peak_memory_gb": 1024, "vram_gb": 1024, "peak_vram_gb": 1024, "mem_gb": 1024} | {
    "memory_mb": 1,
    "peak_memory_mb": 1,
    "peak_vram_mb": 1,
    "vram_mb": 1,
    "mem_mb": 1,
}
"""Of the columns with a run's memory."""
SETUP = ("seed", "depth", "batch_size", "num_steps", "steps", "num_params_m", "params", "mfu", "mfu_percent")
OTHER = ("tag", "kind", "branch", "model", "delta", "artifact_dir")
NOT_MEASURED = frozenset((*STATUS, *COMMIT, *DESCRIPTION, *RUN, *TIME, *SECONDS, *MEGABYTES, *SETUP, *OTHER))

LOWER_WORDS = re.compile(  # µ is \u03bc in lower case
    r"\b(bp[bc]|loss|ppl|perplexity|nll|err|errors?|rmse|mse|mae|wer|cer|fid|brier|regret|latency|[m\u03bcn]?s|us"
    r"|seconds|time|bytes|[kmg]b|size|memory|vram|cost|drawdown|dd|allocations)\b"
)
HIGHER_WORDS = re.compile(
    r"\b(acc|accuracy|score|reward|return|f1|auc|auroc|auprc|ap|map|throughput|tps|fps|qps|sharpe|sortino|calmar"
    r"|[tg]?flops|mfu|bleu|rouge|r2|psnr|ssim|iou|dice|recall|precision|wins?|speedup|fitness|elo|correlation|spearman"
    r"|pearson)\b"
)
PER_TIME = re.compile(r"(per_?|/)(s|sec|second|min|minute|h|hour)(?![a-z])")


VOTES, MAJORITY = 4, 0.8
"""From how many runs on, and what share of them, the way that they went says more than a name."""


@dataclass(frozen=True)
class Columns:
    """What the header says: every column's name as it is, and where those are that mean something to us."""

    names: tuple[str, ...]
    status: int
    commit: int | None
    description: int | None
    run: int | None
    time: int | None
    seconds: int | None
    memory: int | None
    candidates: tuple[int, ...]
    """The columns that may be what is measured, the likeliest first."""


def columns_of(line: bytes) -> Columns | None:
    """The columns of a header; None for any other line."""
    names = tuple(each.strip().strip("#").strip() or each.strip() for each in _cells(line))
    keys = [each.casefold().replace(" ", "_").replace("-", "_") for each in names]
    if len(names) < 3 or any(number(each) is not None for each in names):
        return None

    def place(known: Iterable[str]) -> int | None:
        return next((keys.index(each) for each in known if each in keys), None)

    states, commit, description = place(STATUS), place(COMMIT), place(DESCRIPTION)
    candidates = [at for at, key in enumerate(keys) if key and key not in NOT_MEASURED]
    is_named = any(_rank(keys[at]) < UNNAMED or _direction_by_name(keys[at]) for at in candidates)
    if states is None or (commit is None and not (description is not None and is_named)):
        return None
    return Columns(
        names,
        states,
        commit,
        description,
        place(RUN),
        place(TIME),
        place(SECONDS),
        place(MEGABYTES),
        tuple(sorted(candidates, key=lambda at: (_rank(keys[at]), at))),
    )


UNNAMED = 3


def _rank(key: str) -> int:
    """How likely a column's name is that of what is measured; the lower, the likelier."""
    if key == "val_bpb":
        return 0
    if key.endswith("bpb"):
        return 1
    return 2 if key.startswith(("val_", "validation_")) else UNNAMED


def rows(lines: Iterable[Text]) -> Iterator[Text]:
    """The lines as a table has them, which a carriage return may end as well."""
    more = 0
    for line in lines:
        *before, last = line.text.split(b"\r")
        for text in before:
            yield Text(line.number + more, text)
            more += 1
        yield replace(line, number=line.number + more, text=last)


def parse(lines: Iterable[Text]) -> Ledger:
    """The ledger that the rows say."""
    book, numbers = Book(), Numbers()
    table: _Table | None = None
    for line in rows(lines):
        if line.problem:
            book.report(line.number, line.problem)
        if not line.text.strip():
            continue
        columns = columns_of(line.text)
        if columns is None and line.text.lstrip().startswith(b"#"):
            continue
        if columns is not None and (table is None or columns.names != table.columns.names):
            if table is not None:
                table.put_into(book, numbers)
            table = _Table(columns)
        elif columns is None and table is None:
            book.report(line.number, "it is above the table's header")
        elif columns is None and table is not None:
            problem = table.take(line)
            if problem and line.is_whole:
                book.report(line.number, problem)
    if table is not None:
        table.put_into(book, numbers)
    return book.ledger()


@dataclass
class _Table:
    """The rows below one header."""

    columns: Columns
    rows: list[list[str]] = field(default_factory=list)
    measured: int | None = None
    """The column of what is measured, once a row has a figure."""

    def take(self, line: Text) -> str:
        """Take in a row; why it is none, else nothing."""
        columns = self.columns
        cells = self._fitted(_cells(line.text))
        said = status(cells[columns.status]) if columns.status < len(cells) else ""
        if len(cells) < len(columns.names) and (said not in STATUSES or not line.is_whole):
            return f"it has {len(cells)} of the header's {len(columns.names)} columns"
        figures = [at for at in columns.candidates if at < len(cells) and number(cells[at]) is not None]
        is_whole_row = len(cells) == len(columns.names) and len(said.split()) == 1 and bool(cells[columns.commit or 0])
        if said not in STATUSES and not figures and not is_whole_row:
            return f"it has neither a figure nor a status: {said[:40]!r} is none"
        self.rows.append(cells)
        if self.measured is None and figures:
            self.measured = figures[0]
        return ""

    def _fitted(self, cells: list[str]) -> list[str]:
        """The cells, with the tabs that a description holds taken as its own."""
        surplus, at = len(cells) - len(self.columns.names), self.columns.description
        if surplus <= 0 or at is None:
            return cells
        return [*cells[:at], " ".join(cells[at : at + surplus + 1]), *cells[at + surplus + 1 :]]

    def put_into(self, book: Book, numbers: Numbers) -> None:
        names, candidates = self.columns.names, self.columns.candidates
        measured = self.measured if self.measured is not None else next(iter(candidates), None)
        name = names[measured] if measured is not None else "metric"
        direction = self._way(measured, _direction_by_name(name))
        config = Config(name="results.tsv", metric_name=name, metric_unit="", best_direction=direction)
        if book.config is None or book.config != config:
            book.begin(config)
        for cells in self.rows:
            book.put(self._experiment(cells, measured, direction, numbers))

    def _way(self, measured: int | None, by_name: str) -> str:
        """Which way what was kept went from what was kept before, and what was discarded did not.

        A name may mislead (a score of milliseconds), so that it counts while the runs do not say the contrary clearly.
        """
        votes = Counter[str]()
        best: float | None = None
        for cells in self.rows:
            value, said = self._figure(cells, measured), status(cells[self.columns.status])
            if best is not None and value and value != best and said in ("keep", "discard"):
                votes["higher" if (value > best) == (said == "keep") else "lower"] += 1
            best = value if said == "keep" and value is not None else best
        way = "higher" if votes["higher"] > votes["lower"] else "lower"
        is_clear = votes.total() >= VOTES and votes[way] >= MAJORITY * votes.total()
        return way if is_clear or not by_name else by_name

    @staticmethod
    def _figure(cells: Sequence[str], at: int | None) -> float | None:
        return number(cells[at]) if at is not None and at < len(cells) else None

    def _experiment(self, cells: list[str], measured: int | None, direction: str, numbers: Numbers) -> dict[str, Any]:
        columns = self.columns

        def cell(at: int | None) -> str:
            return cells[at] if at is not None and at < len(cells) else ""

        metric, said = self._figure(cells, measured), status(cell(columns.status))
        if metric == 0 and said != "keep" and direction == "lower":
            metric = None
        metrics: dict[str, float] = {}
        notes: dict[str, str] = {}
        for at, name in enumerate(columns.names[: len(cells)]):
            value = number(cells[at])
            if at in (measured, columns.status, columns.commit, columns.description, columns.run, columns.time):
                continue
            if at == columns.memory:
                factor = MEGABYTES[name.casefold().replace(" ", "_").replace("-", "_")]
                if value:
                    metrics["peak_memory_mb"] = value * factor
            elif value is not None:
                metrics[name] = value
            elif cells[at] and name:
                notes[name] = cells[at]
        return {
            "run": numbers.next(cell(columns.run)),
            "commit": cell(columns.commit),
            "metric": metric,
            "metrics": metrics,
            "status": said,
            "description": cell(columns.description),
            "timestamp": moment(cell(columns.time)),
            "seconds": number(cell(columns.seconds)),
            "asi": notes,
        }


def _direction_by_name(name: str) -> str:
    """Which way a figure of this name gets better; empty where it does not tell."""
    key = name.casefold()
    if PER_TIME.search(key):
        return "higher"
    words = re.sub(r"[\W_]+", " ", key)
    if LOWER_WORDS.search(words):
        return "lower"
    return "higher" if HIGHER_WORDS.search(words) else ""


def _cells(line: bytes) -> list[str]:
    """A row's cells; one in quotes without them."""
    text = line.decode("utf-8", "replace").rstrip("\r\n").replace("\0", "")
    return [_unquoted(each.strip()) for each in text.split("\t")]


def _unquoted(cell: str) -> str:
    if len(cell) > 1 and cell.startswith('"') and cell.endswith('"'):
        return cell[1:-1].replace('""', '"')
    return cell
