"""What a session needs of this machine and its workspace, looked at one by one: nothing is changed.

torch is asked in a process of its own, by the Python that runs train.py.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
import pynvml
from git.exc import GitError

from engine import checkup, obstacles, past, preflight, settings
from engine.errors import AutoresearchError, UnusableWorkspace
from engine.finding import Finding
from engine.initialize import TEMPLATE
from engine.presence import engine_of
from engine.repository import FALLBACK_IDENTITY, refuse_bare
from engine.runner import environment_of_prepare
from engine.settings import Settings
from engine.words import counted
from engine.workspace import PREPARE, PYPROJECT, Workspace

ASK_SECONDS = 180
"""A first import of torch from a network disk takes its time."""
GIT_FROM = (2, 28)
"""``git init --initial-branch``."""
GIB = 2**30
SCARCE, TIGHT = 1 * GIB, 10 * GIB
"""Free bytes under which a session cannot go on, and under which a night may not end well."""
FEW_INODES = 1000
MUCH_IN_USE = 0.1
"""A share of the GPU's memory that others use."""
HOPPER = "9."
KERNELS = "kernels"
BUDGET = "FLOP_BUDGET"
"""The constant of prepare.py by which a run's budget is work, and no clock."""

PROBE = """
import importlib.metadata, json, sys
found = {}
for name in json.loads(sys.argv[1]):
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        found[name] = ""
said = {"python": sys.version.split()[0], "packages": found}
try:
    import torch
    said["torch"] = str(torch.__version__)
    said["cuda"] = str(torch.version.cuda or "")
    if torch.cuda.is_available():
        said["device"] = torch.cuda.get_device_name(0)
        said["capability"] = "{}.{}".format(*torch.cuda.get_device_capability(0))
        said["built_for"] = torch.cuda.get_arch_list()
except Exception as error:
    said["trouble"] = " ".join(f"{type(error).__name__}: {error}".split())[:200]
print("\\n" + json.dumps(said))
"""


class Probed(msgspec.Struct, frozen=True):
    """What the workspace's Python says of itself."""

    python: str
    packages: dict[str, str]
    """Version by name; empty for one that is not installed."""
    torch: str = ""
    device: str = ""
    capability: str = ""
    cuda: str = ""
    """That torch was built with; empty for a build that knows only the CPU."""
    built_for: tuple[str, ...] = ()
    """sm_90, compute_120, …: the GPUs whose code the build holds."""
    trouble: str = ""


def examine(
    workspace: Workspace, chosen: Settings | None = None, *, wants_gpu: bool | None = None
) -> Iterator[Finding]:
    """The findings, one after the other; some take seconds. ``chosen`` and ``wants_gpu``: of a session to be begun."""
    yield from _looked("git", lambda: _git(workspace))
    has_session = preflight.has_session(workspace) and not _is_anothers(workspace)
    of_session = _looked("session", lambda: _session(workspace, has_session, is_to_begin=chosen is not None))
    yield from of_session
    if has_session:
        told = {each.said for each in of_session}
        for name, look in checkup.looks(workspace):
            yield from (each for each in _looked(name, look) if each.said not in told)
    is_known = True
    if chosen is None:
        try:
            chosen = settings.load(workspace)
        except AutoresearchError as error:
            if str(error) not in [each.said for each in of_session]:
                yield Finding("settings", False, str(error))
            chosen, is_known = Settings(), False
    known = chosen
    yield from _looked("disk", lambda: _disk(workspace))
    if is_known:
        yield from _looked("uv", lambda: _uv(known))
    wants = _wants_gpu(workspace) if wants_gpu is None else wants_gpu
    yield from _looked("GPU", lambda: _gpu(wants, has_engine=engine_of(workspace) is not None))
    if is_known:
        yield from _looked("python", lambda: _python(workspace, known))
        yield from _looked("data", lambda: _data(workspace, known))
        yield proposer(workspace, known)
        yield from _looked("messages", lambda: checkup.messages(known))


def proposer(workspace: Workspace, chosen: Settings) -> Finding:
    """Whether the one that is chosen can work here."""
    return _looked("proposer", lambda: checkup.proposer(workspace, chosen))[0]


def _looked(name: str, look: Callable[[], Finding | list[Finding]]) -> list[Finding]:
    """Whatever a look comes upon is a finding."""
    try:
        found = look()
    except AutoresearchError as error:
        return [Finding(name, False, str(error))]
    except (OSError, ValueError, subprocess.SubprocessError, GitError) as error:
        return [Finding(name, False, f"this could not be looked at: {' '.join(str(error).split())[:200]}.")]
    return found if isinstance(found, list) else [found]


