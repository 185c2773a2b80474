"""Why a run crashed, as a person reads it from the exit and the end of the log."""

import pytest

from engine.diagnosis import failure
from engine.supervisor import Ending, Exit

FAILED = Exit(ending=Ending.EXITED, code=1)


def said(log: str = "", ended: Exit = FAILED, metric_missing: bool = True) -> str:
    return failure(ended, metric_missing, log, 600.0)


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "out of memory"),
        ("torch.cuda.OutOfMemoryError: CUDA out of memory.", "out of memory"),
        ("RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory: Cannot allocate memory", "memory"),
        ("MemoryError", "out of memory"),
        ("training failed: the loss exploded to nan, twice that of a blind guess", "NaN or exploding loss"),
        ("loss is NaN at step 7", "NaN or exploding loss"),
        ("exploding loss: stop", "NaN or exploding loss"),
        ("  File 'train.py', line 3\n    def (\n        ^\nSyntaxError: invalid syntax", "SyntaxError: invalid syntax"),
        ("IndentationError: unexpected indent", "syntax error: IndentationError"),
        ("ModuleNotFoundError: No module named 'flash'", "import error: ModuleNotFoundError: No module named 'flash'"),
        ("ImportError: cannot import name 'x' from 'torch'", "import error"),
        ("NameError: name 'x' is not defined", "name error: NameError: name 'x' is not defined"),
        ("AttributeError: 'GPT' object has no attribute 'heads'", "name error"),
        ("RuntimeError: mat1 and mat2 shapes cannot be multiplied (4x8 and 16x4)", "shape error"),
        ("RuntimeError: The size of tensor a (3) must match the size of tensor b (4)", "shape error"),
        ("ValueError: DEPTH must be positive", "ValueError: DEPTH must be positive"),
        ("urllib3.exceptions.MaxRetryError: too many", "urllib3.exceptions.MaxRetryError: too many"),
        ("KeyError: 'a'\n\nDuring handling …\n\nValueError: the last one counts", "ValueError: the last one counts"),
        ("KeyboardInterrupt", "KeyboardInterrupt"),
        ("nothing that anybody knows", "exit code 1"),
        ("", "exit code 1"),
    ],
)
def test_the_log_says_why(log: str, sentence: str) -> None:
    assert sentence in said(f"step 1\n{log}\n")


def test_the_exit_is_always_said_too() -> None:
    assert said("ValueError: x").endswith("(exit code 1)")


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (1, "exit code 1"),
        (2, "exit code 2"),
        (127, "exit code 127"),
        (128, "exit code 128"),
        (-9, "killed by SIGKILL"),
        (137, "killed by SIGKILL"),
        (-15, "killed by SIGTERM"),
        (139, "killed by SIGSEGV"),
        (134, "killed by SIGABRT"),
        (-64, "killed by SIGRTMAX"),
        (130, "killed by SIGINT"),
        (163, "exit code 163"),
        (168, "exit code 168"),
        (-40, "exit code -40"),
        (193, "exit code 193"),
        (255, "exit code 255"),
        (None, "no exit code"),
    ],
)
def test_every_exit_code_has_words(code: int | None, how: str) -> None:
    assert said(ended=Exit(ending=Ending.EXITED, code=code)) == how


def test_no_exit_code_whatever_stops_the_diagnosis() -> None:
    for code in range(-70, 256):
        sentence = said(ended=Exit(ending=Ending.EXITED, code=code), metric_missing=False)
        assert (sentence == "") == (code == 0), code


def test_a_run_that_ended_well_did_not_crash() -> None:
    assert said("val_bpb: 0.99", Exit(ending=Ending.EXITED, code=0), metric_missing=False) == ""


def test_a_run_that_ended_well_is_not_suspected_for_what_its_log_says() -> None:
    log = "ImportError: no Flash Attention, falling back\nout of memory? no"
    assert said(log, Exit(ending=Ending.EXITED, code=0), metric_missing=False) == ""


def test_a_run_that_printed_no_metric_crashed_even_with_exit_code_0() -> None:
    assert said("done", Exit(ending=Ending.EXITED, code=0)) == "exit code 0 without a metric"


def test_a_metric_does_not_save_a_run_that_failed() -> None:
    assert said("ValueError: late", FAILED, metric_missing=False) == "ValueError: late (exit code 1)"


def test_a_run_over_its_limit_says_the_limit() -> None:
    assert said(ended=Exit(ending=Ending.TIMEOUT, code=-9)) == "over the time limit of 600 s"


@pytest.mark.parametrize("ending", [Ending.LOST, Ending.UNSTARTED, Ending.KILLED])
def test_a_run_that_nobody_saw_end_says_what_is_known(ending: Ending) -> None:
    assert said("ValueError: x", Exit(ending=ending, problem="the machine went down")) == "the machine went down"


def test_a_skipped_run_is_no_crash() -> None:
    assert said("Traceback", Exit(ending=Ending.SKIPPED, code=-15)) == ""


def test_the_sentence_stays_short() -> None:
    assert len(said("ValueError: " + "x" * 10_000)) <= 300
