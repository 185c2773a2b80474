"""Runs the autoresearch loop. Imports neither textual nor torch nor tui."""
