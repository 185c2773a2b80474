"""Records sessions for the screen's tests: real workspaces, written by the engine's own writers.

A recording has its own clock, so that a picture of it is the same tomorrow.
"""

import json
import math
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from engine import ledger
from engine.events import (
    CommandDone,
    EngineStarted,
    EngineStopped,
    Event,
    IdeaQueued,
    Judged,
    MessageQueued,
    Paused,
    PhaseChanged,
    ProposalFailed,
    Proposed,
    Recorded,
    RunEnded,
    RunStarted,
    Thrashing,
    Warned,
)
from engine.ledger import Config, Experiment, LedgerFile, Repeat
from engine.transcript import Said
from engine.workspace import RunFolder, Workspace

BEGIN = 1_750_000_000.0
TRAIN = """\
# The model
DEPTH = 2
ASPECT_RATIO = 32
MATRIX_LR = 0.04
EMBEDDING_LR = 0.6
WEIGHT_DECAY = 0.0
WARMUP_RATIO = 0.0
WARMDOWN_RATIO = 0.4
WINDOW_PATTERN = "SSSL"
"""
CHANGES = (
    ("MATRIX_LR", "0.04", "0.05", "a higher rate for the matrices"),
    ("WARMDOWN_RATIO", "0.4", "0.6", "cool down for longer"),
    ("WEIGHT_DECAY", "0.0", "0.1", "decay the matrices' weights"),
    ("EMBEDDING_LR", "0.6", "0.9", "a higher rate for the embeddings"),
    ("DEPTH", "2", "3", "one layer more, and so fewer steps"),
    ("WINDOW_PATTERN", '"SSSL"', '"SL"', "a long window in every other layer"),
)


