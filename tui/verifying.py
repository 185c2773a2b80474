"""`verify` without a screen: what it will cost, each run as it ends, and in the end what the gain is worth."""

import math
import sys

from engine import ablation, events, noise, verification
from engine.claims import claims
from engine.errors import UnusableWorkspace
from engine.events import Event
from engine.history import History
from engine.ledger import Experiment, Repeat, Segment
from engine.verification import Part, Plan
from engine.words import counted
from engine.workspace import Workspace
from tui.headless import Headless, show


class Verifying(Headless):
    """Prints what the engine tells it of a verification: a line per run on stdout, progress on stderr."""

    def __init__(self, workspace: Workspace, *, each: int, ablate: bool) -> None:
        """``each``: runs of each configuration; ``ablate``: also the incumbent without each kept change."""
        super().__init__(workspace)
        self._workspace = workspace
        self._each = each
        self._ablate = ablate

    def plan(self, history: History) -> Plan:
        """What is to be run. Raises UnusableWorkspace where there is no baseline yet."""
        if history.segment.baseline is None:
            raise UnusableWorkspace(f"{self._workspace.root} has no baseline yet: run the loop first.")
        changes = ablation.separable(history)[0] if self._ablate else ()
        return verification.plan(history.segment, changes, self._each)

    def cost(self) -> str:
        """What is about to be run, and for how long."""
        history = History.of(self._workspace)
        plan = self.plan(history)
        segment = history.segment
        seconds = [each.seconds for each in segment.experiments if each.run in plan.runs and each.seconds]
        left = plan.left(segment)
        lines = [f"verify: {_names(plan)}, {plan.each} times each; {counted(left, 'run')} left"]
        if seconds:
            lines[0] += f", about {math.ceil(left * sum(seconds) / len(seconds) / 60)} min"
        lines[0] += ". Ctrl+C ends it, the next verify goes on."
        if self._ablate:
            lines += ablation.separable(history)[1]
        return "\n".join(lines)

    def on_event(self, event: Event) -> None:
        if isinstance(event, events.Recorded) and event.status == "repeat":
            show(_line(History.of(self._workspace).segment), sys.stdout)
        else:
            super().on_event(event)

    def report(self) -> str:
        """The evidence: means, the gain with its interval, the claim, and what each kept change carries."""
        segment = History.of(self._workspace).segment
        runs = {each.run: each for each in segment.experiments}
        rows = [_mean(segment, run) for run in self.plan(History.of(self._workspace)).runs]
        found = claims(segment)
        if found.total is not None and found.total.fresh is not None:
            rows.append(f"the fresh runs' gain {found.total.fresh.text}")
        if found.total is not None:
            rows.append(f"gain {found.total.gain:+.6f} in the ledger: {found.total.standing}, {found.total.reason}")
        elif found.floor is None:
            rows.append("nothing has beaten the baseline")
        floor = noise.floor(segment)
        rows.append(f"noise floor: {floor.text if floor else 'not measured, the runs gave no metric'}")
        if segment.incumbent is not None:
            rows += [_part(each, runs[each.run]) for each in verification.ablation(segment, segment.incumbent.run)]
        return "\n".join(rows)


def _names(plan: Plan) -> str:
    names = ["the baseline (run {})", "the incumbent (run {})"][: len(plan.runs)]
    text = " and ".join(name.format(run) for name, run in zip(names, plan.runs, strict=True))
    if plan.without:
        text += f", the latter also without {counted(len(plan.without), 'kept change')} alone"
    return text


def _line(segment: Segment) -> str:
    last: Repeat = segment.repeats[-1]
    metric = "-" if last.metric is None else f"{last.metric:.6f}"
    what = f"run {last.run}" + ("" if last.without is None else f" without run {last.without}'s change")
    seed = "" if last.seed is None else f"seed {last.seed}"
    return f"{metric:>9}  {what}  {seed}".rstrip()


def _mean(segment: Segment, run: int) -> str:
    values = [each.metric for each in verification.fresh(segment, run) if each.metric is not None]
    role = "baseline " if segment.baseline is not None and run == segment.baseline.run else "incumbent"
    if not values:
        return f"{role}  run {run}: no run gave a metric"
    mean = math.fsum(values) / len(values)
    spread, degrees = noise.pooled([values])
    sd = f" ± {spread:.6f}" if degrees else ""
    return f"{role}  run {run}: {mean:.6f}{sd} ({counted(len(values), 'fresh run')})"


def _part(part: Part, experiment: Experiment) -> str:
    return f"without run {part.run} ({experiment.description}): {part.loss.text} lost, {part.share}"
