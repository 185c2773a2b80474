"""Trains a small GPT for the budget that prepare.py grants, and prints its val_bpb. The one file that experiments edit.

What:  a decoder-only transformer (RoPE, sliding-window attention, value embeddings, QK-norm, ReLU², capped logits),
       Muon for its matrices, AdamW for the rest, and a learning-rate schedule over the budget.
Why:   val_bpb, bits per byte of text that was held out, is the figure that an experiment tries to lower. prepare.py
       decides when training ends and what the figure is; everything in this file may change.
Costs: with the constants below 5 minutes of a GPU with 80 GB, start-up and torch.compile not counted; with the demo
       profile's about 20 s of one CPU core and 0.5 GB.

Run: `python train.py`, after `python prepare.py`. One progress line is rewritten in place; the summary comes last.
"""

import math
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (its name everywhere)
from prepare import FLOP_BUDGET, MAX_SEQ_LEN, Budget, evaluate_bpb, load_tokenizer, training_batches
from torch import Tensor, nn

# ------------------------------------------------------------------------------------------------------------------
# Constants: plain literals, each a thing to try

DEPTH = 8  # layers
ASPECT_RATIO = 64  # width of the residual stream per layer: width = DEPTH * ASPECT_RATIO, rounded up to whole heads
HEAD_DIM = 128  # width of an attention head
MLP_RATIO = 4  # hidden width of the MLP, in widths
WINDOW_PATTERN = "SSSL"  # attention per layer, repeated: S sees half of the context, L all of it; the last layer is L
ROPE_BASE = 10000  # the slowest rotation takes about this many positions per radian
LOGIT_CAP = 15.0  # logits are squashed into ±LOGIT_CAP
TOTAL_BATCH_SIZE = 524288  # tokens of an optimizer step
DEVICE_BATCH_SIZE = 128  # rows of one forward pass; as many passes as TOTAL_BATCH_SIZE needs
EMBEDDING_LR = 0.6  # token and value embeddings (AdamW)
UNEMBEDDING_LR = 0.004  # output layer (AdamW)
SCALAR_LR = 0.5  # the scalars that mix the residual stream (AdamW)
MATRIX_LR = 0.04  # every matrix inside the blocks (Muon)
MUON_MOMENTUM = 0.95
WEIGHT_DECAY = 0.2  # of the matrices, falling to zero over the budget
ADAM_BETAS = (0.8, 0.95)
WARMUP_RATIO = 0.0  # share of the budget in which the learning rates rise from 0
WARMDOWN_RATIO = 0.5  # share of the budget in which they fall
FINAL_LR_FRAC = 0.0  # to this share of their value
SEED = 42  # of the weights and of the order of the data

# ------------------------------------------------------------------------------------------------------------------
# Attention

# What activations are computed in; weights stay float32. On a CPU bfloat16 is many times slower than float32.
compute_dtype = torch.bfloat16 if torch.cuda.is_available() else torch.float32


def load_flash_attention() -> Callable[..., Tensor] | None:
    """Flash Attention 3 on a Hopper card where the `kernels` package is installed; None elsewhere."""
    if not torch.cuda.is_available() or torch.cuda.get_device_capability()[0] != 9:
        return None
    try:
        from kernels import get_kernel

        return get_kernel("kernels-community/flash-attn3", version=1).flash_attn_func
    except Exception as error:  # noqa: BLE001 (not installed, too old, no network: there is another attention)
        print(f"no Flash Attention 3 ({error}): using torch's own attention", file=sys.stderr)
        return None


flash_attention = load_flash_attention()
masks: dict[tuple[int, int, str], Any] = {}


def attention(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """Causal attention. q, k, v: (B, T, H, D); returns (B, T, H, D). Position i sees positions i - window … i."""
    T = q.size(1)
    if flash_attention is not None and q.is_cuda:
        out = flash_attention(q, k, v, causal=True, window_size=(window, 0))
        return out[0] if isinstance(out, tuple) else out
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    if window >= T - 1:
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    elif q.is_cuda:  # skips the blocks that the window hides; needs torch.compile to be fast
        from torch.nn.attention.flex_attention import flex_attention

        out = flex_attention(q, k, v, block_mask=window_blocks(T, window, q.device))
    else:
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=window_mask(T, window, q.device))
    return out.transpose(1, 2)