@dataclass
class Recorder:
    """Plays the engine's part in a workspace of its own."""

    root: Path
    now: float = BEGIN
    steps: int = 160
    """Steps of a whole run."""
    _random: random.Random = field(default_factory=lambda: random.Random(7))

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.workspace = Workspace.at(self.root)
        self.workspace.state.mkdir(exist_ok=True)
        self.ledger = LedgerFile(self.workspace)
        self.run = 0
        self.description = ""
        self.best = 1.755
        self.train = TRAIN
        self.repeating = Repeat(run=0)

    def emit(self, event: Event) -> None:
        """As EventLog.emit, with this recording's clock, and with no other writer to mind."""
        with self.workspace.events.open("ab") as file:
            file.write(msgspec.json.encode(msgspec.structs.replace(event, at=self.now)) + b"\n")

    def open(self) -> None:
        self.ledger.open_segment(Config())
        self.emit(EngineStarted(pid=1, branch="autoresearch/demo", proposer="search", limit_seconds=600))

    def propose(self, description: str, train: str, diff: str, asi: dict[str, Any], source: str = "search") -> None:
        self.run += 1
        self.description = description
        self.emit(PhaseChanged(phase="proposing"))
        folder = self.workspace.run_folder(self.run)
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.train.write_text(train)
        folder.diff.write_text(diff)
        self.emit(Proposed(run=self.run, id=f"id{self.run}", description=description, source=source, asi=asi))
        self.emit(PhaseChanged(phase="proposed", run=self.run))

    def think(self, *said: tuple[str, str]) -> None:
        """The proposer thinks aloud: (kind, text) of each piece."""
        with self.workspace.proposing.open("ab") as file:
            for kind, text in said:
                self.now = round(self.now + 0.7, 3)
                file.write(msgspec.json.encode(Said(self.now, kind, text)) + b"\n")

    def keep_thoughts(self) -> None:
        """As Transcript.keep, once the run's folder is there."""
        self.workspace.proposing.replace(self.workspace.run_folder(self.run).transcript)

    def start(self) -> None:
        self.emit(PhaseChanged(phase="committed", run=self.run))
        self.emit(PhaseChanged(phase="running", run=self.run))
        self.emit(RunStarted(run=self.run, started=self.now, limit_seconds=600))

    def print_log(self, share: float, loss: float = 4.2, ending: str = "", folder: RunFolder | None = None) -> None:
        """The run's output up to ``share`` of its steps, as train.py writes it."""
        with (folder or self.workspace.run_folder(self.run)).log.open("ab") as file:
            file.write(b"device: cpu, 1 thread\nparameters: 0.4 M\nsequence length 256, 1,024 tokens a step\n")
            for step in range(int(self.steps * share)):
                done = 100 * (step + 1) / self.steps
                value = loss + 4.5 / (1 + step / 6)
                left = 20 * (1 - done / 100)
                file.write(
                    f"\rstep {step + 1:05d} ({done:.1f}%) | loss: {value:.6f} | lrm: 1.00 | dt: 98ms | "
                    f"tok/sec: 12,345 | mfu: 39.8% | remaining: {left:.0f}s    ".encode()
                )
            file.write(ending.encode())

    def finish(self, status: str, metric: float | None, reason: str, **more: Any) -> Experiment:
        self.now += 22
        ending = "lost" if more.get("result") == "lost" else "exited"
        self.emit(RunEnded(run=self.run, ending=ending, code=int(status == "crash"), seconds=21.4))
        self.emit(PhaseChanged(phase="measured", run=self.run))
        self.emit(Judged(run=self.run, status=status, reason=reason, metric=metric))
        self.emit(PhaseChanged(phase="judged", run=self.run))
        experiment = self.ledger.append(
            Experiment(
                run=self.run,
                commit=f"{self.run:07x}",
                metric=metric,
                metrics={"peak_memory_mb": 812.0 + self.run % 5, "mfu_percent": 39.8, "num_steps": 160.0},
                status=status,
                timestamp=int(self.now),
                seconds=21.4,
                id=f"id{self.run}",
                **more,
            )
        )
        self.emit(Recorded(run=self.run, status=status))
        self.now += 1
        self.emit(PhaseChanged(phase="idle"))
        return experiment

    def baseline(self) -> None:
        self.propose(
            "baseline", self.train, "", {"hypothesis": "train.py as it is: what the rest is measured by"}, "baseline"
        )
        self.start()
        self.print_log(1, ending=summary(self.best))
        self.finish("keep", self.best, "the first run is the baseline", description="baseline", source="baseline")

    def change(self) -> tuple[str, str, str, dict[str, Any]]:
        """(description, train.py, diff, ASI) of the next experiment."""
        name, before, after, why = CHANGES[(self.run - 1) % len(CHANGES)]
        train = self.train.replace(f"{name} = {before}", f"{name} = {after}")
        lines = self.train.splitlines()
        at = next(index for index, line in enumerate(lines) if line.startswith(f"{name} "))
        around = [f" {line}" for line in lines[max(0, at - 3) : at]]
        below = [f" {line}" for line in lines[at + 1 : at + 4]]
        where = f"{max(1, at - 2)},{len(around) + len(below) + 1}"
        diff = "\n".join(
            [
                "diff --git a/train.py b/train.py",
                "--- a/train.py",
                "+++ b/train.py",
                f"@@ -{where} +{where} @@",
                *around,
                f"-{name} = {before}",
                f"+{name} = {after}",
                *below,
            ]
        )
        asi = {
            "hypothesis": f"{why} reaches a lower val_bpb within the same work",
            "arch_change": f"{name} {before} → {after}",
        }
        return f"{name} {before} → {after}", train, diff + "\n", asi

    def experiment(self) -> None:
        """One whole turn, with a result by the recording's own dice."""
        description, train, diff, asi = self.change()
        self.propose(description, train, diff, asi)
        self.start()
        confidence = None if self.run < 3 else round(1 + self.run / 40, 2)
        if self.run % 11 == 8:
            self.print_log(0.1, ending=TRACEBACK)
            asi |= {"result": "out of memory at step 16", "next_action_hint": "halve DEVICE_BATCH_SIZE with it"}
            self.finish(
                "crash",
                None,
                "exit code 1: OutOfMemoryError",
                description=description,
                asi=asi,
                confidence=confidence,
                source="search",
            )
            return
        metric = round(self.best + self._random.gauss(0.008, 0.008), 6)
        kept = metric < self.best
        word = "lower than the incumbent's" if kept else "no lower than the incumbent's"
        asi |= {
            "result": f"val_bpb {metric:.4f}, {word}",
            "next_action_hint": "go on in this direction" if kept else "try it together with a longer warm-down",
        }
        self.print_log(1, ending=summary(metric))
        if kept:
            self.best = metric
        self.finish(
            "keep" if kept else "discard",
            metric,
            f"{metric:.4f} is {word}",
            description=description,
            asi=asi,
            confidence=confidence,
            source="search",
        )

    def repeat(self, run: int, seed: int, *, without: int | None = None, source: str = "person") -> Path:
        """One more run of ``run`` is begun; its folder."""
        number = self.workspace.run_folder(run)
        folder = number.next_repeat()
        folder.path.mkdir(parents=True)
        folder.train.write_text(number.train.read_text() + f"SEED = {seed}\n")
        self.repeating = Repeat(
            run=run,
            seed=seed,
            without=without,
            verification="1-2-1" if source == "verify" else "",
            id=f"{run}-{without}-{seed}",
        )
        what = f"run {run} again" if without is None else f"run {run} without run {without}'s change"
        path = str(folder.path.relative_to(self.workspace.runs))
        self.emit(
            Proposed(
                run=run, id=f"{run}-{without}-{seed}", description=f"{what}, seed {seed}", source=source, folder=path
            )
        )
        self.emit(PhaseChanged(phase="committed", run=run))
        self.emit(PhaseChanged(phase="running", run=run))
        self.emit(RunStarted(run=run, started=self.now, limit_seconds=600, folder=path))
        self.print_log(0.3, folder=folder)
        self.now += 8
        return folder.path

    def repeated(self, metric: float | None) -> None:
        """The repeat that is under way ends."""
        self.now += 14
        run = self.repeating.run
        self.emit(RunEnded(run=run, ending="exited", code=0, seconds=21.4))
        self.emit(PhaseChanged(phase="measured", run=run))
        self.emit(PhaseChanged(phase="judged", run=run))
        ended = msgspec.structs.replace(self.repeating, metric=metric, seconds=21.4, timestamp=int(self.now))
        self.ledger.append_repeat(ended)
        self.emit(Recorded(run=run, status="repeat"))
        self.emit(PhaseChanged(phase="recorded", run=run))
        self.emit(PhaseChanged(phase="idle"))

    def begin(self, share: float = 0.45) -> None:
        """An experiment that is under way."""
        description, train, diff, asi = self.change() if self.run else ("baseline", self.train, "", {})
        self.propose(description, train, diff, asi, "search" if self.run else "baseline")
        self.start()
        self.print_log(share)
        self.now += 20 * share + 2


