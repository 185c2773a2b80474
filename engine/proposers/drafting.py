"""What every agent that edits a draft is told, and what is made of the draft it leaves."""

import ast
import re
import shutil
from pathlib import Path

from engine import knobs, meaning
from engine.ledger import Experiment
from engine.proposers import Context, Cost, NeedsPersonError, Proposal, asi
from engine.proposers.briefing import BYTES_PER_TOKEN, WORDS_BYTES, compose, quoted
from engine.proposers.draft import CONTEXT, NOTES, Changes
from engine.proposers.foreign import cut, fenced, one_line
from engine.settings import Settings
from engine.workspace import DOCUMENT, PROGRAM, TRAIN, Workspace

HOW = f"""\
You work in a directory of your own, a draft with copies of {TRAIN}, prepare.py, {PROGRAM} and {DOCUMENT}; {CONTEXT} is
what you are reading, kept up to date. Edit {TRAIN} in this directory. It is the only file that counts: whatever else
you change is dropped. Don't run the training, and install nothing. Nobody is there to answer a question.

{asi.HOW}
Instead of the block you may write its JSON object to the file {NOTES}.
"""
NOBODY = "Nobody is there to answer: decide yourself."
MOST_OF_A_LINE = 300
MOST_OF_AN_IDEA = 500
"""Characters of it in a task, which may be a word of a command line; the briefing has more."""
MOST_OF_A_LOG = 4000
_ASKS_TO_LOG_IN = re.compile(
    r"\b401\b|\b403\b|unauthori[sz]ed|authenticat|api[ _-]?key|log ?in\b|sign ?in\b|credential|not logged",
    re.IGNORECASE,
)


def task(context: Context) -> str:
    """What is wanted, in one sentence or two; nothing in it is from a run's output."""
    if context.failed:
        kind = one_line(context.failed.reason.partition(":")[0], 60)
        return (
            f"The {TRAIN} in your directory failed ({kind}). Mend it and keep its idea; "
            f"{CONTEXT} has the end of its log."
        )
    if context.idea:
        return f"Make an experiment of what the person wants tried next: {one_line(context.idea, MOST_OF_AN_IDEA)}"
    if context.thrashing:
        return f"The last experiments were not kept: propose a fundamentally different one, by editing {TRAIN}."
    return f"Propose the next experiment by editing {TRAIN}."


def briefing(context: Context, settings: Settings) -> str:
    """All that an agent must know."""
    return compose(context, settings, HOW)


def continuation(context: Context, settings: Settings, since: int) -> str:
    """What an agent is told that knows the rules and the first ``since`` experiments; bounded as the briefing is."""
    most = settings.briefing.tokens * BYTES_PER_TOKEN
    lines = "\n".join(_line(result.experiment) for result in context.history[since:])
    return "\n".join(
        [
            f"{TRAIN} in your directory is now "
            + ("the candidate that failed." if context.failed else "the incumbent."),
            *_situation(context, most // 6),
            "",
            "Experiments since you were last asked:",
            fenced("experiments", lines, most // 3, keep_end=True) if lines else "none",
            "",
            f"{CONTEXT} is up to date. {task(context)}",
        ]
    )


def reminder(fault: str, refused: list[str]) -> str:
    """What an agent is told that left nothing to run. Some end their turn at a refusal: it is said again."""
    what = f"That is no experiment: you {fault}. "
    if refused:
        what += f"What you asked for was refused, for only {TRAIN} may be edited and nothing may be run. "
    return f"{what}{NOBODY} Edit {TRAIN} in your working directory now."


def fault_of(changes: Changes, context: Context) -> str:
    """Why the draft is no candidate, as the end of a sentence about the agent; empty where it is one."""
    if changes.train is None:
        return changes.problem
    if changes.train == context.incumbent:
        return f"left the incumbent's {TRAIN}"
    try:
        ast.parse(changes.train)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        return f"left a {TRAIN} that is not valid Python: {getattr(error, 'msg', error)}{where}"
    if meaning.same(changes.train, context.incumbent):
        return f"changed nothing but comments or layout in {TRAIN}"
    same = context.run_of(changes.train)
    return "" if same is None else f"left the {TRAIN} of run {same.run}, which was tried already"


def propose(
    context: Context, changes: Changes, answer: str, refused: list[str], *, source: str, cost: Cost
) -> Proposal:
    """The proposal in a draft that has no fault."""
    assert changes.train is not None
    written, said = asi.parse(changes.notes), asi.read(answer)
    notes = written or said.asi
    described = str(written.pop("description", "")) or (said.description if answer.strip() else "")
    try:
        moved = knobs.show_changes(knobs.differences(context.incumbent, changes.train))
    except SyntaxError:
        moved = ""
    if violations := [*refused, *changes.others]:
        notes = notes | {"dropped": one_line(f"only {TRAIN} counts: {'; '.join(violations)}", asi.LONGEST_NOTE)}
    return Proposal(
        train=changes.train,
        description=one_line(described or moved or f"an edit of {TRAIN}", asi.LONGEST_DESCRIPTION),
        source=source,
        asi={"arch_change": moved or "code, no knob"} | notes,
        cost=cost,
    )


def asks_to_log_in(text: str) -> bool:
    """Whether an agent's last words sound like a key or a login that is missing."""
    return bool(_ASKS_TO_LOG_IN.search(text))


def command_line(command: list[str], environment: dict[str, str], workspace: Workspace, table: str) -> list[str]:
    """What is to be started, its program with the whole path. Raises NeedsPersonError where it is not there."""
    if not command:
        raise NeedsPersonError(f"autoresearch.toml names no agent: set command in its table [{table}].")
    program, *arguments = command
    if "/" in program:
        program = str(workspace.root / Path(program).expanduser())
    found = shutil.which(program, path=environment.get("PATH"))
    if found is None:
        raise NeedsPersonError(f"{command[0]} is not installed, or not on the PATH: install it, or mend [{table}].")
    return [found, *arguments]


def _situation(context: Context, most: int) -> list[str]:
    """How it stands; ``most``: bytes of each thing that others wrote."""
    lines = [f"This is run {context.run}. The metric is to be {context.direction}."]
    if context.best is not None:
        lines.append(fenced("the incumbent", _line(context.best), most))
    if context.noise:
        lines.append(f"Noise: {one_line(context.noise, MOST_OF_A_LINE)}")
    if context.messages:
        said = "\n".join(quoted(message) for message in context.messages)
        lines.append(
            f"The person says to you, the oldest first:\n\n{cut(said, min(most, WORDS_BYTES), keep_end=True)}\n"
        )
    if context.search_state:
        state = fenced("what the search beside you believes", context.search_state, min(most, MOST_OF_A_LOG))
        lines.append(state)
    if context.failed:
        body = f"{one_line(context.failed.reason, MOST_OF_A_LINE)}\n\n{context.failed.log_tail}"
        title = "why the run failed, then the end of its log"
        lines.append(fenced(title, body, min(most, MOST_OF_A_LOG), keep_end=True))
    return lines


def _line(experiment: Experiment) -> str:
    metric = "no metric" if experiment.metric is None else f"{experiment.metric:.6f}"
    notes = "; ".join(str(experiment.asi[key]) for key in ("hypothesis", "result") if experiment.asi.get(key))
    told = f"{experiment.description} ({notes})" if notes else experiment.description
    return one_line(f"run {experiment.run}: {experiment.status}, {metric}, {told}", MOST_OF_A_LINE)
