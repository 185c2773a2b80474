"""The hybrid: a scripted model beside the real search, with its good days and its bad ones."""

from dataclasses import dataclass, field

import pytest

from engine import knobs
from engine.ledger import Experiment
from engine.proposers import (
    SILENT,
    Context,
    Cost,
    Failed,
    NeedsPersonError,
    NothingToProposeError,
    Proposal,
    ProposerTroubleError,
    Result,
    Watch,
)
from engine.proposers.hybrid import Hybrid
from engine.proposers.search import Search
from engine.settings import HybridSettings, SearchSettings

TRAIN = "DEPTH = 2\nMATRIX_LR = 0.04\nWARMUP_RATIO = 0.1\nSEED = 1\n"


@dataclass
class Scripted:
    """A model that does what its script says, and remembers what it was asked and told."""

    name: str = "scripted"
    reads_prose: bool = True
    trouble: NothingToProposeError | None = None
    asked: list[Context] = field(default_factory=list)
    told: list[Result] = field(default_factory=list)
    is_closed: bool = False

    def ask(self, context: Context, watch: Watch = SILENT) -> Proposal:
        self.asked.append(context)
        if self.trouble is not None:
            raise self.trouble
        train = context.incumbent + f"x = {len(self.asked)}\n"
        return Proposal(train=train, description="another layer", source=self.name)

    def tell(self, result: Result) -> None:
        self.told.append(result)

    def reflect(self, result: Result) -> str:
        return "the model's hint"

    def close(self) -> None:
        self.is_closed = True


def hybrid(model: Scripted, share: float = 0.3, seed: int = 0) -> Hybrid:
    each = Hybrid(HybridSettings(share=share, seed=seed), Search(SearchSettings()), model)
    each.tell(result(1, TRAIN, 2.0, "keep"))
    return each


def context(turn: int, **more: object) -> Context:
    return Context(incumbent=TRAIN, prepare="", turn=turn, run=turn + 1, **more)  # type: ignore[arg-type]


def result(run: int, train: str, metric: float | None, status: str, source: str = "search") -> Result:
    return Result(Experiment(run=run, metric=metric, status=status, source=source), train)


def sources(each: Hybrid, turns: int) -> list[str]:
    return [each.ask(context(turn)).source for turn in range(1, turns + 1)]


def test_the_model_has_its_share_of_the_turns_the_same_ones_each_time() -> None:
    first = sources(hybrid(Scripted()), 300)
    assert first == sources(hybrid(Scripted()), 300)
    assert first != sources(hybrid(Scripted(), seed=1), 300)
    assert 0.2 < first.count("scripted") / 300 < 0.4


@pytest.mark.parametrize(("share", "source"), [(0.0, "search"), (1.0, "scripted")])
def test_a_share_of_nothing_or_all_is_just_that(share: float, source: str) -> None:
    assert set(sources(hybrid(Scripted(), share), 20)) == {source}


def test_the_model_sees_the_state_of_the_search() -> None:
    model = Scripted()
    each = hybrid(model, share=1.0)
    each.tell(result(2, TRAIN.replace("0.04", "0.05"), 1.9, "keep"))
    each.ask(context(2))
    assert "run 2: keep 1.9, MATRIX_LR 0.04 → 0.05" in model.asked[-1].search_state


def test_every_result_is_told_to_both() -> None:
    model = Scripted()
    each = hybrid(model, share=1.0)
    each.tell(result(2, TRAIN.replace("0.04", "0.05"), None, "crash", source="scripted"))
    assert [told.experiment.run for told in model.told] == [1, 2]
    each.ask(context(2))
    assert "1 of them failures" in model.asked[-1].search_state


def test_a_model_in_trouble_says_so_and_a_login_keeps_nobody_from_going_on() -> None:
    """Whoever asks lets the search take the turn; nothing of a night with a search needs a person."""
    with pytest.raises(ProposerTroubleError, match="gone"):
        hybrid(Scripted(trouble=ProposerTroubleError("gone.")), share=1.0).ask(context(1))
    wanted = NeedsPersonError("log in.")
    wanted.cost = Cost(seconds=2)
    with pytest.raises(ProposerTroubleError, match="log in") as raised:
        hybrid(Scripted(trouble=wanted), share=1.0).ask(context(1))
    assert not isinstance(raised.value, NeedsPersonError)
    assert raised.value.cost == Cost(seconds=2)


def test_an_idea_in_words_and_a_crash_to_mend_are_the_models() -> None:
    model = Scripted()
    each = hybrid(model, share=0.0)
    assert each.ask(context(1, idea="use SwiGLU")).source == "scripted"
    assert each.ask(context(1, failed=Failed(TRAIN, "name error", "NameError: x"))).source == "scripted"
    model.trouble = ProposerTroubleError("gone.")
    with pytest.raises(ProposerTroubleError):
        each.ask(context(2, idea="use SwiGLU"))


def test_what_a_person_says_is_for_the_model() -> None:
    model = Scripted()
    each = hybrid(model, share=0.0)
    said = ("think of the batch size",)
    assert each.ask(context(3, messages=said)).source == "scripted"
    assert model.asked[-1].messages == said
    assert each.ask(context(4)).source == "search"


def test_each_result_gets_the_hint_of_whoever_proposed_it() -> None:
    each = hybrid(Scripted())
    assert "MATRIX_LR" in each.reflect(result(2, TRAIN.replace("0.04", "0.05"), 2.1, "discard"))
    assert each.reflect(result(2, TRAIN, 2.1, "discard", source="scripted")) == "the model's hint"


def test_code_that_moved_no_knob_teaches_the_search_nothing_about_knobs() -> None:
    told, untold = Search(SearchSettings()), Search(SearchSettings())
    for search in (told, untold):
        for number in range(1, 6):
            train = knobs.replace(TRAIN, {"MATRIX_LR": 0.04 + number / 100})
            search.tell(result(number, train, 2.0 - number / 100, "keep"))
    told.tell(result(6, train + "x = 1\n", 3.0, "discard"))
    now = Context(incumbent=train, prepare="", turn=7)
    assert told.ask(now) == untold.ask(now)
    assert "run 6: discard 3.0, code only, no knob moved" in str(told.state(train))


def test_both_are_closed() -> None:
    model = Scripted()
    hybrid(model).close()
    assert model.is_closed