def summary(metric: float) -> str:
    """What train.py prints at its end, and autoresearch.sh after it."""
    return f"""
---
val_bpb:          {metric:.6f}
training_seconds: 19.8
total_seconds:    21.4
peak_vram_mb:     0.0
mfu_percent:      39.80
total_tokens_M:   0.164
num_steps:        160
num_params_M:     0.4
depth:            2
METRIC val_bpb={metric:.6f}
METRIC peak_memory_mb=812.0
METRIC mfu_percent=39.80
"""


TRACEBACK = (
    "\nTraceback (most recent call last):\n"
    '  File "/work/demo/train.py", line 391, in <module>\n    loss.backward()\n'
    "\x1b[31mtorch.OutOfMemoryError\x1b[0m: tried to allocate 2.00 GiB\n"
)


def empty(root: Path) -> Recorder:
    """A workspace where nothing ran yet."""
    return Recorder(root)


def baseline_running(root: Path) -> Recorder:
    recorder = Recorder(root)
    recorder.open()
    recorder.begin()
    return recorder


def three(root: Path) -> Recorder:
    """A baseline and two experiments are over, the fourth run is under way."""
    return many(root, 3)


def many(root: Path, runs: int) -> Recorder:
    """``runs`` runs are over, another is under way."""
    recorder = Recorder(root)
    recorder.open()
    recorder.baseline()
    while recorder.run < runs:
        recorder.experiment()
    recorder.begin()
    return recorder


def hundred(root: Path) -> Recorder:
    return many(root, 100)


def thousands(root: Path) -> Recorder:
    """2,000 runs are over, the older ones lines of the ledger only; now and then one explodes."""
    recorder = between(root, 1)
    dice = random.Random(11)
    with recorder.workspace.ledger.open("ab") as file:
        while recorder.run < 1940:
            recorder.run += 1
            recorder.now += 23
            is_broken = recorder.run % 31 == 8
            reached = 1.62 + 0.135 * math.exp(-recorder.run / 500)
            metric = 9.7 if recorder.run % 173 == 5 else round(reached + abs(dice.gauss(0, 0.02)) - 0.001, 6)
            kept = not is_broken and metric < recorder.best
            recorder.best = metric if kept else recorder.best
            line = Experiment(
                run=recorder.run,
                metric=None if is_broken else metric,
                status="crash" if is_broken else "keep" if kept else "discard",
                description=recorder.change()[0],
                timestamp=int(recorder.now),
                seconds=21.4,
                id=f"id{recorder.run}",
            )
            file.write(ledger.encode(line) + b"\n")
    while recorder.run < 2000:
        recorder.experiment()
    recorder.begin()
    return recorder


