"""Real demo runs spread around two configurations, for a surrogate to be fitted to.

``python -m tests.benchmarks.spread --minutes 15`` draws configurations, each about half of the knobs moved by up to a
moderate step, in turn around the hand-tuned defaults and around the best configuration that a recorded session found;
runs them one at a time at the lowest priority (some 20 s of one core each); and appends each to data/spread_runs.jsonl
in the form of demo_runs.jsonl. A session's own runs lie on one path through the space: these fill in what is beside it.

A later call goes on where the file ends. Without ``--minutes`` it says only how many there are.
"""

import argparse
import contextlib
import io
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from engine import demo, knobs
from engine.knobs import Value
from engine.proposers.search import Arithmetic
from engine.proposers.space import dimensions
from engine.workspace import Workspace
from tests.benchmarks import search

DATA = search.DATA.with_name("spread_runs.jsonl")
MOVED = 0.5
"""The chance of each dimension to be moved."""
REACH = 1.0
"""How far, in the search's ordinary steps."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.spread")
    parser.add_argument("--minutes", type=float, default=0)
    options, _ = parser.parse_known_args(sys.argv[2:] if sys.argv[0].endswith("__main__.py") else None)
    if not options.minutes:
        print(f"{_count()} runs in {DATA}")
        return
    until = time.monotonic() + 60 * options.minutes
    os.nice(19)
    number = _count()
    with tempfile.TemporaryDirectory(prefix="autoresearch-spread-") as scratch:
        template = Path(scratch) / "template"
        with contextlib.redirect_stdout(io.StringIO()):
            demo.set_up(Workspace.at(template), say=lambda _: None)
        train, prepare = ((template / name).read_text() for name in ("train.py", "prepare.py"))
        while time.monotonic() < until:
            record = search.one_run(template, "spread", number, knobs.replace(train, drawn(train, prepare, number)))
            with DATA.open("a") as file:
                file.write(json.dumps(record) + "\n")
            print(f"{number}: {record['status']} {record['val_bpb']} {record['seconds']} s", flush=True)
            number += 1


def drawn(train: str, prepare: str, number: int) -> dict[str, Value]:
    """The knobs of the n-th configuration."""
    chance = random.Random(f"spread:{number}")
    centre = knobs.read(train)
    if number % 2:
        centre |= {name: value for name, value in best_known().items() if name in centre}
    moved = dict(centre)
    for dimension in dimensions(centre, frozen=("DEVICE_BATCH_SIZE",)):
        value = dimension.get(centre)
        if value is not None and chance.random() < MOVED:
            scalar = dimension.kind.decode(dimension.kind.range(value, REACH).draw(chance))
            moved[dimension.knob] = dimension.put(moved, scalar)
    return Arithmetic.of(prepare).mend(moved)


def _count() -> int:
    return len(DATA.read_text().splitlines()) if DATA.exists() else 0


def best_known() -> dict[str, Value]:
    """The knobs of the lowest val_bpb among the recorded sessions."""
    records: list[dict[str, Any]] = [json.loads(line) for line in search.DATA.read_text().splitlines()]
    best = min((each for each in records if each["val_bpb"] is not None), key=lambda each: float(each["val_bpb"]))
    return {name: tuple(value) if isinstance(value, list) else value for name, value in best["knobs"].items()}


if __name__ == "__main__":
    main()
