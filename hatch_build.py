"""Puts the agent skill together in the wheel: a copy of each file that assets/skill.toml names."""

import shutil
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class SkillTemplate(BuildHookInterface[Any]):
    """An editable install has no copies: there the skill is put together from the sources themselves."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        house = Path(self.root)
        self._copies = tempfile.TemporaryDirectory()  # a file that is included from its own place would leave it
        for name, source in tomllib.loads((house / "assets" / "skill.toml").read_text("utf-8"))["template"].items():
            copy = shutil.copy(house / source, Path(self._copies.name) / name)
            build_data["force_include"][str(copy)] = f"assets/skill/template/{name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self._copies.cleanup()
