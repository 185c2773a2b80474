"""Sends messages to a person who is away, through apprise (an extra), to URLs that hold secrets.

The URLs are the person's and belong in no file that is committed: they come from an environment variable or a file of
the person's configuration. What goes wrong is said without them.
"""

import importlib.util
import logging
import os
from contextlib import suppress
from pathlib import Path

import platformdirs

from engine.files import read_regular
from engine.settings import NotifySettings
from engine.words import counted

INSTALL = "`pip install 'autoresearch-tui[notify]'` brings it"


def urls_file() -> Path:
    """Where the URLs are, one a line, if the environment has none."""
    return Path(platformdirs.user_config_dir("autoresearch-tui", appauthor=False)) / "notify"


def urls(settings: NotifySettings) -> list[str]:
    """Where messages go."""
    if given := os.environ.get(settings.urls, "").split():
        return given
    with suppress(OSError):
        lines = (line.strip() for line in read_regular(urls_file()).decode("utf-8", "replace").splitlines())
        return [line for line in lines if line and not line.startswith("#")]
    return []


def what_is_wrong(settings: NotifySettings) -> str:
    """Why no message can be sent, or not to all, as the rest of a sentence; empty where nothing is known against it."""
    if importlib.util.find_spec("apprise") is None:
        return f"apprise is not installed: {INSTALL}"
    found = urls(settings)
    if not found:
        return f"neither {settings.urls} nor {urls_file()} says where to: one of apprise's URLs a line"
    if wrong := [number for number, url in enumerate(found, 1) if not _is_known(url)]:
        return f"apprise does not know what to make of {_which(wrong, len(found))} in {where(settings)}"
    return ""


def send(settings: NotifySettings, title: str, body: str, kind: str = "info") -> str:
    """Send a message to all; returns what went wrong, as ``what_is_wrong`` does. ``kind``: one of apprise's. Blocks."""
    if problem := what_is_wrong(settings):
        return problem
    _be_silent()
    import apprise

    found = urls(settings)
    failed = []
    for number, url in enumerate(found, 1):
        service = apprise.Apprise()
        service.add(url)
        try:
            result = service.notify(body, title, apprise.NotifyType(kind), body_format=apprise.NotifyFormat.TEXT)
            is_sent = bool(result)
        except Exception:  # noqa: BLE001 (one of a hundred services, whose error may hold its URL)
            is_sent = False
        if not is_sent:
            failed.append(number)
    return f"{_which(failed, len(found))} in {where(settings)} takes no messages" if failed else ""


def _is_known(url: str) -> bool:
    _be_silent()
    import apprise

    return apprise.Apprise.instantiate(url, suppress_exceptions=True) is not None


def _be_silent() -> None:
    """What apprise logs holds URLs."""
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)


def _which(numbers: list[int], of: int) -> str:
    """The URLs by their place, for they are secret."""
    names = ", ".join(f"{each}" for each in numbers)
    return "the URL" if of == 1 else f"URL {names} of {counted(of, 'URL').split()[0]}"


def where(settings: NotifySettings) -> str:
    """What says where messages go."""
    return settings.urls if os.environ.get(settings.urls, "").split() else str(urls_file())


def is_open_to_others(settings: NotifySettings) -> bool:
    """Whether the file with the URLs, where it is used, can be read by other users of the machine."""
    if os.environ.get(settings.urls, "").split():
        return False
    with suppress(OSError):
        return bool(urls_file().stat().st_mode & 0o077)
    return False