def paused(root: Path) -> Recorder:
    recorder = Recorder(root)
    recorder.open()
    recorder.baseline()
    for _ in range(6):
        recorder.experiment()
    recorder.emit(CommandDone(id="c1", command="pause", offset=1, answer="paused after run 7"))
    recorder.emit(Paused())
    recorder.now += 60
    return recorder


def troubled(root: Path) -> Recorder:
    """Another branch was checked out while a run was under way; the run is over and cannot be judged."""
    recorder = many(root, 12)
    recorder.now += 22
    recorder.emit(RunEnded(run=recorder.run, ending="exited", code=0, seconds=21.4))
    recorder.emit(PhaseChanged(phase="measured", run=recorder.run))
    sentence = "the branch main is checked out: go back with `git switch autoresearch/demo-2026-11-23`."
    recorder.emit(Paused(reason=sentence))
    return recorder


def thrashing(root: Path) -> Recorder:
    """Nothing has been kept for so long that the engine asks for something else."""
    recorder = between(root, 7)
    recorder.emit(Thrashing(count=6))
    recorder.begin()
    return recorder


def crashed(root: Path) -> Recorder:
    """The last run crashed, and the next one is being proposed."""
    recorder = between(root, 8)
    recorder.emit(PhaseChanged(phase="proposing"))
    return recorder


def queued(root: Path) -> Recorder:
    """A run cheated, another was skipped, and two ideas of a person wait."""
    recorder = many(root, 5)
    reason = "prepare.py was changed during the run, and restored"
    recorder.finish("checks_failed", 0.0123, reason, description=recorder.description, asi={"result": reason})
    recorder.begin()
    recorder.finish(
        "discard", None, "skipped", description=recorder.description, result="skipped", asi={"result": "skipped"}
    )
    recorder.begin()
    recorder.now += 30
    for text in ("MATRIX_LR=0.05", "WARMDOWN_RATIO=0.7 EMBEDDING_LR=0.9"):
        recorder.emit(IdeaQueued(id=text, text=text))
    return recorder


def gone(root: Path) -> Recorder:
    """The engine died in the middle of a run: nothing in the files says so, only its process is missing."""
    return many(root, 12)


def stopped(root: Path) -> Recorder:
    recorder = many(root, 12)
    recorder.emit(EngineStopped(reason="asked to stop"))
    return recorder


def warned(root: Path) -> Recorder:
    recorder = many(root, 12)
    recorder.emit(Warned(message="METRIC mfu_percent=NaN is no number: \x1b]0;x\x07passed over"))
    return recorder


def verifying(root: Path) -> Recorder:
    """A verification is under way: baseline and incumbent were run again, and the incumbent is once more."""
    recorder = between(root, 22)
    best = ledger.read(recorder.workspace.ledger).segments[0].incumbent
    assert best is not None and best.metric is not None
    recorder.emit(EngineStarted(pid=2, branch="autoresearch/demo", proposer="verify", limit_seconds=600))
    for run, seed, metric in ((1, 1001, 1.7571), (best.run, 1001, best.metric + 0.002), (1, 1002, 1.7532)):
        recorder.repeat(run, seed, source="verify")
        recorder.repeated(metric)
    recorder.repeat(best.run, 1002, source="verify")
    return recorder


def repeated(root: Path) -> Recorder:
    """A person had a run repeated, which is over, and the next one runs; one repeat gave no metric."""
    recorder = between(root, 22)
    for seed, metric in ((1001, 1.7571), (1002, None)):
        recorder.repeat(1, seed)
        recorder.repeated(metric)
    return recorder


def confirmed(root: Path) -> Recorder:
    """The gain is confirmed, and one kept change is known to carry it."""
    recorder = between(root, 22)
    segment = ledger.read(recorder.workspace.ledger).segments[0]
    best = segment.incumbent
    assert best is not None and best.metric is not None
    change = next(each.run for each in segment.experiments[1:] if each.kept)
    for round_ in range(5):
        for run, without, metric in ((1, None, 1.755), (best.run, None, best.metric), (best.run, change, 1.746)):
            noise = 0.0006 * ((round_ * 7 + run) % 5 - 2)
            recorder.repeat(run, 1001 + round_, without=without, source="verify")
            recorder.repeated(round(metric + noise, 6))
    return recorder


