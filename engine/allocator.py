"""How the C library hands out memory in the engine, which lives for days and works in threads, one after another."""

import ctypes

ARENA_MAX = -8
MMAP_THRESHOLD = -3
LARGE = 16 << 10
"""A block from here on goes back to the system when it is freed. glibc begins with 128 KB, and lets it grow."""


def share_one_arena() -> None:
    """Let the threads that begin from now on share one arena. Does nothing where the C library is not glibc.

    glibc gives each thread an arena of its own, and each grows to what its thread needed most.
    """
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(ARENA_MAX, 1)
        mallopt(MMAP_THRESHOLD, LARGE)


def give_back() -> None:
    """Give the system back what is free between the blocks in use: an experiment's work leaves holes."""
    if (malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        malloc_trim(0)
