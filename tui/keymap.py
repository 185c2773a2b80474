"""Which keys the bindings are on: their own, or those that a person gave them."""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from textual.binding import Binding, BindingType
from textual.keys import Keys, _character_to_key

from tui.configuration import UnusableConfiguration

Section = tuple[str, Sequence[BindingType]]
MODIFIERS = ("ctrl", "shift", "alt")
SIGNS = {_character_to_key(chr(code)): chr(code) for code in range(33, 127)}
"""The keys that write something, by Textual's names for them."""
KNOWN = {key.value for key in Keys} | SIGNS.keys()
SHORT = {"esc": "escape", "return": "enter", "pgup": "pageup", "pgdn": "pagedown", "del": "delete", " ": "space"}


def bindings_of(section: Iterable[BindingType]) -> list[Binding]:
    return [each for each in section if isinstance(each, Binding)]


def effective(binding: Binding, keymap: Mapping[str, str]) -> Binding:
    """The binding with the keys that it is on."""
    keys = keymap.get(binding.id or "")
    return dataclasses.replace(binding, key=keys) if keys else binding


def checked(
    wanted: Mapping[str, str], everywhere: Sequence[Binding], panes: Iterable[Section], apart: Iterable[Section]
) -> dict[str, str]:
    """A person's keys in Textual's names. ``everywhere``: what works in each of ``panes`` too; ``apart``: what works
    alone.

    Raises UnusableConfiguration for a binding or a key that does not exist, and for a key that would do two things.
    """
    sets = [list(everywhere), *([*everywhere, *bindings_of(section)] for _, section in panes)]
    sets += [bindings_of(section) for _, section in apart]
    known = list(dict.fromkeys(each.id or "" for each in chain(*sets)))
    keymap: dict[str, str] = {}
    for name, keys in wanted.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f", {near[0]} perhaps" if near else ""
            raise UnusableConfiguration(f"[keys] names a binding {name} that does not exist{hint}")
        keymap[name] = ",".join(_key(name, key.strip() or key) for key in keys.split(","))
    for each in sets:
        _check_apart(each, keymap)
    return keymap


def _check_apart(bindings: Iterable[Binding], keymap: Mapping[str, str]) -> None:
    """Raise where a key that a person gave does something else as well, which it did not before."""
    owners: dict[str, Binding] = {}
    for binding in bindings:
        for key in effective(binding, keymap).key.split(","):
            other = owners.setdefault(key, binding)
            is_new = any(key not in each.key.split(",") for each in (binding, other))
            if other is not binding and is_new:
                raise UnusableConfiguration(f"[keys] has {key} do both {other.id} and {binding.id}")


def _key(name: str, key: str) -> str:
    *modifiers, base = key.split("+") if len(key) > 1 else [key]
    base = SHORT.get(base) or (_character_to_key(base) if len(base) == 1 else base)
    exists = base in KNOWN or (len(base) == 1 and base.isprintable())
    if not exists or any(each not in MODIFIERS for each in modifiers):
        raise UnusableConfiguration(f"[keys] has {name} on {key!r}, which is no key: a, A, f5 and ctrl+a are some")
    return "+".join((*modifiers, base))