def two_segments(root: Path) -> Recorder:
    """The budget was changed after nine runs: the second segment's baseline is worse than all of them."""
    recorder = between(root, 9)
    recorder.ledger.open_segment(Config())
    recorder.emit(Warned(message="the budget changed: a new segment begins"))
    recorder.best = 1.9
    recorder.baseline()
    while recorder.run < 15:
        recorder.experiment()
    recorder.begin()
    return recorder


def lost(root: Path) -> Recorder:
    """The last runs: kept for its simplicity, lost, failed its checks, skipped."""
    recorder = between(root, 5)
    reason = "as good, and 12 lines less: a simplification"
    recorder.begin()
    recorder.finish("keep", recorder.best, reason, description="without the value embeddings", asi={"result": reason})
    recorder.begin()
    reason = "killed from outside"
    recorder.finish("crash", None, reason, description="DEPTH 2 → 3", result="lost", asi={"result": reason})
    return recorder


SAID = (
    ("thought", "The last three changes moved learning rates, and none of them was kept. "),
    ("thought", "So the optimiser is near its optimum; what is left is the shape of the model.\n\n"),
    ("thought", "With DEPTH = 3 there are fewer steps within the same work, which cost 0.02 in run 6. A wider model "),
    ("thought", "at the same depth has the same number of steps per second as long as the matrices are small.\n"),
    ("plan", "[x] read train.py and the last results\n[>] widen the model\n[ ] write down why"),
    ("tool", "Read train.py: completed"),
    ("tool", "Read autoresearch.md: completed"),
    ("refused", "it tried to write prepare.py"),
    ("message", "prepare.py is not mine to change, so the evaluation stays as it is. Instead:\n"),
    ("message", "- ASPECT_RATIO goes from 32 to 48, which makes the model half as wide again while its depth "),
    ("message", "stays;\n- MATRIX_LR goes down with the square root of that, to 0.033.\n"),
    ("tool", "Edit train.py: completed"),
    ("wait", "429 Too Many Requests; asking again in 12 s"),
    ("message", "The edit is done. If it is too slow"),
    ("message", " by half, try 40 next"),
)


def thinking(root: Path) -> Recorder:
    """An agent thinks over the next experiment; a message waits for it; its proposals have cost something."""
    recorder = between(root, 7)
    recorder.emit(EngineStarted(pid=2, branch="autoresearch/demo", proposer="agent", limit_seconds=600))
    cost = {"seconds": 312.0, "tokens_in": 1_204_000.0, "tokens_out": 31_500.0, "dollars": 0.42}
    recorder.emit(ProposalFailed(proposer="agent", problem="the agent edited nothing: once more.", cost=cost))
    recorder.emit(MessageQueued(id="m1", text="Leave the learning rates alone, look at the shape of the model."))
    recorder.emit(PhaseChanged(phase="proposing"))
    recorder.think(*SAID)
    recorder.now += 60
    return recorder


def thought(root: Path) -> Recorder:
    """Its experiment is over: what it thought lies beside the run."""
    recorder = thinking(root)
    description, train, diff, asi = recorder.change()
    recorder.propose(description, train, diff, asi, source="agent")
    recorder.keep_thoughts()
    recorder.start()
    recorder.print_log(1, ending=summary(1.76))
    cost = {"seconds": 71.4, "tokens_in": 48_200.0, "tokens_out": 2_310.0, "dollars": 0.08}
    recorder.finish("discard", 1.76, "1.7600 is no lower", description=description, asi=asi, source="agent", cost=cost)
    recorder.begin()
    return recorder


def between(root: Path, runs: int) -> Recorder:
    """``runs`` runs are over, and nothing is under way."""
    recorder = Recorder(root)
    recorder.open()
    recorder.baseline()
    while recorder.run < runs:
        recorder.experiment()
    return recorder


def append_raw(recorder: Recorder, record: dict[str, Any]) -> None:
    """A ledger line that the engine would not write."""
    with recorder.workspace.ledger.open("a") as file:
        file.write(json.dumps(record) + "\n")