def _git(workspace: Workspace) -> Finding:
    obstacles.refuse_missing_git()
    said = _output(["git", "--version"])
    version = tuple(int(each) for each in re.findall(r"\d+", said)[:2])
    if version < GIT_FROM:
        wanted = ".".join(map(str, GIT_FROM))
        return Finding("git", False, f"{said} is too old.", f"install {wanted} or newer.")
    place = next(each for each in (workspace.root, *workspace.root.parents) if each.is_dir())
    identity = _output(["git", "-C", str(place), "var", "GIT_COMMITTER_IDENT"])
    if not identity:
        name = "{} <{}>".format(*FALLBACK_IDENTITY)
        remedy = "`git config --global user.name …` and `user.email …` give them yours."
        return Finding("git", None, f"{said}; it knows no name, so that commits are made by {name}.", remedy)
    return Finding("git", True, f"{said}, commits by {identity.partition('>')[0]}>")


def _output(command: list[str]) -> str:
    """What a command prints; empty where it fails."""
    environment = os.environ | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=ASK_SECONDS, check=False
    )
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""


def _is_anothers(workspace: Workspace) -> bool:
    """Whether it is another tool that has a session here; they have branches of the same names."""
    return past.file_in(workspace.root) not in (None, workspace.ledger) and not workspace.benchmark.exists()


def _session(workspace: Workspace, has_session: bool, *, is_to_begin: bool) -> Finding:
    if not has_session:
        refuse_bare(workspace.root)
        if (file := past.file_in(workspace.root)) is not None:
            said = f"{file} is another tool's."
            return Finding("session", None, said, f"`autoresearch-tui watch {workspace.quoted}` shows it.")
        if not workspace.root.is_dir():
            remedy = f"name another, or `autoresearch-tui {workspace.quoted}` begins a session there."
            return Finding(
                "session", None if is_to_begin else False, f"there is no directory {workspace.root}.", remedy
            )
        said = f"none was begun in {workspace.root}."
        return Finding("session", None, said, f"`autoresearch-tui {workspace.quoted}` begins one.")
    _, repository = preflight.inspect_files(workspace)
    return Finding("session", True, f"on {repository.branch()}, with all that it needs")


def _disk(workspace: Workspace) -> Finding:
    place = next(each for each in (workspace.root, *workspace.root.parents) if each.is_dir())
    free, files = shutil.disk_usage(place).free, os.statvfs(place)
    said = f"{free / GIB:,.1f} GiB free at {place}"
    if files.f_files and files.f_favail < FEW_INODES:
        return Finding("disk", False, f"{said}, but room for {files.f_favail} more files only.", "delete some files.")
    if free < TIGHT:
        remedy = "free some: data and packages of a GPU session take about 8 GiB, a night's logs and diffs 1."
        return Finding("disk", None if free >= SCARCE else False, f"{said}.", remedy)
    return Finding("disk", True, said)


def _uv(chosen: Settings) -> list[Finding]:
    if chosen.run.python != "uv":
        return []
    obstacles.refuse_missing_uv(chosen)
    return [Finding("uv", True, _output(["uv", "--version"]) or "it is on PATH")]


def _wants_gpu(workspace: Workspace) -> bool | None:
    """Whether runs are bounded by a clock, so that a CPU would come nowhere; None where prepare.py doesn't say."""
    try:
        found = re.search(rf"^{BUDGET}\s*=\s*(\S+)", workspace.prepare.read_text("utf-8", "replace"), re.MULTILINE)
    except OSError:
        return None
    return found[1] == "None" if found else None


def _gpu(wants: bool | None, *, has_engine: bool) -> Finding:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if not wants:
            return Finding(
                "GPU", None, f"no NVIDIA GPU ({error})" + ("; this budget needs none." if wants is False else ".")
            )
        remedy = "install the NVIDIA driver (`nvidia-smi` shows whether it works), or use the demo profile on a CPU."
        return Finding("GPU", False, f"no NVIDIA GPU is found ({error}).", remedy)
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        driver, number = _text(pynvml.nvmlSystemGetDriverVersion()), pynvml.nvmlDeviceGetCount()
        name = _text(pynvml.nvmlDeviceGetName(handle))
    except pynvml.NVMLError as error:
        return Finding(
            "GPU", False, f"the GPU does not answer: {error}.", "`nvidia-smi` may say more; a reboot may help."
        )
    finally:
        pynvml.nvmlShutdown()
    said = f"{name}, {memory.total / GIB:.0f} GiB, driver {driver}"
    others = f" (the first of {number}; CUDA_VISIBLE_DEVICES chooses)" if number > 1 else ""
    if memory.used > MUCH_IN_USE * memory.total and not has_engine:
        used = f"{memory.used / GIB:.0f} GiB of it are in use by other programs."
        return Finding("GPU", None, f"{said}{others}; {used}", "`nvidia-smi` shows by which: they slow runs down.")
    return Finding("GPU", True, said + others)


def _text(found: str | bytes) -> str:
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else found


