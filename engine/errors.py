"""What the engine tells a person when it cannot go on: one sentence, and the exit code that belongs to it."""


class AutoresearchError(Exception):
    """Something a person must know; ``str(error)`` is one sentence that says what is wrong and what to do."""

    exit_code = 1


class UnusableWorkspace(AutoresearchError):  # noqa: N818
    """The workspace or an argument is not usable as it is. Nothing was changed."""

    exit_code = 2


class WorkFailed(AutoresearchError):  # noqa: N818
    """The work itself failed: the loop had to stop, a command could not finish."""
