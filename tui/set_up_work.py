"""What the set-up screen has done beside it, in threads: the doctor's examination, and the beginning itself."""

import threading
from collections.abc import Callable, Iterator

from engine import beginning, doctor
from engine.beginning import Plan
from engine.errors import AutoresearchError
from engine.finding import Finding
from engine.workspace import Workspace
from tui.doctor import terminal_findings

PROPOSER = "proposer"


class Examination:
    """Findings, as they come in. What depends on the proposer alone is looked at anew by itself."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = threading.Lock()
        self._plan = Plan("", "")
        self._findings: dict[str, Finding] = {}
        self._busy = 0

    @property
    def findings(self) -> list[Finding]:
        """What is known by now."""
        with self._lock:
            return list(self._findings.values())

    @property
    def is_under_way(self) -> bool:
        return self._busy > 0

    def want(self, plan: Plan) -> None:
        """Look what these choices need, if they are others than those that were looked at last."""
        before, self._plan = self._plan, plan
        if plan == before:
            return
        everything = before.profile != plan.profile
        with self._lock:
            self._busy += 1
            if everything:
                self._findings.clear()
        threading.Thread(target=self._look, args=(plan, everything), daemon=True).start()

    def _look(self, plan: Plan, everything: bool) -> None:
        try:
            if everything:
                for finding in self._of_the_machine(plan):
                    self._take(finding, plan.profile == self._plan.profile)
            self._take(self._of_the_proposer(plan), plan == self._plan)
        finally:
            with self._lock:
                self._busy -= 1

    def _take(self, finding: Finding, is_wanted: bool) -> None:
        if is_wanted:
            with self._lock:
                self._findings[finding.name] = finding

    def _of_the_machine(self, plan: Plan) -> Iterator[Finding]:
        try:
            chosen = beginning.settings_of(self._workspace, Plan(plan.tag, plan.profile))
        except AutoresearchError:
            chosen = None  # the file that is there is unusable, which is a finding
        for finding in doctor.examine(self._workspace, chosen, wants_gpu=plan.profile == "gpu"):
            if finding.name != PROPOSER:
                yield finding
        yield from terminal_findings()

    def _of_the_proposer(self, plan: Plan) -> Finding:
        try:
            return doctor.proposer(self._workspace, beginning.settings_of(self._workspace, plan))
        except AutoresearchError as error:
            return Finding(PROPOSER, False, str(error))


class Beginning:
    """The session is begun. ``lines`` is what there is to say of it."""

    def __init__(self, workspace: Workspace, plan: Plan, experiments: int | None) -> None:
        self.refusal = ""
        """Why it came to nothing; empty while it did not."""
        self.has_begun = False
        """The engine runs."""
        self._whole: list[str] = []
        self._last = ""
        self._stop = threading.Event()
        self._work: Callable[[], bool] = lambda: beginning.begin(
            workspace, plan, self._tell, self._stop, experiments=experiments
        )
        self._thread = threading.Thread(target=self._run, name="beginning", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End it; what was begun stays, and can be gone on with."""
        self._stop.set()

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    @property
    def lines(self) -> list[str]:
        return [*self._whole, *([self._last] if self._last else [])]

    def _tell(self, line: str, is_whole: bool) -> None:
        self._last = "" if is_whole else line
        if is_whole:
            self._whole.append(line)

    def _run(self) -> None:
        try:
            self.has_begun = self._work()
        except AutoresearchError as error:
            self.refusal = str(error)
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            self.refusal = f"{error.strerror or error}{where}."
        except Exception as error:  # noqa: BLE001  the last net: said in the screen instead of lost with the thread
            self.refusal = f"this is a fault of the program: {type(error).__name__}: {error}."