def _python(workspace: Workspace, chosen: Settings) -> list[Finding]:
    """The Python that runs train.py, its packages, and what torch can use."""
    python = sys.executable
    if chosen.run.python == "uv":
        python = str(workspace.root / ".venv" / "bin" / "python")
        if not Path(python).exists():
            said = "the workspace has no environment of its own yet."
            return [Finding("python", None, said, "`autoresearch-tui prepare` has uv make it.")]
    wanted = _packages(workspace)
    done = subprocess.run(
        [python, "-c", PROBE, json.dumps([*wanted, KERNELS])],
        cwd="/",
        env=environment_of_prepare(chosen.run),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=ASK_SECONDS,
        check=False,
    )
    try:
        probed = msgspec.json.decode(done.stdout.rstrip().rpartition(b"\n")[2], type=Probed)
    except msgspec.MsgspecError:
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]
        return [Finding("python", False, f"{python} does not work: {last}.", "make that environment anew.")]
    missing = [name for name in wanted if not probed.packages.get(name)]
    how = "`uv sync`" if chosen.run.python == "uv" else f"`{python} -m pip install …`"
    said = f"{probed.python} at {python}"
    if missing:
        found = [Finding("python", False, f"{said} lacks {', '.join(missing)}.", f"{how} installs what is missing.")]
    else:
        found = [Finding("python", True, f"{said}, {counted(len(wanted), 'package')} of {PYPROJECT}")]
    return [*found, *_torch(probed, how)]


def _torch(probed: Probed, how: str) -> list[Finding]:
    if not probed.torch:
        is_missing = "torch" in probed.packages and not probed.packages["torch"]
        return [] if is_missing else [Finding("torch", False, f"{probed.trouble}.", f"{how} installs it anew.")]
    if probed.device:
        said = f"{probed.torch} on {probed.device} (compute capability {probed.capability})"
        if not runs_on(probed.capability, probed.built_for):
            remedy = f"{how} a build that knows this GPU."
            return [Finding("torch", False, f"{said}, but it is built for {', '.join(probed.built_for)}.", remedy)]
        return [Finding("torch", True, said), *_attention(probed)]
    if has_gpu():
        if not probed.cuda:
            remedy = f"{how} a CUDA build of torch."
            return [Finding("torch", False, f"{probed.torch} is built for the CPU, and there is a GPU.", remedy)]
        remedy = f"{how} a CUDA build of torch that this driver can run."
        return [Finding("torch", False, f"{probed.torch} cannot use the GPU{_because(probed)}.", remedy)]
    return [Finding("torch", True, f"{probed.torch} on the CPU")]


def runs_on(capability: str, built_for: Iterable[str]) -> bool:
    """Whether a build of torch holds code for a GPU: of its own generation, or such as any later one compiles."""
    major, minor = (int(each) for each in capability.split("."))
    for each in built_for:
        kind, _, number = each.partition("_")
        if not (digits := re.match(r"\d+", number)):
            continue
        theirs = divmod(int(digits[0]), 10)
        if theirs <= (major, minor) and (kind == "compute" or theirs[0] == major):
            return True
    return not any(built_for)


def _attention(probed: Probed) -> list[Finding]:
    """The kernel of Flash Attention 3, which only a Hopper card runs."""
    if not probed.capability.startswith(HOPPER):
        return []
    if version := probed.packages.get(KERNELS):
        return [Finding("attention", True, f"Flash Attention 3, by {KERNELS} {version}; its first use downloads it")]
    remedy = "`uv sync --extra hopper` installs it."
    said = f"{KERNELS} is not installed: torch's own attention is used, and Flash Attention 3 is faster."
    return [Finding("attention", None, said, remedy)]


def _because(probed: Probed) -> str:
    return f": {probed.trouble}" if probed.trouble else ""


def has_gpu() -> bool:
    """Whether there is an NVIDIA GPU that could be used."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return False
    pynvml.nvmlShutdown()
    return True


def _packages(workspace: Workspace) -> list[str]:
    """What pyproject.toml says that train.py may use; the template's where there is none."""
    path = workspace.pyproject if workspace.pyproject.is_file() else TEMPLATE / PYPROJECT
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnusableWorkspace(f"{path} is not usable: {error}.") from None
    project = table.get("project")
    wanted = project.get("dependencies") if isinstance(project, dict) else None
    names = (re.match(r"[A-Za-z0-9._-]+", each.strip()) for each in wanted or [] if isinstance(each, str))
    return [name[0] for name in names if name]


def _data(workspace: Workspace, chosen: Settings) -> Finding:
    if not workspace.prepare.is_file():
        return Finding("data", None, "prepared once a session is begun.")
    if chosen.run.python == "uv" and not (workspace.root / ".venv").exists():
        return Finding(
            "data", None, "not looked at before there is an environment.", "`autoresearch-tui prepare` makes both."
        )
    if preflight.CHECK not in workspace.prepare.read_text("utf-8", "replace"):
        return Finding("data", None, f"this {PREPARE} cannot be asked ({preflight.CHECK}).")
    if lack := preflight.what_data_lacks(workspace, chosen):
        return Finding("data", False, lack if lack.endswith(".") else f"{lack}.")
    return Finding("data", True, f"data and tokenizer are there, {PREPARE} says")
