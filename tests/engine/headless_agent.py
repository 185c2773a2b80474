"""A headless agent that does what the prompt on its command line says, or why a run failed: ``behave: NAME VALUE``.

In the loop it does for each proposal what the next line of its script says (tests.engine.nights).
"""

import json
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
SCRIPT = os.environ.get("AGENT_SCRIPT", "")


def next_of_script() -> str:
    """The script's first line, which is taken out of it."""
    first, *rest = Path(SCRIPT).read_text().splitlines() or ["nothing"]
    Path(SCRIPT).write_text("".join(f"{line}\n" for line in rest))
    return first


def note(behaviour: str, text: str) -> None:
    """Write down what the agent is told, for whoever wrote the script."""
    if SCRIPT:
        with Path(f"{SCRIPT}.told").open("a") as file:
            file.write(json.dumps({"session": str(os.getpid()), "behaviour": behaviour, "text": text}) + "\n")


def edit(rate: str) -> None:
    TRAIN.write_text(re.sub(r"MATRIX_LR = .*", f"MATRIX_LR = {rate}", TRAIN.read_text()))
    print(f"\x1b[32mI raised it.\x1b[0m\n\n{NOTES}")


def slip(value: str) -> None:
    """An edit that crashes trivially."""
    with TRAIN.open("a") as file:
        file.write(f"slip_{value.replace('.', '_')}\n")


def mend() -> None:
    TRAIN.write_text(re.sub(r"^slip_.*\n", "", TRAIN.read_text(), flags=re.MULTILINE))


def behave(name: str, value: str, is_reminder: bool) -> None:
    match name:
        case "edit":
            edit(value)
        case "stdin":
            assert "prepare.py" in sys.stdin.read()
            edit(value)
        case "late" if is_reminder:
            edit(value)
        case "slip":
            edit(value)
            slip(value)
        case "mend":
            mend()
            edit(value)
        case "slip-or-mend" if "slip_" in TRAIN.read_text():
            mend()
            print("I mended it.")
        case "slip-or-mend":
            rate = f"0.{time.time_ns()}"
            edit(rate)
            slip(rate)
        case "endless":
            while True:
                print("and on and on")
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
    told = Path("context.md").read_text() if " failed (" in prompt else prompt
    if found := re.search(r"behave: ([a-z-]+) ?(\S*)", told):
        kept.write_text(f"{found[1]} {found[2]}")
    is_reminder = found is None and "That is no experiment" in prompt
    if SCRIPT and not is_reminder:
        kept.write_text(next_of_script())
    asked, _, value = kept.read_text().strip().partition(" ")
    note("reminded" if is_reminder else asked, f"{prompt}\n{Path('context.md').read_text()}")
    behave(asked, value, is_reminder)
