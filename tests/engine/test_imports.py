"""What a train.py may import, as it is written."""

from pathlib import Path

import pytest

from engine.imports import violations
from training import __path__ as training_path

PYPROJECT = """
[project]
dependencies = ["numpy>=2.0,<3", "torch==2.13.0", "PyYAML", "flash_attn[x]; sys_platform == 'linux'"]
[project.optional-dependencies]
hopper = ["kernels>=0.11.7"]
[dependency-groups]
dev = ["scikit-learn", {include-group = "x"}]
[tool.uv]
dev-dependencies = ["einops"]
"""


def found(train: str, incumbent: str = "import math\n", prepare: str = "import tiktoken\n") -> tuple[str, ...]:
    return violations(train, incumbent=incumbent, prepare=prepare, pyproject=PYPROJECT)


@pytest.mark.parametrize(
    "train",
    [
        "import math, os.path\nfrom collections import deque",
        "from prepare import Budget",
        "import torch.nn.functional as F\nfrom torch import nn",
        "import numpy as np",
        "import yaml",
        "import flash_attn",
        "from kernels import get_kernel",
        "import sklearn.svm",
        "import einops",
        "import tiktoken",
        "import importlib\nimportlib.import_module('torch.nn')",
        "from . import other\nfrom .x import y",
        "def f():\n    '''Needs `pip install rich`.'''\n",
        "print('the pipe installs itself')",
        "raise RuntimeError('no kernels here: pip install kernels')",
        "import triton\nimport typing_extensions",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas",
        "import pandas  this is not Python",
        "import " + "(" * 5000,
    ],
)
def test_what_the_workspace_has_may_be_imported(train: str) -> None:
    assert found(train) == ()


@pytest.mark.parametrize(
    ("train", "name"),
    [
        ("import pandas", "pandas"),
        ("import pandas.io as p", "pandas"),
        ("from xformers.ops import x", "xformers"),
        ("def f():\n    try:\n        import apex\n    except ImportError:\n        pass", "apex"),
        ("__import__('pandas')", "pandas"),
        ("import importlib\nimportlib.import_module('pandas.io')", "pandas"),
        ("from importlib import import_module as i, import_module\nimport_module('pandas')", "pandas"),
        ("import train2", "train2"),
        ("import ensurepip", "ensurepip"),
    ],
)
def test_what_it_has_not_may_not(train: str, name: str) -> None:
    (said,) = found(train)
    assert f"imports {name}, which pyproject.toml does not name" in said


@pytest.mark.parametrize(
    "train",
    [
        "import os\nos.system('pip install pandas')",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip', 'install', 'pandas'])",
        "import subprocess\nsubprocess.check_call(('uv', 'add', 'pandas'))",
        "import os\nos.popen(f'pip3 install {1}')",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip', '--quiet', 'install', 'pandas'])",
    ],
)
def test_installing_is_refused(train: str) -> None:
    (said,) = found(train)
    assert "installs packages" in said


def test_what_the_starting_point_does_may_be_done_further() -> None:
    before = "import pandas\nimport sys\nsys.exit('pip install pandas first')"
    assert found(before + "\n# changed", incumbent=before) == ()


def test_without_a_usable_pyproject_only_what_is_there_already_may_be_imported() -> None:
    for pyproject in ("", "[project", "project = 3", "[project]\ndependencies = 3"):
        assert violations("import math", incumbent="", prepare="", pyproject=pyproject) == ()
        assert violations("import torch", incumbent="", prepare="", pyproject=pyproject)


def test_the_template_may_go_on_as_it_is_even_without_a_pyproject() -> None:
    train, prepare = ((Path(training_path[0]) / name).read_text() for name in ("train.py", "prepare.py"))
    assert violations(train, incumbent=train, prepare=prepare, pyproject="") == ()
