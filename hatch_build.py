"""Puts the agent skill together in the wheel: a copy of each file that assets/skill.toml names."""

import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class SkillTemplate(BuildHookInterface[Any]):
    """An editable install has no copies: there the skill is put together from the sources themselves."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        house = Path(self.root)
        template = tomllib.loads((house / "assets" / "skill.toml").read_text("utf-8"))["template"]
        for name, source in template.items():
            build_data["force_include"][str(house / source)] = f"assets/skill/template/{name}"
