"""The engine's memory: its threads share it."""

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, sys, threading
from engine import allocator
libc = ctypes.CDLL(None)
if not hasattr(libc, "mallopt"):
    sys.exit(3)
if "shared" in sys.argv:
    allocator.share_one_arena()
kept = []
together = threading.Barrier(4)
def work():
    together.wait()
    kept.append(bytes(100_000))
    together.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.malloc_stats()
"""


def arenas(*arguments: str) -> int:
    ended = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=False)
    if ended.returncode == 3:
        pytest.skip("this C library has no arenas")
    assert ended.returncode == 0, ended.stderr
    return ended.stderr.count("Arena ")


def test_threads_share_one_arena() -> None:
    assert arenas("shared") == 1 < arenas()
