"""Between the engine and an agent: ``python -m engine.proposers.leash HOLD GRACE DIRECTORY COMMAND…``.

Whatever an agent starts, it starts below this process, which is the subreaper of it all: children that
called setsid too. HOLD is the reading end of a pipe whose other end the engine alone has. When the agent
is over, when the engine lets go of the pipe, and when the engine is killed, nothing of it is left.
"""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from engine import processes
from engine.runner import OWN_PYTHON
from engine.supervisor import PR_SET_CHILD_SUBREAPER, end_tree, prctl, prepare_child, reap_all_but

MARK = "AUTORESEARCH_DRAFT"
"""Every process that drafts carries the path of its draft under this name in its environment."""
NOT_STARTED = 127

_ALLOWED = frozenset("HOME PATH USER LOGNAME SHELL LANG LANGUAGE TZ TMPDIR TERM".split())  # noqa: SIM905
_ALLOWED_PREFIXES = ("LC_", "XDG_")


def environment(names: list[str], draft: Path) -> dict[str, str]:
    """What an agent may see: where it finds its own settings, and the variables that the person named."""
    allowed = {
        name: value
        for name, value in os.environ.items()
        if name in _ALLOWED or name in names or name.startswith(_ALLOWED_PREFIXES)
    }
    return allowed | {MARK: str(draft)}


class Leash:
    """The engine's end of it: the command to start, and letting go."""

    def __init__(self, command: list[str], directory: Path, grace: float) -> None:
        self._inner, self._outer = os.pipe()
        self.command = [sys.executable, "-P", "-m", __name__, str(self._inner), str(grace), str(directory), *command]
        self.descriptors = (self._inner,)
        """What the started process must inherit."""
        self.own = {name: os.environ[name] for name in OWN_PYTHON if name in os.environ}
        """What the leash needs besides the agent's environment; it does not pass it on."""

    def started(self) -> None:
        """The command runs, or could not be started: its end of the pipe is its own now."""
        if self._inner >= 0:
            os.close(self._inner)
        self._inner = -1

    def let_go(self) -> None:
        """Have everything ended: SIGTERM, and SIGKILL after the grace. Returns at once."""
        self.started()
        if self._outer >= 0:
            os.close(self._outer)
        self._outer = -1


def end_all_of(draft: Path) -> tuple[int, ...]:
    """Kill what still drafts in ``draft``, though its leash is gone; returns what does not die."""
    return processes.end(lambda: _drafting_in(str(draft)))


def _drafting_in(draft: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == draft:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def main() -> None:
    """Start the agent, wait for its end or for the engine to let go, and leave nothing behind."""
    hold, grace, directory, command = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4:]
    os.set_inheritable(hold, False)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    stops: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, frame: stops.append(received))
    signal.signal(signal.SIGCHLD, lambda received, frame: None)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        agent = subprocess.Popen(
            command,
            cwd=directory,
            env={name: value for name, value in os.environ.items() if name not in OWN_PYTHON},
            start_new_session=True,
            preexec_fn=prepare_child,  # noqa: PLW1509 - this process has one thread
        )
    except OSError as error:
        print(f"{command[0]} could not be started: {error.strerror}", file=sys.stderr)
        sys.exit(NOT_STARTED)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    while agent.poll() is None and not stops:
        readable, _, _ = select.select([hold, woken], [], [])
        if woken in readable:
            os.read(woken, 4096)
            reap_all_but(agent.pid)
        if hold in readable:
            break
    end_tree(grace, agent)
    code = agent.poll()
    sys.exit(128 + signal.SIGKILL if code is None else code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
