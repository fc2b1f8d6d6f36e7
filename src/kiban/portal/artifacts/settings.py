"""Settings and figures of manifests as people read them: bounded, and without the folders of the machine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kiban.kit.text import visible_text

MOST_ENTRIES = 400
MOST_CHARACTERS = 500
MOST_DEPTH = 8
# A text that is a path, which may hold spaces; and paths within a text: absolute ones, from the home or a folder above,
# on a drive, or a file's address.
_PATH = re.compile(r"(?:file://|~|\.{1,2})?/[^\n]*/")
_FOLDERS = re.compile(r"(?:file://[^\s/]*/|(?<![\w/:.])(?:~|\.{1,2})?/|\b[A-Za-z]:\\)(?:[^\s/\\\"',;]+[/\\])+")


@dataclass(frozen=True)
class Entry:
    """`value` of a leaf; a mapping or list has `children` instead, of which `left_out` are not here."""

    name: str
    value: str | None
    children: tuple[Entry, ...] = ()
    left_out: int = 0


def tree_of(given: Mapping[str, Any]) -> Entry:
    """Nested settings as nested entries, `MOST_ENTRIES` of them at most."""
    return _entry("", given, [MOST_ENTRIES], 0)


def _entry(name: str, value: Any, left: list[int], depth: int) -> Entry:
    left[0] -= 1
    parts = _parts(value)
    if not parts or depth == MOST_DEPTH or (all(not _parts(each) for _name, each in parts) and isinstance(value, list)):
        return Entry(plain(name), written(value))
    children = []
    for key, part in parts:
        if left[0] <= 0:
            break
        children.append(_entry(key, part, left, depth + 1))
    return Entry(plain(name), None, tuple(children), len(parts) - len(children))


def _parts(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(str(key), part) for key, part in value.items()]
    return [(str(place), part) for place, part in enumerate(value, 1)] if isinstance(value, list | tuple) else []


def written(value: Any) -> str:
    """A value in words, cut where it is long."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, list | tuple):
        return plain(", ".join(written(each) for each in value[:MOST_ENTRIES])) or "[]"
    if isinstance(value, Mapping):
        return "{…}" if value else "{}"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float) and value.is_integer() and abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def plain(text: str) -> str:
    """Without folders, control characters and what is too much."""
    text = text[: 4 * MOST_CHARACTERS]
    whole = _PATH.match(text)
    text = visible_text(f"…/{text[whole.end() :]}" if whole is not None else _FOLDERS.sub("…/", text))
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"


@dataclass(frozen=True)
class Difference:
    """One setting of two artifacts; None where one does not have it."""

    name: str
    one: str | None
    other: str | None


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[Difference]:
    """The settings that are not the same, `MOST_ENTRIES` of them at most."""
    ones, others = dict(_leaves(one, "", 0)), dict(_leaves(other, "", 0))
    found = []
    for name in dict.fromkeys((*ones, *others)):
        if name not in ones or name not in others or ones[name] != others[name]:
            found.append(Difference(plain(name), _written(ones, name), _written(others, name)))
            if len(found) == MOST_ENTRIES:
                break
    return found


def _written(leaves: Mapping[str, Any], name: str) -> str | None:
    return written(leaves[name]) if name in leaves else None


def _leaves(value: Mapping[str, Any], before: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, part in value.items():
        if isinstance(part, Mapping) and part and depth < MOST_DEPTH:
            yield from _leaves(part, f"{before}{key}.", depth + 1)
        else:
            yield f"{before}{key}", part
