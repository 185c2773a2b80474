"""What each proposer finds in 30 real demo experiments, beside the spread of repeats.

``python -m tests.benchmarks search`` runs, on two cores in about 45 minutes:

- the baseline 5 times as it is, and 5 times with another SEED: what chance alone does to val_bpb;
- a demo session of 30 experiments for the search (TPE on one to three knobs at a time, from the incumbent);
- the same for uniform random search (every knob drawn anew within a factor around the incumbent's value);
- the same for CMA-ES;
- the same for the hybrid: TPE, and on 30% of the turns a scripted stand-in for a language model (stand_in.py) that is
  asked over HTTP by the proposer ``chat``, as a real one is.

All start from the same hand-tuned defaults. The demo's budget is a fixed number of FLOPs, so a run's result
does not depend on what else the machine is doing, and runs side by side are as good as one after the other.

Every run is written to data/demo_runs.jsonl (or --data), a line each: arm, seed, run, status, val_bpb, who proposed it,
knobs, seconds, and the loss curve as [share of the budget, training loss]. Other benchmarks fit their surrogates to it.
``--print`` runs nothing and prints the table of a data file that is there.
"""

import argparse
import contextlib
import io
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine import demo, knobs, ledger
from engine.history import History
from engine.metrics import MetricScanner
from engine.workspace import Workspace
from tests.benchmarks import stand_in

DATA = Path(__file__).parent / "data" / "demo_runs.jsonl"
REPEATS = 5
CORES = 2
ENVIRONMENT = {"AUTORESEARCH_PYTHON": sys.executable}
POINTS = 50
_PROGRESS = re.compile(r"\(\s*([0-9.]+)%\).*?loss:\s*([0-9.]+)")

Record = dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """A session to run: which sampler, with which seed, and whether the stand-in has some of the turns."""

    name: str
    sampler: str
    is_hybrid: bool = False
    seed: int = 0


