"""What is tried next: a run again, a person's commit or idea, or what the proposer thinks of.

The search learns from every result whoever proposed it, and takes the turn while another proposer is in trouble.
"""

import ast
import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from engine import ablation, events, knobs, ledger, meaning, noise, spending
from engine.budget import end_of_models, priced
from engine.control import Control, Idea
from engine.cycle import Cycle
from engine.errors import WorkFailed
from engine.events import EventLog
from engine.history import History
from engine.journal import InFlight
from engine.ledger import Repeat
from engine.proposers import (
    Context,
    Cost,
    Failed,
    NeedsPersonError,
    NothingToProposeError,
    Proposal,
    Proposer,
    ProposerTroubleError,
    Watch,
    ideas,
)
from engine.proposers.team import Team
from engine.repository import Repository
from engine.settings import Settings
from engine.train_file import TrainFile
from engine.transcript import Transcript
from engine.verification import Plan
from engine.workspace import TRAIN, Workspace

FAILED_BASELINES = 3
"""So many baselines in a row without a metric: the set-up is broken, and no experiment will mend it."""
UNUSABLE_PROPOSALS = 10
"""So many in a row that can't be run, of the search: it has nothing left."""
UNUSABLE_ANSWERS = 2
"""Of a model, which takes minutes and money for each: then the search takes the turn."""
IDEA_ATTEMPTS = 3
"""So often a model may fail at a person's idea before the idea is put aside."""
LONGEST_REST = 8
"""Turns that a proposer in trouble is left alone for, at most; the rest doubles with each trouble in a row."""


