"""Makes the report: a pure function of a ledger's segment and the facts of its workspace."""

import math
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import msgspec

from engine import spending
from engine.claims import Claim, Standing, claims
from engine.ledger import Experiment, Ledger, Note, Segment
from engine.reporting import LARGEST, Facts, Failures, Kept, Report, Run
from engine.statistics import confidence

WORDS = {"keep": "kept", "discard": "discarded", "crash": "crashed", "checks_failed": "failed checks"}
ORDER = (Standing.CONFIRMED, Standing.LIKELY, Standing.UNPROVEN)
_number = re.compile(r"\d[\d.,]*")


def outline(book: Ledger, segment: Segment, facts: Facts) -> Report:
    """The report on one segment of a ledger as far as its runs go: nothing is weighed, compared or summed up."""
    return _outline(book, _numbered(segment), facts)


def _outline(book: Ledger, segment: Segment, facts: Facts) -> Report:
    runs = _runs(segment, book.notes)
    baseline, best = (_of(runs, each) for each in (segment.baseline, segment.incumbent))
    return Report(
        config=segment.config,
        facts=facts,
        segment=segment.number,
        segments=len(book.segments),
        runs=runs,
        baseline=baseline,
        best=best,
        bad_lines=book.bad_lines,
    )


def report(book: Ledger, segment: Segment, facts: Facts) -> Report:
    """The report on one segment of a ledger; what the kept runs changed, ``with_diffs`` adds."""
    segment = _numbered(segment)
    found = _outline(book, segment, facts)
    weighed = _within_reach(segment)
    evidence = claims(weighed)
    times = [each.timestamp for each in segment.experiments if 0 < each.timestamp < math.inf]
    return replace(
        found,
        kept=_kept(found.runs, evidence.steps),
        total=evidence.total,
        floor=evidence.floor,
        confidence=_confidence(weighed),
        repeats=sum(max(0, len(each.repeats) - 1) for each in segment.experiments) + len(segment.repeats),
        failures=_failures(found.runs),
        discarded=_discarded(found.runs, lower_is_better=segment.config.best_direction != "higher"),
        spent=spending.total(each.cost for each in segment.experiments) + facts.in_vain,
        run_seconds=_seconds(segment),
        began=min(times) if times else None,
        ended=max(times) if times else None,
    )


def with_diffs(report: Report, diff: Callable[[Experiment], str], most: int) -> Report:
    """The report with what the first ``most`` kept runs changed, as ``diff`` tells it."""
    shown = (replace(each, diff=diff(each.run.experiment)) for each in report.kept[:most])
    return replace(report, kept=(*shown, *report.kept[most:]))


def _numbered(segment: Segment) -> Segment:
    """The segment with runs that count up: another tool's own numbers may all be the same."""
    numbers = [each.run for each in segment.experiments]
    if all(before < after for before, after in pairwise(numbers)):
        return segment
    counted = (msgspec.structs.replace(each, run=at) for at, each in enumerate(segment.experiments, 1))
    return replace(segment, experiments=tuple(counted), repeats=())


def within_reach(metric: float) -> float:
    """A metric that can be reckoned with: no difference to another is infinite; of the two zeros the one without sign.

    >>> within_reach(1e308), within_reach(-0.0)
    (1e+150, 0.0)
    """
    return max(-LARGEST, min(LARGEST, metric)) + 0.0


def _within_reach(segment: Segment) -> Segment:
    """The segment with all of its metrics such."""
    experiments = tuple(
        msgspec.structs.replace(
            each,
            metric=None if each.metric is None else within_reach(each.metric),
            repeats=tuple(map(within_reach, each.repeats)),
        )
        for each in segment.experiments
    )
    repeats = tuple(
        each if each.metric is None else msgspec.structs.replace(each, metric=within_reach(each.metric))
        for each in segment.repeats
    )
    return replace(segment, experiments=experiments, repeats=repeats)


def _confidence(segment: Segment) -> float | None:
    found = confidence(segment, segment.config.best_direction)
    return found if found is not None and math.isfinite(found) else None


def _runs(segment: Segment, notes: tuple[Note, ...]) -> tuple[Run, ...]:
    noted: defaultdict[int, list[Note]] = defaultdict(list)
    for note in notes:
        noted[note.run].append(note)
    runs, best, baseline = [], None, segment.baseline
    for each in segment.experiments:
        value = None if each.crashed or each.metric is None else within_reach(each.metric)
        runs.append(
            Run(
                experiment=each,
                value=value,
                word="baseline" if each is baseline else _word(each),
                best_before=best,
                notes=tuple(noted[each.run]),
            )
        )
        best = value if each.kept and value is not None else best
    return tuple(runs)


def _word(experiment: Experiment) -> str:
    if experiment.inconclusive:
        return str(experiment.result)
    return WORDS.get(experiment.status, experiment.status or "no status")


def _of(runs: tuple[Run, ...], experiment: Experiment | None) -> Run | None:
    return next((each for each in runs if each.experiment is experiment), None) if experiment else None


def _kept(runs: tuple[Run, ...], steps: tuple[Claim, ...]) -> tuple[Kept, ...]:
    kept = [each for each in runs if each.experiment.kept and each.value is not None]
    found = [
        Kept(after, before.value or 0.0, after.value or 0.0, claim.gain, claim)
        for (before, after), claim in zip(pairwise(kept), steps, strict=False)
    ]
    return tuple(sorted(found, key=lambda each: (ORDER.index(each.claim.standing), -each.gain)))


def _failures(runs: tuple[Run, ...]) -> tuple[Failures, ...]:
    """By reason; those that differ in their figures alone are one."""
    groups: defaultdict[str, list[Run]] = defaultdict(list)
    for each in runs:
        if each.experiment.status in ("crash", "checks_failed") and not each.experiment.inconclusive:
            groups[_number.sub("#", reason(each))].append(each)
    found = (Failures(reason(each[-1]), tuple(each)) for each in groups.values())
    return tuple(sorted(found, key=lambda each: -len(each.runs)))


def reason(run: Run) -> str:
    """Why a run failed, in the words of whoever recorded it."""
    said = run.experiment.asi.get("result") or run.experiment.asi.get("error") or ""
    return str(said).strip() or run.word


def _discarded(runs: tuple[Run, ...], *, lower_is_better: bool) -> tuple[Run, ...]:
    tried = [each for each in runs if each.word == WORDS["discard"] and each.value is not None]

    def behind(run: Run) -> float:
        if run.value is None or run.best_before is None:
            return math.inf
        return run.value - run.best_before if lower_is_better else run.best_before - run.value

    return tuple(sorted(tried, key=behind))


def _seconds(segment: Segment) -> float:
    every = [*(each.seconds for each in segment.experiments), *(each.seconds for each in segment.repeats)]
    seconds = sum(each for each in every if each is not None and each > 0)
    return seconds if math.isfinite(seconds) else 0.0