def window_mask(T: int, window: int, device: torch.device) -> Tensor:
    """bool (T, T), True where row i may look at column j: i - window <= j <= i."""
    key = (T, window, str(device))
    if key not in masks:
        everything = torch.ones(T, T, dtype=torch.bool, device=device)
        masks[key] = everything.tril() & everything.triu(-window)
    return masks[key]


def window_blocks(T: int, window: int, device: torch.device) -> Any:
    """The same mask as flex_attention wants it: which blocks are needed at all, and the rule inside them."""
    key = (T, window, f"{device} blocks")
    if key not in masks:
        from torch.nn.attention.flex_attention import create_block_mask

        masks[key] = create_block_mask(lambda b, h, i, j: (j <= i) & (i - j <= window), None, None, T, T, device=device)
    return masks[key]


# ------------------------------------------------------------------------------------------------------------------
# Model


def norm(x: Tensor) -> Tensor:
    """RMS norm over the last dimension, without parameters. Keeps the dtype."""
    return F.rms_norm(x, (x.size(-1),)).to(x.dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE (Su et al. 2021): turn each pair of channels by an angle that grows with the position. x: (B, T, H, D)."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos + b * sin, b * cos - a * sin), dim=-1)


class Attention(nn.Module):
    def __init__(self, width: int, has_value_embedding: bool) -> None:
        super().__init__()
        self.heads = width // HEAD_DIM
        self.q = nn.Linear(width, width, bias=False)
        self.k = nn.Linear(width, width, bias=False)
        self.v = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.gate_channels = min(32, width)
        self.gate = nn.Linear(self.gate_channels, self.heads, bias=False) if has_value_embedding else None

    def forward(self, x: Tensor, value_embedding: Tensor | None, cos: Tensor, sin: Tensor, window: int) -> Tensor:
        B, T, C = x.shape
        q, k, v = (project(x).view(B, T, self.heads, HEAD_DIM) for project in (self.q, self.k, self.v))
        if self.gate is not None and value_embedding is not None:
            gate = 2 * torch.sigmoid(self.gate(x[..., : self.gate_channels]))  # (B, T, H), 1 at the start
            v = v + gate.unsqueeze(-1) * value_embedding.view(B, T, self.heads, HEAD_DIM)
        q, k = (norm(rotate(part, cos, sin)).to(v.dtype) for part in (q, k))
        return self.out(attention(q, k, v, window).reshape(B, T, C))


class MLP(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, MLP_RATIO * width, bias=False)
        self.down = nn.Linear(MLP_RATIO * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.relu(self.up(x)).square())


class Block(nn.Module):
    def __init__(self, width: int, has_value_embedding: bool) -> None:
        super().__init__()
        self.attention = Attention(width, has_value_embedding)
        self.mlp = MLP(width)

    def forward(self, x: Tensor, value_embedding: Tensor | None, cos: Tensor, sin: Tensor, window: int) -> Tensor:
        x = x + self.attention(norm(x), value_embedding, cos, sin, window)
        return x + self.mlp(norm(x))


class GPT(nn.Module):
    """forward(tokens) gives logits (B, T, vocab_size) in float32; forward(tokens, targets) the mean loss in nats.

    tokens, targets: int64 (B, T), T <= MAX_SEQ_LEN. Weights are float32; on a GPU the products are in bfloat16. Every
    second layer, the last included, adds a value embedding: a table of its own, looked up by token, that goes into the
    attention's values through a gate per head that depends on the input. Before each layer the residual stream is mixed
    with the first embedding by two learnt scalars.
    """

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        width = -(-DEPTH * ASPECT_RATIO // HEAD_DIM) * HEAD_DIM
        self.width = width
        self.windows = window_sizes()
        self.embedding = nn.Embedding(vocab_size, width)
        has_value_embedding = [layer % 2 == (DEPTH - 1) % 2 for layer in range(DEPTH)]
        self.value_embeddings = nn.ModuleDict(
            {str(layer): nn.Embedding(vocab_size, width) for layer in range(DEPTH) if has_value_embedding[layer]}
        )
        self.blocks = nn.ModuleList(Block(width, has) for has in has_value_embedding)
        self.unembedding = nn.Linear(width, vocab_size, bias=False)
        self.stream_scale = nn.Parameter(torch.ones(DEPTH))
        self.first_scale = nn.Parameter(torch.full((DEPTH,), 0.1))
        frequency = ROPE_BASE ** (-torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)
        angle = torch.outer(torch.arange(MAX_SEQ_LEN), frequency)[:, None, :]  # (T, 1, D/2)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)
        self.initialize()

    @torch.no_grad()
    def initialize(self) -> None:
        """Matrices uniform with variance 1/width; those that write into the residual stream start at zero."""
        bound = math.sqrt(3 / self.width)
        self.embedding.weight.normal_(0, 1)
        self.unembedding.weight.normal_(0, 0.001)
        for table in self.value_embeddings.values():
            table.weight.uniform_(-bound, bound)
        for block in self.blocks:
            for matrix in (block.attention.q, block.attention.k, block.attention.v, block.mlp.up):
                matrix.weight.uniform_(-bound, bound)
            for matrix in (block.attention.out, block.mlp.down):
                matrix.weight.zero_()
            if block.attention.gate is not None:
                block.attention.gate.weight.zero_()

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> Tensor:
        with torch.autocast(tokens.device.type, torch.bfloat16, enabled=compute_dtype == torch.bfloat16):
            T = tokens.size(1)
            cos, sin = self.cos[:T], self.sin[:T]
            x = first = norm(self.embedding(tokens)).to(compute_dtype)
            for layer, block in enumerate(self.blocks):
                x = self.stream_scale[layer] * x + self.first_scale[layer] * first
                value_embedding = None
                if str(layer) in self.value_embeddings:
                    value_embedding = self.value_embeddings[str(layer)](tokens).to(compute_dtype)
                x = block(x, value_embedding, cos, sin, self.windows[layer])
            logits = self.unembedding(norm(x)).float()
        logits = LOGIT_CAP * torch.tanh(logits / LOGIT_CAP)
        if targets is None:
            return logits
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def flops_per_token(self) -> int:
        """FLOPs of forward and backward, per token: 6 per weight of a matrix (2 forward, 4 backward) and 12 per channel
        and visible position for attention (Chowdhery et al. 2022, appendix B, with a window)."""
        matrices = sum(p.numel() for p in self.blocks.parameters()) + self.unembedding.weight.numel()
        visible = sum(min(window + 1, MAX_SEQ_LEN) for window in self.windows)
        return 6 * matrices + 12 * self.width * visible


def window_sizes() -> list[int]:
    """For each layer, how many positions it looks back. Exits with a sentence for a bad WINDOW_PATTERN."""
    if not WINDOW_PATTERN or set(WINDOW_PATTERN) - set("SL"):
        sys.exit(f"WINDOW_PATTERN must consist of the letters S and L, not {WINDOW_PATTERN!r}")
    letters = [WINDOW_PATTERN[layer % len(WINDOW_PATTERN)] for layer in range(DEPTH)]
    letters[-1] = "L"
    return [MAX_SEQ_LEN // 2 if letter == "S" else MAX_SEQ_LEN for letter in letters]


# ------------------------------------------------------------------------------------------------------------------
# Optimizer


def orthogonalize(G: Tensor) -> Tensor:
    """The nearest matrix with all singular values near 1 (0.7 … 1.2). G: (K, m, n), K matrices at a time.

    Five steps of a quintic Newton-Schulz iteration, whose coefficients trade accuracy for speed near zero
    (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon). In bfloat16 on a GPU.
    """
    X = G.to(compute_dtype)
    tall = X.size(-2) > X.size(-1)
    if tall:
        X = X.mT
    X = X / (X.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):  # X <- aX + (bA + cA²)X with A = XXᵀ
        A = torch.bmm(X, X.mT)
        X = torch.baddbmm(X, torch.baddbmm(A, A, A, beta=-4.7750, alpha=2.0315), X, beta=3.4445)
    return (X.mT if tall else X).to(G.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum SGD (Nesterov's) whose update is orthogonalized, so that every direction of a matrix moves alike.

    For the matrices inside the blocks only. Matrices of one shape are stepped together. Weight decay is decoupled.
    """

    def __init__(self, matrices: list[nn.Parameter], lr: float, momentum: float, weight_decay: float) -> None:
        shapes = sorted({tuple(p.shape) for p in matrices})
        groups = [{"params": [p for p in matrices if tuple(p.shape) == shape]} for shape in shapes]
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            matrices = group["params"]
            gradient = torch.stack([p.grad for p in matrices])
            state = self.state[matrices[0]]
            if not state:
                state["momentum"] = torch.zeros_like(gradient)
            momentum = state["momentum"].lerp_(gradient, 1 - group["momentum"])
            update = orthogonalize(gradient.lerp_(momentum, group["momentum"]))
            # a matrix with more rows than columns gets a longer step, so that its output changes as much as others'
            scale = max(1.0, update.size(-2) / update.size(-1)) ** 0.5
            torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(matrices, list(update.unbind()), alpha=-group["lr"] * scale)


def build_optimizers(model: GPT) -> list[torch.optim.Optimizer]:
    """AdamW for embeddings, output layer and scalars; Muon for the matrices. AdamW's rates shrink with width^-½."""
    adam_scale = (model.width / 768) ** -0.5
    tables = [model.embedding.weight, *(table.weight for table in model.value_embeddings.values())]
    groups = [
        {"params": tables, "lr": EMBEDDING_LR * adam_scale},
        {"params": [model.unembedding.weight], "lr": UNEMBEDDING_LR * adam_scale},
        # While the blocks still write nothing, the loss does not depend on the scalars, and their gradient is rounding:
        # a larger eps keeps AdamW from following it. The stream is multiplied once a layer, so that one goes gently.
        {"params": [model.stream_scale], "lr": SCALAR_LR * 0.01, "eps": 1e-6},
        {"params": [model.first_scale], "lr": SCALAR_LR, "eps": 1e-6},
    ]
    adamw = torch.optim.AdamW(groups, betas=ADAM_BETAS, eps=1e-10, weight_decay=0.0, fused=True)
    muon = Muon(list(model.blocks.parameters()), MATRIX_LR, MUON_MOMENTUM, WEIGHT_DECAY)
    for group in adamw.param_groups + muon.param_groups:
        group["base_lr"] = group["lr"]
    return [adamw, muon]


def lr_multiplier(progress: float) -> float:
    """The schedule: up from 0, flat, down to FINAL_LR_FRAC, over progress 0 … 1 of the budget."""
    if progress < WARMUP_RATIO:
        return progress / WARMUP_RATIO
    if progress <= 1 - WARMDOWN_RATIO:
        return 1.0
    left = (1 - progress) / WARMDOWN_RATIO
    return left + (1 - left) * FINAL_LR_FRAC


# ------------------------------------------------------------------------------------------------------------------
# Run


def peak_flops(device: torch.device) -> float | None:
    """What a GPU can do, in FLOP/s: the data sheet's dense bfloat16 figure, or the best of a few products here.

    None for a CPU: what a core can do depends on its clock and its neighbours, and varies by a factor of five.
    """
    if device.type != "cuda":
        return None
    sheet = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "B200": 2250e12, "L40S": 362e12, "4090": 165e12}
    name = torch.cuda.get_device_name()
    for model, flops in sheet.items():
        if model in name:
            return flops
    size = 4096
    a = torch.ones(size, size, device=device, dtype=torch.bfloat16)
    best = math.inf
    for _ in range(6):
        start = time.perf_counter()
        (a @ a).sum().item()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def check_loss(loss: float, vocab_size: int) -> None:
    """Exits with a sentence when going on would be a waste."""
    if not math.isfinite(loss):
        sys.exit(f"training failed: the loss is {loss}")
    if loss > 2 * math.log(vocab_size):
        sys.exit(f"training failed: the loss exploded to {loss:.2f}, twice that of a blind guess")


def check_constants() -> None:
    """Exits with a sentence for values that cannot work together."""
    if DEPTH < 1 or ASPECT_RATIO < 1:
        sys.exit(f"DEPTH = {DEPTH} and ASPECT_RATIO = {ASPECT_RATIO} must be at least 1")
    if MLP_RATIO < 1:
        sys.exit(f"MLP_RATIO = {MLP_RATIO} must be at least 1")
    if LOGIT_CAP <= 0:
        sys.exit(f"LOGIT_CAP = {LOGIT_CAP} must be positive")
    if HEAD_DIM < 2 or HEAD_DIM % 2:
        sys.exit(f"HEAD_DIM = {HEAD_DIM} must be even: RoPE turns pairs of channels")
    tokens = DEVICE_BATCH_SIZE * MAX_SEQ_LEN
    if tokens < 1 or TOTAL_BATCH_SIZE < 1 or TOTAL_BATCH_SIZE % tokens:
        sys.exit(
            f"TOTAL_BATCH_SIZE = {TOTAL_BATCH_SIZE} must be a multiple of DEVICE_BATCH_SIZE * MAX_SEQ_LEN = "
            f"{DEVICE_BATCH_SIZE} * {MAX_SEQ_LEN} = {tokens}"
        )


def main() -> None:
    started = time.perf_counter()
    check_constants()
    passes = TOTAL_BATCH_SIZE // (DEVICE_BATCH_SIZE * MAX_SEQ_LEN)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    budget = Budget(device)
    torch.manual_seed(SEED)
    torch.set_float32_matmul_precision("high")
    tokenizer = load_tokenizer()
    model = GPT(tokenizer.vocab_size).to(device)
    optimizers = build_optimizers(model)
    batches = training_batches(tokenizer, DEVICE_BATCH_SIZE, device, SEED)
    num_params = sum(p.numel() for p in model.parameters())
    flops_per_step = model.flops_per_token() * TOTAL_BATCH_SIZE
    peak = peak_flops(device)
    # not on a CPU, where it takes longer than the demo runs; not under a FLOP_BUDGET, whose counter needs it eager
    compiled = torch.compile(model, dynamic=False) if device.type == "cuda" and FLOP_BUDGET is None else model

    inputs, targets = next(batches)
    step = 0
    smooth = 0.0
    while not budget.done:
        began = time.perf_counter()
        multiplier = lr_multiplier(budget.progress)
        with budget.step():
            loss = torch.zeros((), device=device)
            for _ in range(passes):
                part = compiled(inputs, targets) / passes
                part.backward()
                loss += part.detach()
                inputs, targets = next(batches)  # packed while a GPU is still at work
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = group["base_lr"] * multiplier
                    if isinstance(optimizer, Muon):
                        group["weight_decay"] = WEIGHT_DECAY * (1 - budget.progress)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            check_loss(loss.item(), tokenizer.vocab_size)
        step += 1
        smooth = 0.9 * smooth + 0.1 * loss.item()
        dt = time.perf_counter() - began
        mfu = f"{100 * flops_per_step / dt / peak:.1f}%" if peak else "-"
        remaining = budget.training_seconds * (1 / budget.progress - 1) if budget.progress else math.inf
        print(
            f"\rstep {step:05d} ({100 * budget.progress:.1f}%) | loss: {smooth / (1 - 0.9**step):.6f} | "
            f"lrm: {multiplier:.2f} | dt: {1000 * dt:.0f}ms | tok/sec: {TOTAL_BATCH_SIZE / dt:,.0f} | "
            f"mfu: {mfu} | remaining: {remaining:.0f}s    ",
            end="",
            flush=True,
        )
    print()

    val_bpb = evaluate_bpb(compiled, tokenizer, DEVICE_BATCH_SIZE, device)
    if device.type == "cuda":
        peak_memory = torch.cuda.max_memory_allocated() / 2**20
    else:
        peak_memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            2**20 if sys.platform == "darwin" else 2**10
        )
    print("---")
    print(f"val_bpb:          {val_bpb:.6f}")
    print(f"training_seconds: {budget.training_seconds:.1f}")
    print(f"total_seconds:    {time.perf_counter() - started:.1f}")
    print(f"peak_vram_mb:     {peak_memory:.1f}")
    mfu = f"{100 * flops_per_step * budget.timed_steps / budget.training_seconds / peak:.2f}" if peak else "-"
    print(f"mfu_percent:      {mfu}")
    print(f"total_tokens_M:   {step * TOTAL_BATCH_SIZE / 1e6:.3f}")
    print(f"num_steps:        {step}")
    print(f"num_params_M:     {num_params / 1e6:.3f}")
    print(f"depth:            {DEPTH}")


if __name__ == "__main__":
    main()
