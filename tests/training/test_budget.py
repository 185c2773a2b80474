"""What ends training: counted work, or the clock."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.training.conftest import Workspace

CPU = torch.device("cpu")


def steps_of(own: Workspace) -> tuple[int, Any]:
    """How many steps of the model in `own` fit into its budget, and the budget."""
    train = own.train()
    budget = train.prepare.Budget(CPU)
    model = train.GPT(2048)
    tokens = torch.randint(0, 2048, (4, 256))
    while not budget.done:
        with budget.step():
            model(tokens, tokens).backward()
    return budget.steps, budget


def test_a_larger_model_gets_fewer_steps(workspace: Callable[..., Workspace]) -> None:
    small, _ = steps_of(workspace(FLOP_BUDGET=20_000_000_000))
    deep, _ = steps_of(workspace(FLOP_BUDGET=20_000_000_000, DEPTH=4, ASPECT_RATIO=16))
    wide, _ = steps_of(workspace(FLOP_BUDGET=20_000_000_000, ASPECT_RATIO=64))
    assert small > 8
    assert deep < 0.8 * small
    assert wide < 0.6 * small


def test_the_work_never_exceeds_the_budget(workspace: Callable[..., Workspace]) -> None:
    _, budget = steps_of(workspace(FLOP_BUDGET=12_345_678_901))
    assert 0.8 * 12_345_678_901 < budget.flops <= 12_345_678_901
    assert budget.progress == budget.flops / 12_345_678_901
    assert budget.training_seconds > 0


def test_products_and_attention_are_counted_forward_and_backward(demo: Workspace) -> None:
    prepare = demo.prepare()

    def flops(work: Callable[[], object]) -> int:
        with prepare.flop_counter() as counter:
            work()
        return int(counter.flops)

    a = torch.randn(10, 20, requires_grad=True)
    b = torch.randn(20, 30, requires_grad=True)
    assert flops(lambda: a.detach() @ b.detach()) == 2 * 10 * 20 * 30
    assert flops(lambda: (a @ b).sum().backward()) == 3 * 2 * 10 * 20 * 30
    assert flops(lambda: torch.einsum("ij,jk->ik", a.detach(), b.detach())) == 2 * 10 * 20 * 30
    assert flops(lambda: torch.nn.functional.linear(a.detach(), b.detach().mT, torch.zeros(30))) == 2 * 10 * 20 * 30

    q = torch.randn(2, 3, 64, 8, requires_grad=True)
    attend = torch.nn.functional.scaled_dot_product_attention
    forward = 2 * 2 * (2 * 3) * 64 * 64 * 8  # scores and weighted sum
    assert flops(lambda: attend(q.detach(), q.detach(), q.detach(), is_causal=True)) == forward
    mask = torch.ones(64, 64, dtype=torch.bool).tril()
    assert flops(lambda: attend(q.detach(), q.detach(), q.detach(), attn_mask=mask)) == forward
    assert flops(lambda: attend(q, q, q, is_causal=True).sum().backward()) == forward + 5 * forward // 2


def test_compiling_a_step_does_not_hide_its_work(demo: Workspace) -> None:
    a = torch.randn(64, 64, requires_grad=True)
    compiled = torch.compile(lambda x: (x @ x).relu().sum(), backend="aot_eager")
    compiled(a).backward()  # compiled where nobody counts
    with demo.prepare().flop_counter() as counter:
        compiled(a).backward()
    assert counter.flops == 3 * 2 * 64**3


def test_work_outside_of_a_step_is_not_counted(workspace: Callable[..., Workspace]) -> None:
    prepare = workspace().prepare()
    budget = prepare.Budget(CPU)
    torch.randn(64, 64) @ torch.randn(64, 64)
    assert budget.flops == 0
    with budget.step():
        torch.randn(64, 64) @ torch.randn(64, 64)
    assert budget.flops == 2 * 64**3


class Clock:
    """A clock that moves when told to, and a processor that worked when told so."""

    now = 0.0
    worked = 0.0

    def perf_counter(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.worked


def test_the_clock_starts_after_the_steps_that_compile(workspace: Callable[..., Workspace]) -> None:
    prepare = workspace(FLOP_BUDGET=None, TIME_BUDGET=20, UNTIMED_STEPS=3).prepare()
    prepare.time = clock = Clock()
    budget = prepare.Budget(CPU)
    seen = []
    while not budget.done:
        with budget.step():
            clock.now += 100 if budget.steps < 3 else 4
        clock.now += 50  # between steps nothing is charged
        seen.append(budget.progress)
    assert seen == [0.0, 0.0, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert budget.training_seconds == 20
    assert (budget.steps, budget.timed_steps) == (8, 5)
    assert budget.flops == 0


def test_the_account_holds_whatever_is_done_to_the_budget(workspace: Callable[..., Workspace]) -> None:
    prepare = workspace(FLOP_BUDGET=None, TIME_BUDGET=20, UNTIMED_STEPS=1).prepare()
    prepare.time = clock = Clock()
    prepare.ACCOUNT = prepare.Account()
    clock.now = 5
    for seconds in (1, 2, 3):
        budget = prepare.Budget(CPU)
        for _ in range(2):
            with contextlib.suppress(ValueError), budget.step():
                clock.now += seconds
                raise ValueError("to leave the step before its end")
        budget.training_seconds = 0.0
        budget.steps = 0
    clock.now += 7
    stated = prepare.ACCOUNT.statement()
    assert (stated["kind"], stated["limit"]) == ("clock", 20)
    assert (stated["steps"], stated["timed_steps"]) == (6, 3)
    assert (stated["training_seconds"], stated["untimed_seconds"], stated["outside_seconds"]) == (6, 6, 12)


def test_where_the_budget_is_work_a_neighbour_counts_for_nothing(workspace: Callable[..., Workspace]) -> None:
    prepare = workspace().prepare()
    prepare.time = clock = Clock()
    prepare.ACCOUNT = prepare.Account()
    clock.now, clock.worked = clock.now + 100, clock.worked + 2
    with prepare.Budget(CPU).step():
        clock.now, clock.worked = clock.now + 100, clock.worked + 3
    stated = prepare.ACCOUNT.statement()
    assert stated["training_seconds"] == 100 and stated["outside_seconds"] == pytest.approx(2)


def test_the_account_counts_the_work_of_all_budgets(workspace: Callable[..., Workspace]) -> None:
    prepare = workspace().prepare()
    for _ in range(2):
        budget = prepare.Budget(CPU)
        with budget.step():
            torch.randn(64, 64) @ torch.randn(64, 64)
        budget.flops = 0
    stated = prepare.ACCOUNT.statement()
    assert (stated["kind"], stated["limit"]) == ("flops", prepare.FLOP_BUDGET)
    assert stated["flops"] == 2 * 2 * 64**3


def test_one_thread_is_pinned(workspace: Callable[..., Workspace]) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        workspace().prepare().Budget(CPU)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
