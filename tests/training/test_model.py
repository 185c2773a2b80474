"""The parts of train.py: attention with windows, Muon, the schedule, what it refuses."""

import itertools
import math
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.training.conftest import Workspace


@pytest.fixture(scope="module")
def train(demo: Workspace) -> Any:
    return demo.train()


def naive_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, window: int) -> torch.Tensor:
    """One query at a time over the positions it may see, in float64. Shapes as train.attention's."""
    out = torch.zeros_like(q, dtype=torch.float64)
    for b, i, h in itertools.product(range(q.size(0)), range(q.size(1)), range(q.size(2))):
        keys = range(max(0, i - window), i + 1)
        scores = [float(q[b, i, h].double() @ k[b, j, h].double()) / math.sqrt(q.size(3)) for j in keys]
        weights = torch.tensor(scores, dtype=torch.float64).softmax(0)
        out[b, i, h] = sum(weight * v[b, j, h].double() for weight, j in zip(weights, keys, strict=True))
    return out


@pytest.mark.parametrize("window", [0, 1, 7, 11, 12, 1000])
def test_attention_sees_the_window_and_nothing_else(train: Any, window: int) -> None:
    q, k, v = torch.randn(3, 2, 12, 3, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(train.attention(q, k, v, window).double(), naive_attention(q, k, v, window), atol=1e-5)


class NoConnectionError(Exception):
    """As the client of the hub raises it: of a family of its own."""


def test_a_kernel_that_is_not_to_be_had_is_said_and_done_without(
    train: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def get_kernel(name: str, *, version: int) -> None:
        raise NoConnectionError(f"no network for {name}, version {version}")

    monkeypatch.setitem(sys.modules, "kernels", SimpleNamespace(get_kernel=get_kernel))  # type: ignore[arg-type]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    assert train.load_flash_attention() is None
    said = capsys.readouterr().err
    assert "no Flash Attention 3 (no network for kernels-community/flash-attn3, version 1)" in said


@pytest.mark.gpu
@pytest.mark.parametrize("window", [1024, 2048])
@pytest.mark.parametrize("flash", [True, False])
def test_attention_on_a_gpu_is_the_same(train: Any, window: int, flash: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if flash and train.flash_attention is None:
        pytest.skip("no Flash Attention 3 here")
    q, k, v = torch.randn(3, 2, 2048, 4, 128, generator=torch.Generator().manual_seed(0)).bfloat16()
    expected = train.attention(q.float(), k.float(), v.float(), window)
    if not flash:
        monkeypatch.setattr(train, "flash_attention", None)
    attend = train.attention if flash else torch.compile(train.attention)
    ours = attend(q.cuda(), k.cuda(), v.cuda(), window)
    assert torch.allclose(ours.cpu().float(), expected, atol=2e-2)


def flexed(train: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, window: int) -> torch.Tensor:
    """What `attention` does on a GPU without Flash Attention 3."""
    from torch.nn.attention.flex_attention import flex_attention

    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    return flex_attention(q, k, v, block_mask=train.window_blocks(q.size(2), window, q.device)).transpose(1, 2)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("window", [1, 100, 255])
def test_the_block_mask_is_the_same_window(train: Any, window: int) -> None:
    q, k, v = torch.randn(3, 1, 256, 2, 16, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(flexed(train, q, k, v, window), train.attention(q, k, v, window), atol=1e-5)


def restless(train: Any) -> Any:
    """A model in which no weight is zero."""
    torch.manual_seed(0)
    model = train.GPT(300)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("blocks", [False, True])
def test_the_model_compiles_as_one_graph(
    workspace: Callable[..., Workspace], blocks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = workspace(DEPTH=4).train()
    model, tokens = restless(train), torch.randint(0, 300, (2, 256))
    expected = model(tokens, tokens)
    if blocks:
        monkeypatch.setattr(train, "attention", lambda q, k, v, window: flexed(train, q, k, v, window))
    with torch.no_grad():
        loss = torch.compile(model, backend="eager", fullgraph=True, dynamic=False)(tokens, tokens)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)


def test_in_bfloat16_attention_gets_bfloat16_and_gradients_stay_float32(
    workspace: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    train = workspace().train()
    model, tokens = restless(train), torch.randint(0, 300, (2, 256))
    expected = model(tokens, tokens).item()
    seen = []

    def watched(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, window: int) -> torch.Tensor:
        seen.extend([q.dtype, k.dtype, v.dtype])
        return attention(q, k, v, window)

    attention = train.attention
    monkeypatch.setattr(train, "attention", watched)
    monkeypatch.setattr(train, "compute_dtype", torch.bfloat16)
    loss = model(tokens, tokens)
    loss.backward()
    assert set(seen) == {torch.bfloat16}
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, abs=0.02)
    assert {parameter.grad.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("shape", [(1, 64, 64), (3, 64, 256), (2, 256, 64)])
def test_muon_orthogonalizes(train: Any, shape: tuple[int, int, int]) -> None:
    update = train.orthogonalize(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    assert update.shape == shape
    if shape[1] != shape[2]:  # a square random matrix has singular values too near zero for five steps
        values = torch.linalg.svdvals(update)
        assert values.min() > 0.6
        assert values.max() < 1.3


def test_muon_keeps_the_singular_vectors(train: Any) -> None:
    u, _, v = torch.linalg.svd(torch.randn(1, 32, 128, generator=torch.Generator().manual_seed(0)), full_matrices=False)
    update = train.orthogonalize(u * torch.linspace(1, 3, 32) @ v)
    inside = u.mT @ update @ v.mT
    assert torch.allclose(inside, torch.diag_embed(inside.diagonal(dim1=-2, dim2=-1)), atol=1e-4)


def test_a_step_of_muon_moves_all_matrices_and_decays_them(train: Any) -> None:
    torch.manual_seed(0)
    matrices = [torch.nn.Parameter(torch.randn(shape)) for shape in ((8, 4), (4, 8), (8, 4))]
    before = [matrix.detach().clone() for matrix in matrices]
    for matrix in matrices:
        matrix.grad = torch.randn_like(matrix)
    train.Muon(matrices, lr=0.1, momentum=0.9, weight_decay=0.5).step()
    for matrix, old in zip(matrices, before, strict=True):
        moved = (old * (1 - 0.1 * 0.5) - matrix.detach()) / 0.1
        longer = max(1.0, matrix.size(0) / matrix.size(1)) ** 0.5
        assert torch.linalg.matrix_norm(moved, 2) == pytest.approx(longer, rel=0.4)


def test_every_parameter_is_in_exactly_one_optimizer(train: Any) -> None:
    model = train.GPT(300)
    stepped = [
        p for optimizer in train.build_optimizers(model) for group in optimizer.param_groups for p in group["params"]
    ]
    assert len(stepped) == len({id(p) for p in stepped})
    assert {id(p) for p in stepped} == {id(p) for p in model.parameters()}


def test_the_schedule_rises_holds_and_falls(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("WARMUP_RATIO", 0.2), ("WARMDOWN_RATIO", 0.5), ("FINAL_LR_FRAC", 0.1)):
        monkeypatch.setattr(train, name, value)
    at = {0.0: 0.0, 0.1: 0.5, 0.2: 1.0, 0.5: 1.0, 0.75: 0.55, 1.0: 0.1}
    assert {progress: pytest.approx(train.lr_multiplier(progress)) for progress in at} == at
    for name in ("WARMUP_RATIO", "WARMDOWN_RATIO"):
        monkeypatch.setattr(train, name, 0.0)
    assert [train.lr_multiplier(progress) for progress in (0.0, 0.5, 1.0)] == [1.0, 1.0, 1.0]


def test_the_first_loss_is_that_of_a_blind_guess(train: Any) -> None:
    tokens = torch.randint(0, 300, (2, 256))
    assert train.GPT(300)(tokens, tokens).item() == pytest.approx(math.log(300), abs=0.01)


def test_windows_follow_the_pattern_and_the_last_layer_sees_all(
    workspace: Callable[..., Workspace],
) -> None:
    train = workspace(DEPTH=6, WINDOW_PATTERN="SSL").train()
    assert train.window_sizes() == [128, 128, 256, 128, 128, 256]
    train = workspace(DEPTH=3, WINDOW_PATTERN="S").train()
    assert train.window_sizes() == [128, 128, 256]


def test_the_width_is_rounded_up_to_whole_heads(workspace: Callable[..., Workspace]) -> None:
    assert workspace(DEPTH=3, ASPECT_RATIO=30, HEAD_DIM=32).train().GPT(300).width == 96


def test_the_models_own_flops_are_those_that_the_counter_sees(workspace: Callable[..., Workspace]) -> None:
    """With full windows; the gates read only some of the channels, which the formula leaves out of account."""
    train = workspace(WINDOW_PATTERN="L").train()
    model = train.GPT(2048)
    tokens = torch.randint(0, 2048, (2, 256))
    with train.prepare.flop_counter() as counter:
        model(tokens, tokens).backward()
    assert counter.flops == pytest.approx(model.flops_per_token() * tokens.numel(), rel=0.1)
