"""A workspace as `init --profile demo` leaves it: the two files with their constants set, the corpus, the tokenizer.

The tokenizer is trained once for all tests; a test that wants other constants gets files of its own.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]
DEMO = tomllib.loads((ROOT / "assets" / "profiles" / "demo.toml").read_text(encoding="utf-8"))


def set_constants(source: str, constants: dict[str, Any]) -> str:
    """`source` with the values of its module-level constants replaced, comments kept. Lists become tuples."""
    for name, value in constants.items():
        literal = repr(tuple(value)) if isinstance(value, list) else repr(value)
        source, found = re.subn(
            rf"^{name} = .*?(?=  #|$)", lambda _, line=f"{name} = {literal}": line, source, flags=re.MULTILINE
        )
        assert found == 1, f"{name} is set {found} times"
    return source


class Workspace:
    """prepare.py and train.py in a folder, with the demo's constants and those given."""

    def __init__(self, folder: Path, **constants: Any) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("prepare", "train"):
            source = (ROOT / "training" / f"{name}.py").read_text(encoding="utf-8")
            own = {key: value for key, value in constants.items() if re.search(rf"^{key} = ", source, re.MULTILINE)}
            (folder / f"{name}.py").write_text(set_constants(source, DEMO[name] | own), encoding="utf-8")
            constants = {key: value for key, value in constants.items() if key not in own}
        assert not constants, f"no such constants: {sorted(constants)}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one of the two files as a person would. `environment` is added to this process's."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=os.environ | environment,
            capture_output=True,
            timeout=240,
            check=False,
        )  # as bytes: reading text would turn \r into \n
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def prepare(self) -> Any:
        """Its prepare.py as a module of its own."""
        return self.load("prepare")

    def train(self) -> Any:
        """Its train.py as a module; its `prepare` is `.prepare` of the result."""
        prepare = self.prepare()
        before = sys.modules.get("prepare")
        sys.modules["prepare"] = prepare
        try:
            module = self.load("train")
        finally:
            if before is None:
                del sys.modules["prepare"]
            else:
                sys.modules["prepare"] = before
        module.prepare = prepare  # type: ignore[attr-defined]
        return module

    def load(self, name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"{name}_of_{self.folder.name}", self.folder / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker has all of these tests: PyTorch is loaded, and the demo's tokenizer trained, once."""
    for item in items:
        if item.path.is_relative_to(ROOT / "tests" / "training"):
            item.add_marker(pytest.mark.xdist_group("training"))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Other tests run beside these, and threads that wait for each other on a busy core are slow."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The demo's workspace, ready to train. Read-only: tests share it."""
    workspace = Workspace(tmp_path_factory.mktemp("workspace") / "demo")
    shutil.copytree(ROOT / "assets" / "corpus", workspace.data, ignore=shutil.ignore_patterns("*.md"))
    done = workspace.run("prepare.py", HF_ENDPOINT="http://127.0.0.1:9")  # nothing listens there: it must need nothing
    assert done.returncode == 0, done.stderr
    return workspace


@pytest.fixture
def workspace(demo: Workspace, tmp_path: Path) -> Callable[..., Workspace]:
    """`workspace(DEPTH=4)`: a workspace of the test's own with the demo's data and other constants."""

    def make(**constants: Any) -> Workspace:
        own = Workspace(tmp_path / f"workspace{len(list(tmp_path.iterdir()))}", **constants)
        shutil.copytree(demo.data, own.data)
        return own

    return make


@pytest.fixture
def empty_workspace(tmp_path: Path) -> Callable[..., Workspace]:
    """`empty_workspace(MAX_SHARD=3)`: a workspace without data."""

    def make(**constants: Any) -> Workspace:
        return Workspace(tmp_path / f"workspace{len(list(tmp_path.iterdir()))}", **constants)

    return make
