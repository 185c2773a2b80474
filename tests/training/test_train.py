"""train.py as a process: its progress line, its summary, its failures."""

import math
import re
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

from tests.training.conftest import Workspace

SHORT = {"FLOP_BUDGET": 15_000_000_000, "EVAL_TOKENS": 4096}
SUMMARY = (
    "val_bpb",
    "training_seconds",
    "total_seconds",
    "peak_vram_mb",
    "mfu_percent",
    "total_tokens_M",
    "num_steps",
    "num_params_M",
    "depth",
)


def summary(output: str) -> dict[str, float]:
    found = re.findall(r"^(\w+): +([0-9.]+|-)$", output, re.MULTILINE)
    return {name: math.nan if value == "-" else float(value) for name, value in found}


@pytest.fixture(scope="module")
def short(demo: Workspace, tmp_path_factory: pytest.TempPathFactory) -> CompletedProcess[str]:
    """A short run with the demo's constants."""
    own = Workspace(tmp_path_factory.mktemp("short") / "workspace", **SHORT)
    own.data.symlink_to(demo.data)
    return own.run("train.py")


def test_a_run_prints_its_progress_in_one_line_and_its_summary(short: CompletedProcess[str]) -> None:
    assert short.returncode == 0, short.stderr
    assert short.stderr == ""
    progress, _, end = short.stdout.partition("\n")
    frames = progress.split("\r")[1:]
    assert all(
        re.fullmatch(
            r"step \d{5} \(\d+\.\d%\) \| loss: \d+\.\d{6} \| lrm: \d\.\d\d \| dt: \d+ms \| tok/sec: [\d,]+ \| "
            r"mfu: - \| remaining: \d+s +",
            frame,
        )
        for frame in frames
    )
    figures = summary(end)
    assert tuple(figures) == SUMMARY
    assert figures["num_steps"] == len(frames) > 4
    assert figures["depth"] == 2
    assert figures["total_tokens_M"] == pytest.approx(len(frames) * 1024 / 1e6, abs=1e-3)
    assert 1.5 < figures["val_bpb"] < 3.5
    assert math.isnan(figures["mfu_percent"]), "what a CPU's core could do at best is not known"
    assert figures["peak_vram_mb"] > 50
    assert re.search(r"^val_bpb:          \d\.\d{6}$", end, re.MULTILINE)


def test_two_runs_agree_to_the_last_digit(short: CompletedProcess[str], workspace: Callable[..., Workspace]) -> None:
    one, other = summary(short.stdout), summary(workspace(**SHORT).run("train.py").stdout)
    for name in ("val_bpb", "num_steps", "total_tokens_M"):
        assert one[name] == other[name]


def test_another_seed_trains_another_model(short: CompletedProcess[str], workspace: Callable[..., Workspace]) -> None:
    other = summary(workspace(**SHORT, SEED=1).run("train.py").stdout)
    assert other["val_bpb"] != summary(short.stdout)["val_bpb"]
    assert other["num_steps"] == summary(short.stdout)["num_steps"]


def test_accumulated_passes_train_the_same_model(
    short: CompletedProcess[str], workspace: Callable[..., Workspace]
) -> None:
    parts = summary(workspace(**SHORT, DEVICE_BATCH_SIZE=2).run("train.py").stdout)
    assert parts["val_bpb"] == pytest.approx(summary(short.stdout)["val_bpb"], abs=1e-4)


def test_under_the_clock_it_ends_too(workspace: Callable[..., Workspace]) -> None:
    done = workspace(FLOP_BUDGET=None, TIME_BUDGET=1, UNTIMED_STEPS=2, EVAL_TOKENS=4096).run("train.py")
    assert done.returncode == 0, done.stderr
    figures = summary(done.stdout)
    assert figures["training_seconds"] >= 1
    assert figures["num_steps"] > 2


@pytest.mark.parametrize(
    ("constants", "sentence"),
    [
        ({"EMBEDDING_LR": 1e38}, "training failed: the loss is nan"),
        ({"UNEMBEDDING_LR": 1e4}, "training failed: the loss exploded to"),
        ({"TOTAL_BATCH_SIZE": 1000}, "TOTAL_BATCH_SIZE = 1000 must be a multiple of DEVICE_BATCH_SIZE * MAX_SEQ_LEN"),
    ],
)
def test_what_cannot_work_ends_at_once_with_a_sentence(
    workspace: Callable[..., Workspace], constants: dict[str, float], sentence: str
) -> None:
    done = workspace(**(SHORT | constants)).run("train.py")
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert "val_bpb" not in done.stdout


@pytest.mark.parametrize(
    ("constants", "sentence"),
    [
        ({"DEVICE_BATCH_SIZE": 3}, "must be a multiple of DEVICE_BATCH_SIZE * MAX_SEQ_LEN = 3 * 256 = 768"),
        ({"DEVICE_BATCH_SIZE": 0}, "must be a multiple of DEVICE_BATCH_SIZE * MAX_SEQ_LEN = 0 * 256 = 0"),
        ({"WINDOW_PATTERN": "SXL"}, "WINDOW_PATTERN must consist of the letters S and L, not 'SXL'"),
        ({"WINDOW_PATTERN": ""}, "WINDOW_PATTERN must consist of the letters S and L, not ''"),
        ({"DEPTH": 0}, "DEPTH = 0 and ASPECT_RATIO = 32 must be at least 1"),
        ({"HEAD_DIM": 33}, "HEAD_DIM = 33 must be even"),
        ({"MLP_RATIO": 0}, "MLP_RATIO = 0 must be at least 1"),
        ({"LOGIT_CAP": 0.0}, "LOGIT_CAP = 0.0 must be positive"),
    ],
)
def test_bad_constants_are_named(
    workspace: Callable[..., Workspace], constants: dict[str, float | str], sentence: str
) -> None:
    with pytest.raises(SystemExit, match=re.escape(sentence)):
        workspace(**(SHORT | constants)).train().main()


@pytest.mark.gpu
def test_a_short_run_on_a_gpu(workspace: Callable[..., Workspace]) -> None:
    own = workspace(FLOP_BUDGET=None, TIME_BUDGET=5, EVAL_TOKENS=65536, HEAD_DIM=64, DEPTH=4)
    done = own.run("train.py")
    assert done.returncode == 0, done.stderr
    assert 0.5 < summary(done.stdout)["val_bpb"] < 2.5
    assert 0 < summary(done.stdout)["mfu_percent"] < 100
