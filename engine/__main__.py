"""The detached engine: ``python -m engine DIR [--experiments N] [--proposer P]``; what it says goes to engine.log."""

import argparse
import sys
import time
from pathlib import Path

from engine.errors import AutoresearchError
from engine.launch import run_engine
from engine.workspace import Workspace


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m engine")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--experiments", type=int)
    parser.add_argument("--proposer", default="")
    options = parser.parse_args()
    try:
        workspace = Workspace.at(options.directory)
        reason = run_engine(workspace, experiments=options.experiments, proposer=options.proposer)
    except AutoresearchError as error:
        print(f"{time.strftime('%F %T')} {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    print(f"{time.strftime('%F %T')} stopped: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