@dataclass
class Chooser:
    """Chooses the next experiment and puts it on disk as what is under way."""

    workspace: Workspace
    settings: Settings
    repository: Repository
    train: TrainFile
    cycle: Cycle
    control: Control
    log: EventLog
    team: Team
    _digests: dict[str, bytes] = field(init=False, default_factory=dict)
    _troubles: int = field(init=False, default=0)
    """Of the model, in a row."""
    _rests_until: int = field(init=False, default=0)
    """The turn at which the model is asked again."""
    _put_off: Counter[str] = field(init=False, default_factory=Counter)
    """How often the model could make nothing of an idea."""
    _passed_over: set[str] = field(init=False, default_factory=set)
    """Ideas in words that wait for the model: others need not wait behind them."""
    _has_heard: bool = field(init=False, default=False)
    """Whether the last proposal is of somebody who was told what the person says."""
    _said_spent: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self._transcript = Transcript(self.workspace)
        self.cycle.mend = self.mend
        self.begin_anew()

    def next(self, history: History, plan: Plan | None) -> InFlight | None:
        """The next experiment, or the next run of a verification's ``plan``; None where the loop is to end meanwhile.

        Raises WorkFailed where there is none, or where only a person can help the proposer.
        """
        if (repeat := self._next_repeat(history, plan)) is not None:
            return repeat
        self.log.emit(events.PhaseChanged(phase="proposing", run=history.next_run))
        parent = self.train.head()
        head = self.train.at(parent)
        if (given := self._given(history, head)) is not None:
            return self.cycle.begin(given, parent, measures_head=True)
        told = self.control.waiting_messages()
        self._transcript.begin()
        self.control.proposing_run, self._has_heard = history.next_run, False
        try:
            proposal = self._candidate(history, head, told)
        finally:
            self.control.proposing_run = None
        if proposal is None:
            return None
        flight = self.cycle.begin(proposal, parent)
        self._transcript.keep(self.workspace.run_folder(flight.run))
        if self._has_heard:
            self.control.messages_taken(told, flight.run)
        return flight

    def begin_anew(self) -> None:
        """The proposer is another one or set up anew, or the turns are counted anew: no trouble is behind it."""
        self._troubles = self._rests_until = 0
        self._put_off.clear()
        self.control.reads_prose = self.team.chosen.reads_prose

    def left_behind(self, history: History) -> InFlight | None:
        """An experiment that no journal speaks of, although its train.py is what the branch holds."""
        best = history.incumbent
        if best is None or history.train_of(best) == self.train.at("HEAD"):
            return None
        return self.cycle.left_behind()

    def _next_repeat(self, history: History, plan: Plan | None) -> InFlight | None:
        """What a verification runs next, or what a person wants run again."""
        if plan is not None and (turn := plan.next_turn(history.segment)) is not None:
            repeat = Repeat(run=turn.run, seed=turn.seed, without=turn.without, verification=plan.id)
            try:
                return self._begin_repeat(history, repeat)
            except (NothingToProposeError, ablation.NotAloneError) as error:
                raise WorkFailed(f"the verification can't go on: {error}.") from error
        for idea in self.control.waiting_ideas():
            if (wanted := ideas.run_to_repeat(idea.text)) is None:
                if idea.id in self._passed_over:
                    continue
                break
            try:
                return self._begin_repeat(history, Repeat(run=wanted, seed=noise.next_seed(history.segment)), idea.id)
            except NothingToProposeError as error:
                self.control.idea_taken(idea.id, problem=str(error))
        return None

    def _begin_repeat(self, history: History, wanted: Repeat, idea: str = "") -> InFlight:
        experiment = next((each for each in history.segment.experiments if each.run == wanted.run), None)
        source = history.train_of(experiment) if experiment else None
        if experiment is None or source is None:
            raise NothingToProposeError(f"this segment has no run {wanted.run} whose train.py is still there")
        if wanted.without is not None:
            source = ablation.without(history, wanted.without)
        seeded = None if wanted.seed is None else knobs.with_seed(source, wanted.seed)
        if seeded is None:
            wanted = msgspec.structs.replace(wanted, seed=None)
        return self.cycle.begin_repeat(experiment, seeded or source, wanted, idea)

    def _given(self, history: History, head: str) -> Proposal | None:
        """What the branch holds already, where it is not the incumbent: the baseline, or a person's own commit."""
        best = history.incumbent
        if best is None:
            if history.failed_baselines >= FAILED_BASELINES:
                raise WorkFailed(f"the baseline failed {history.failed_baselines} times, {self._last_words(history)}")
            return Proposal(train=head, description="baseline", source="baseline")
        known = history.train_of(best)
        if known is None or known == head:
            return None
        commit = self.repository.last_change(TRAIN)
        subject = self.repository.message(commit).split("\n", 1)[0]
        if self._failures_of(head, history) >= FAILED_BASELINES:
            raise WorkFailed(
                f"train.py as of commit {commit[:10]} ({subject}) failed {FAILED_BASELINES} times, "
                f"{self._last_words(history)} Mend it with another commit, or `git revert {commit[:10]}`."
            )
        return Proposal(train=head, description=f"a person's commit: {subject}", source="person")

    def _last_words(self, history: History) -> str:
        last = history.segment.experiments[-1]
        log = self.workspace.run_folder(last.folder_number).log
        return f"the last time with: {last.asi.get('result', last.status)}. See {log}."

    def _failures_of(self, train: str, history: History) -> int:
        """How often a train.py that the branch holds was measured in vain."""
        failed = (each for each in history.segment.experiments if not each.kept and not each.skipped)
        return sum(each.source == "person" and history.train_of(each) == train for each in failed)

    def mend(self, source: str, failed: Failed) -> Proposal | None:
        """Have who proposed a candidate mend it; None where it can't. ``source``: who that was."""
        chosen = self.team.chosen
        if not chosen.reads_prose or source in (self.team.search.name, "person", "baseline"):
            return None
        if self.control.must_end_proposal or self._is_spent():
            return None
        history = self.cycle.history()
        best = history.incumbent
        known = history.train_of(best) if best else None
        if known is None:
            return None
        context = replace(self._context(history, known, ()), failed=failed)
        self._transcript.begin()
        self.log.emit(events.PhaseChanged(phase="mending", run=self.control.current_run))
        try:
            return self._ask(chosen, context, {_digest(failed.train)}, 1)
        except NothingToProposeError as error:
            self._failed(f"{chosen.name} did not mend the crash: {error}", error)
            return None

    def _candidate(self, history: History, incumbent: str, told: tuple[Idea, ...]) -> Proposal | None:
        """What is to run: a person's idea, or what the proposer thinks of; None where nobody wants it any more."""
        tried = self._tried(history)
        context = self._context(history, incumbent, told)
        for idea in self.control.waiting_ideas():
            if not self.control.waits(idea.id):
                continue
            if ideas.run_to_repeat(idea.text) is not None:
                return None  # nothing before it can be run, so that it comes next
            if (proposal := self._of_idea(idea, context, tried)) is not None:
                return replace(proposal, idea=idea.id)
            self._passed_over.add(idea.id)
        if self._may_ask(context.turn) and not self.control.must_end_proposal:
            try:
                return self._ask_chosen(context, tried)
            except NothingToProposeError as error:
                self._rest(context.turn, error)
        if self.control.stopping:
            return None
        try:
            return self._ask(self.team.search, context, tried, UNUSABLE_PROPOSALS)
        except NothingToProposeError as error:
            raise WorkFailed(f"{self.team.search.name} has no next experiment: {error}") from error

    def _may_ask(self, turn: int) -> bool:
        """Whether the chosen proposer has this turn, where it is not the search alone."""
        return self.team.chosen is not self.team.search and turn >= self._rests_until and not self._is_spent()

    def _is_spent(self) -> bool:
        """Whether models have used up what they may cost; said once."""
        budget = self.settings.budget
        if budget.tokens is None and budget.dollars is None:
            return False
        costs = (each.cost for each in ledger.read(self.workspace.ledger).experiments)
        reason = end_of_models(budget, spending.total(costs) + self.control.spent_in_vain)
        if reason and reason != self._said_spent:
            self.log.emit(events.Warned(message=f"{reason}: the search goes on alone"))
        self._said_spent = reason
        self.control.reads_prose = self.team.chosen.reads_prose and not reason
        return bool(reason)

    def _rest(self, turn: int, error: NothingToProposeError) -> None:
        """The search takes the turn; after trouble, some more turns. Nobody takes it where the engine is to end."""
        if self.control.stopping:
            self._failed(f"{self.team.chosen.name} was broken off, for the engine is to end", error)
            return
        turns = 1
        if isinstance(error, ProposerTroubleError):
            self._troubles += 1
            turns = min(2 ** (self._troubles - 1), LONGEST_REST)
        self._rests_until = turn + turns
        who = "the search takes the turn" if turns == 1 else f"the search takes the next {turns} turns"
        why = "a person took it away" if self.control.must_end_proposal else str(error)
        self._failed(f"{who}, for {self.team.chosen.name} made no proposal: {why}", error)

    def _failed(self, problem: str, error: NothingToProposeError) -> None:
        self.control.proposal_failed(self.team.chosen.name, problem, error.cost.as_line())

    def _of_idea(self, idea: Idea, context: Context, tried: set[bytes]) -> Proposal | None:
        """A person's idea as a candidate: knobs and patches as they are, plain words by a proposer that reads them.

        None where it cannot be one, which is said, or not yet, while the proposer is in trouble.
        """
        try:
            return usable(ideas.propose(idea.text, context.incumbent, self.workspace.root), context, tried)
        except ideas.ProseError as error:
            if not self.team.chosen.reads_prose:
                self.control.idea_taken(idea.id, problem=str(error))
                return None
        except NothingToProposeError as error:
            self.control.idea_taken(idea.id, problem=str(error))
            return None
        if self._is_spent():
            self.control.idea_taken(idea.id, problem=f"it is in words, and {self._said_spent}")
        elif self._may_ask(context.turn) and not self.control.must_end_proposal:
            return self._of_prose(idea, context, tried)
        return None

    def _of_prose(self, idea: Idea, context: Context, tried: set[bytes]) -> Proposal | None:
        try:
            return replace(self._ask_chosen(replace(context, idea=idea.text), tried, idea), source="queue")
        except NothingToProposeError as error:
            if not self.control.waits(idea.id):
                self._failed("the idea was taken out of the queue while it was worked on", error)
                return None
            self._rest(context.turn, error)
            if self.control.stopping:
                return None
            self._put_off[idea.id] += 1
            if self._put_off[idea.id] == IDEA_ATTEMPTS or not isinstance(error, ProposerTroubleError):
                self.control.idea_taken(idea.id, problem=str(error))
            return None

    def _ask_chosen(self, context: Context, tried: set[bytes], idea: Idea | None = None) -> Proposal:
        """As ``_ask``. Raises WorkFailed where only a person can help the proposer."""
        try:
            return self._ask(self.team.chosen, context, tried, UNUSABLE_ANSWERS, idea)
        except NeedsPersonError as error:
            self._failed(str(error), error)
            raise WorkFailed(str(error)) from error

    def _ask(
        self, proposer: Proposer, context: Context, tried: set[bytes], attempts: int, idea: Idea | None = None
    ) -> Proposal:
        """Its first proposal that is worth a run, with what all of them cost; of ``idea`` for as long as that waits.

        Raises NothingToProposeError.
        """

        def is_withdrawn() -> bool:
            return idea is not None and not self.control.waits(idea.id)

        watch = Watch(cancelled=lambda: self.control.must_end_proposal or is_withdrawn(), say=self._hear)
        cost = Cost()
        while True:
            attempts -= 1
            proposal = None
            try:
                try:
                    proposal = proposer.ask(context, watch)
                finally:
                    self._put_back(proposer)
                if is_withdrawn():
                    raise NothingToProposeError("nobody wants the idea any more")
                chosen = usable(proposal, context, tried)
            except NothingToProposeError as error:
                cost += priced(proposal.cost if proposal else error.cost, self.settings.prices)
                error.cost = cost
                if isinstance(error, ProposerTroubleError) or not attempts or watch.cancelled():
                    raise
                continue
            cost += priced(proposal.cost, self.settings.prices)
            if proposal.source != self.team.search.name:
                self._has_heard, self._troubles = True, 0
            return replace(chosen, cost=cost)

    def _put_back(self, proposer: Proposer) -> None:
        """Whoever proposes runs as the person does, and may reach beyond a draft: the rules stay as they are."""
        if proposer is not self.team.search:
            for found in self.cycle.bench.guards.restore(None, "a proposal"):
                self.log.emit(events.Warned(message=found))

    def _hear(self, kind: str, text: str) -> None:
        """What a proposer says while it thinks; that it has to wait is worth an event."""
        self._transcript.say(kind, text)
        if kind == "wait":
            self.log.emit(events.Warned(message=f"{self.team.chosen.name} waits: {text}"))

    def _context(self, history: History, incumbent: str, told: tuple[Idea, ...]) -> Context:
        floor = noise.floor(history.segment)
        return Context(
            incumbent=incumbent,
            prepare=_text(self.workspace.prepare),
            turn=len(history.segment.experiments),
            thrashing=history.without_keep >= self.settings.policy.thrash_after,
            run=history.next_run,
            best=history.incumbent,
            history=tuple(history.results()) if self.team.chosen.reads_prose else (),
            program=_text(self.workspace.program),
            document=_text(self.workspace.document),
            direction=history.segment.config.best_direction,
            noise=floor.text if floor else "",
            messages=tuple(message.text for message in told),
        )

    def _tried(self, history: History) -> set[bytes]:
        """Every train.py of the segment that has a verdict; a run's never changes, so each is read once."""
        for each in history.segment.experiments:
            if each.id not in self._digests and not each.inconclusive and (train := history.train_of(each)) is not None:
                self._digests[each.id] = _digest(train)
        return {self._digests[each.id] for each in history.segment.experiments if each.id in self._digests}


def usable(proposal: Proposal, context: Context, tried: set[bytes]) -> Proposal:
    """The proposal, if it is worth a run. Raises NothingToProposeError: it uses up no run number."""
    try:
        ast.parse(proposal.train)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NothingToProposeError(f"the edit is not valid Python: {error}") from error
    if meaning.same(proposal.train, context.incumbent):
        what = "nothing" if proposal.train == context.incumbent else "nothing but comments or layout"
        raise NothingToProposeError(f"it changes {what}")
    if _digest(proposal.train) in tried or context.run_of(proposal.train):
        raise NothingToProposeError("the same train.py has been run before")
    return proposal


def _digest(source: str) -> bytes:
    return hashlib.sha256(source.encode()).digest()


def _text(path: Path) -> str:
    """What a file says; nothing where there is none."""
    return path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""
