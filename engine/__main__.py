"""The detached engine's process: ``python -m engine DIR [--experiments N]``; what it says goes to engine.log."""

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
    options = parser.parse_args()
    try:
        reason = run_engine(Workspace.at(options.directory), experiments=options.experiments)
    except AutoresearchError as error:
        print(f"{time.strftime('%F %T')} {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    print(f"{time.strftime('%F %T')} stopped: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