ARMS = {
    each.name: each
    for each in (Arm("search", "tpe"), Arm("random", "random"), Arm("cmaes", "cmaes"), Arm("hybrid", "tpe", True))
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.search")
    parser.add_argument("--experiments", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=1, help="sessions per arm")
    parser.add_argument("--arms", nargs="*", choices=ARMS, default=list(ARMS))
    parser.add_argument("--repeats", type=int, default=REPEATS, help="of the baseline, each with and without its seed")
    parser.add_argument("--data", type=Path, default=DATA, help="is written anew")
    parser.add_argument("--print", action="store_true", help="run nothing: print what --data holds")
    options, _ = parser.parse_known_args(sys.argv[2:] if sys.argv[0].endswith("__main__.py") else None)
    if options.print:
        report([json.loads(line) for line in options.data.read_text().splitlines()])
        return
    arms = [replace(ARMS[name], seed=seed) for seed in range(options.seeds) for name in options.arms]
    with tempfile.TemporaryDirectory(prefix="autoresearch-bench-") as scratch:
        template = Path(scratch) / "template"
        with contextlib.redirect_stdout(io.StringIO()):
            demo.set_up(Workspace.at(template), say=lambda _: None)
        with ThreadPoolExecutor(CORES) as pool:
            sessions = [pool.submit(session, template, arm, options.experiments) for arm in arms]
            same = [pool.submit(repeat, template, None, number) for number in range(options.repeats)]
            seeds = [pool.submit(repeat, template, 1000 + number, number) for number in range(options.repeats)]
        records = [each.result() for each in (*same, *seeds)]
        for each in sessions:
            records += each.result()
    options.data.parent.mkdir(exist_ok=True)
    options.data.write_text("".join(json.dumps(record) + "\n" for record in records))
    report(records)
    print(f"Runs: {options.data}")


def session(template: Path, arm: Arm, experiments: int) -> list[Record]:
    """Run a whole session in a copy of the template; returns its runs."""
    root = template.parent / f"{arm.name}-{arm.seed}"
    shutil.copytree(template, root, symlinks=True)
    workspace = Workspace.at(root)
    with stand_in.serving(arm.seed) as url:
        set_up(workspace, arm, url)
        program = Path(sys.executable).parent / "autoresearch-tui"
        subprocess.run(
            [program, "run", str(root), "--headless", "--experiments", str(experiments)],
            check=True,
            capture_output=True,
        )
    history = History.of(workspace)
    return [
        record(workspace, arm, each, history.train_of(each) or "") for each in ledger.read(workspace.ledger).experiments
    ]


def set_up(workspace: Workspace, arm: Arm, url: str) -> None:
    """Write the arm into autoresearch.toml; ``url``: where the stand-in answers."""
    text = workspace.settings.read_text()
    wanted = {r'sampler = "\w+"': f'sampler = "{arm.sampler}"', r"(?m)^seed = \d+": f"seed = {arm.seed}"}
    if arm.is_hybrid:
        wanted |= {
            r'(?m)^proposer = "search"': 'proposer = "hybrid"',
            r'base_url = "[^"]*"': f'base_url = "{url}"',
            r'model = ""': 'model = "stand-in"',
            r'key = "\w+"': 'key = ""',
        }
    for pattern, new in wanted.items():
        text = re.sub(pattern, new, text)
    workspace.settings.write_text(text)


def record(workspace: Workspace, arm: Arm, experiment: ledger.Experiment, train: str) -> Record:
    log = workspace.run_folder(experiment.folder_number).log.read_text(errors="replace")
    return {
        "arm": arm.name,
        "seed": arm.seed,
        "run": experiment.run,
        "status": experiment.status,
        "val_bpb": experiment.metric,
        "description": experiment.description,
        "source": experiment.source,
        "seconds": experiment.seconds,
        "knobs": knobs.read(train),
        "metrics": experiment.metrics,
        "curve": curve(log),
    }


def repeat(template: Path, seed: int | None, number: int) -> Record:
    """Run the baseline once more, with another SEED where one is given."""
    train = (template / "train.py").read_text()
    if seed is None:
        return one_run(template, "identical", number, train)
    return one_run(template, "seeds", number, knobs.replace(train, {"SEED": seed})) | {"seed": seed}


def one_run(template: Path, arm: str, number: int, train: str) -> Record:
    """Run a train.py by itself, in a copy of the template that is gone after."""
    root = template.parent / f"{arm}-{number}"
    shutil.copytree(template, root, symlinks=True)
    (root / "train.py").write_text(train)
    done = subprocess.run(["./autoresearch.sh"], cwd=root, check=False, capture_output=True, env=ENVIRONMENT)
    shutil.rmtree(root)
    scanner = MetricScanner()
    scanner.feed(done.stdout)
    return {
        "arm": arm,
        "seed": None,
        "run": number + 1,
        "status": "crash" if done.returncode else "keep",
        "val_bpb": scanner.metrics.get("val_bpb"),
        "description": "baseline" if arm in ("identical", "seeds") else f"{arm} {number}",
        "source": "baseline",
        "seconds": scanner.metrics.get("total_seconds"),
        "knobs": knobs.read(train),
        "metrics": scanner.metrics,
        "curve": curve(done.stdout.decode(errors="replace")),
    }


def curve(log: str) -> list[tuple[float, float]]:
    """[share of the budget, training loss], thinned to some dozens of points."""
    points = [(float(share) / 100, float(loss)) for share, loss in _PROGRESS.findall(log)]
    return points[:: max(1, len(points) // POINTS)]


def report(records: list[Record]) -> None:
    """Print the table."""
    heads = f"{'baseline':>11}{'best':>11}{'gain':>11}{'gain/sd':>9}{'of the model':>14}{'kept':>6}"
    print(f"{'arm':<12}{'runs':>6}{'kept':>6}{'crashed':>9}{heads}")
    spread = over_seeds(records) or over_seeds([json.loads(line) for line in DATA.read_text().splitlines()])
    for name, rows in by_session(records):
        baseline = rows[0]["val_bpb"]
        best = min(each["val_bpb"] for each in rows if each["status"] == "keep")
        kept = sum(each["status"] == "keep" for each in rows) - 1
        crashed = sum(each["status"] == "crash" for each in rows)
        models = [each for each in rows if each.get("source") == "chat"]
        print(
            f"{name:<12}{len(rows):>6}{kept:>6}{crashed:>9}{baseline:>11.6f}{best:>11.6f}"
            f"{baseline - best:>11.6f}{(baseline - best) / spread:>9.1f}"
            f"{len(models):>14}{sum(each['status'] == 'keep' for each in models):>6}"
        )
    for name, meaning in (("identical", "same seed"), ("seeds", "other seeds")):
        values = [each["val_bpb"] for each in records if each["arm"] == name]
        if len(values) > 1:
            print(
                f"baseline ×{len(values)}, {meaning}: mean {statistics.mean(values):.6f}, "
                f"sd {statistics.stdev(values):.6f}, range {max(values) - min(values):.6f}"
            )
    print(f"gain/sd: the gain in standard deviations of the baseline over seeds, {spread:.6f}.")


def over_seeds(records: list[Record]) -> float:
    """The baseline's standard deviation over seeds; 0 where it was not run with any."""
    values = [each["val_bpb"] for each in records if each["arm"] == "seeds"]
    return statistics.stdev(values) if len(values) > 1 else 0.0


def by_session(records: list[Record]) -> Iterator[tuple[str, list[Record]]]:
    names = dict.fromkeys((each["arm"], each["seed"]) for each in records if each["arm"] in ARMS)
    for arm, seed in names:
        yield f"{arm} {seed}", [each for each in records if (each["arm"], each["seed"]) == (arm, seed)]


if __name__ == "__main__":
    main()
