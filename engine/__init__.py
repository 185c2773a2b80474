"""Runs the autoresearch loop. Imports neither textual nor torch nor tui."""

import os

# GitPython looks for git when it is imported, and fails there; engine.obstacles says it in one sentence.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
