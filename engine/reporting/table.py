"""The session as results.tsv, with the columns of karpathy's autoresearch, which many tools read."""

from engine.harmless import clean
from engine.reporting import Report, Run

MEGABYTES = 1024
SHORT = 7
"""Characters of a commit."""


def table(report: Report) -> str:
    """The header, and a line for each run.

    One that failed or was ended without a metric is 0.000000 and a crash: there is no other word. Any other without
    one keeps its status, and its metric is left empty.
    """
    header = ("commit", _cell(report.config.metric_name) or "val_bpb", "memory_gb", "status", "description")
    return "".join("\t".join(cells) + "\n" for cells in (header, *(_cells(each) for each in report.runs)))


def _cells(run: Run) -> tuple[str, ...]:
    experiment = run.experiment
    status = _cell(experiment.status)
    memory = max(0.0, experiment.metrics.get("peak_memory_mb", 0.0))
    commit, description = _cell(experiment.commit)[:SHORT], _cell(experiment.description)
    if run.value is None and (experiment.failed or experiment.inconclusive or not status):
        said = f"{experiment.result}: {description}" if experiment.inconclusive else description
        return commit, f"{0:.6f}", "0.0", "crash", said
    return commit, _figure(experiment.metric), f"{memory / MEGABYTES:.1f}", status, description


def _figure(value: float | None) -> str:
    """With six decimals; with as many as it takes where that would lose more than a rounding."""
    if value is None:
        return ""
    if abs(value) >= 1e15:
        return repr(value)
    return f"{value + 0.0:.6f}" if abs(value) >= 0.1 or value == 0 else f"{value:.6g}"


def _cell(text: str) -> str:
    """On one line, in one column."""
    return " ".join(clean(text).split())
