"""Tests of the template. numpy's BLAS gets one thread: two that wait for each other on a busy core are slow."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is first imported
