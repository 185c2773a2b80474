"""A headless agent that does what the prompt on its command line says: ``behave: NAME VALUE``."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

TRAIN = Path("train.py")
NOTES = '```json\n{"description": "a higher rate", "hypothesis": "it learns faster"}\n```'
MEGABYTES = 10


def edit(rate: str) -> None:
    TRAIN.write_text(re.sub(r"MATRIX_LR = .*", f"MATRIX_LR = {rate}", TRAIN.read_text()))
    print(f"\x1b[32mI raised it.\x1b[0m\n\n{NOTES}")


def behave(name: str, value: str, is_reminder: bool) -> None:
    match name:
        case "edit":
            edit(value)
        case "stdin":
            assert "prepare.py" in sys.stdin.read()
            edit(value)
        case "late" if is_reminder:
            edit(value)
        case "question":
            print("Shall I raise the learning rate?")
        case "behind":
            Path("prepare.py").unlink()
            Path("prepare.py").write_text("cheat = True\n")
            edit(value)
        case "link":
            TRAIN.unlink()
            TRAIN.symlink_to("/etc/passwd")
        case "flood":
            for _ in range(MEGABYTES):
                sys.stderr.write("hmm, a thought\n" * (1 << 16))
            edit(value)
        case "one-line":
            sys.stdout.write("x" * (MEGABYTES << 20) + "\n")
            edit(value)
        case "crash":
            edit(value)
            print("Segmentation fault (no core)", file=sys.stderr)
            os._exit(3)
        case "login":
            sys.exit("Not logged in. Please run /login")
        case "hang":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            sleeper = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
            subprocess.Popen([sys.executable, "-c", sleeper], start_new_session=True)
            print("thinking", flush=True)
            time.sleep(600)
        case "daemon":
            subprocess.Popen(["sleep", "600"], start_new_session=True)
            edit(value)


if __name__ == "__main__":
    prompt = sys.argv[1]
    kept = Path(".behaviour")
    if found := re.search(r"behave: ([a-z-]+) ?(\S*)", prompt):
        kept.write_text(f"{found[1]} {found[2]}")
    asked, _, value = kept.read_text().partition(" ")
    behave(asked, value, is_reminder=found is None)
