"""What a person has set up for every session: config.toml in the directory for that, ~/.config as a rule.

Here it is only read; whether a theme or a key exists, the screen knows (tui/keymap.py).
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import platformdirs

from engine.errors import AutoresearchError

PROGRAM = "autoresearch-tui"


class UnusableConfiguration(AutoresearchError):  # noqa: N818
    """config.toml cannot be used as it is."""

    exit_code = 2

    def __init__(self, problem: str) -> None:
        super().__init__(f"{path()} is not usable: {problem.rstrip('.')}.")


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of config.toml."""

    theme: str = ""
    """Empty: what the terminal can show."""
    ascii: bool = False
    """Frames, marks and bars in ASCII."""
    mouse: bool | None = None
    """None: on, but over SSH off."""
    keys: dict[str, str | dict[str, str]] = {}
    """What a binding is on, by its id: "session.pause" = "P", or session.pause = "P"."""

    @property
    def keymap(self) -> dict[str, str]:
        """The keys by the whole ids of their bindings."""
        flat: dict[str, str] = {}
        for name, value in self.keys.items():
            flat |= {name: value} if isinstance(value, str) else {f"{name}.{rest}": key for rest, key in value.items()}
        return flat


def path() -> Path:
    return Path(platformdirs.user_config_dir(PROGRAM, appauthor=False)) / "config.toml"


def load() -> Configuration:
    """What is set up; the defaults where nothing is. Raises UnusableConfiguration."""
    try:
        return msgspec.toml.decode(path().read_bytes(), type=Configuration)
    except (FileNotFoundError, NotADirectoryError):
        return Configuration()
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnusableConfiguration(str(error)) from error
    except OSError as error:
        raise UnusableConfiguration(error.strerror or str(error)) from error


def wants_mouse(configuration: Configuration, environment: Mapping[str, str]) -> bool:
    """Over SSH the mouse belongs to the terminal, for marking and copying."""
    if configuration.mouse is not None:
        return configuration.mouse
    return not (environment.get("SSH_CONNECTION") or environment.get("SSH_TTY"))


def wants_ascii(configuration: Configuration, encoding: str) -> bool:
    """A terminal that takes no UTF-8 gets nothing that it would show as ``?``."""
    return configuration.ascii or not encoding.lower().startswith("utf")
