"""What changed between two bodies, and how two people's changes to the same version come together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from kiban.office.proposals.outputs import Change

# Entries of lists are told apart by these rather than by their place, so that one added in front changes nothing else.
_NAMES = ("key", "email")
_ABSENT = object()
UNKNOWN: Final = object()  # what two bodies were made from, where nobody knows it any more


def differences(before: Any, after: Any, path: str = "") -> list[Change]:
    """Changes from one JSON value to another, in the order of their paths; what is absent is null."""
    found: list[Change] = []
    _compare(before, after, path, found)
    return found


def merged(base: Any, current: Any, own: Any, own_paths: Collection[str] = ()) -> tuple[Any, list[Change]]:
    """Both sides' changes to `base`; where they changed the same, the current version stays and a clash says so.

    A three-way merge as version control does it, over fields instead of lines.

    Args:
        base: `UNKNOWN` makes a clash of whatever differs: nobody can tell which side changed it.
        own_paths: of clashes in which one's own change is to stay.
    """
    merge = _Merge(frozenset(own_paths))
    result = merge.of(base, current, own, "")
    return result, merge.clashes


def _compare(before: Any, after: Any, path: str, found: list[Change]) -> None:
    if before is not _ABSENT and after is not _ABSENT and _same(before, after):
        return
    one, other = _fields(before), _fields(after)
    if type(before) is type(after) and one is not None and other is not None:
        for key in dict.fromkeys((*one, *other)):
            where = f"{path}.{key}" if path else str(key)
            _compare(one.get(key, _ABSENT), other.get(key, _ABSENT), where, found)
        if list(one) != list(other) and set(one) == set(other) and isinstance(before, list):
            found.append(Change(path=f"{path}:order", before=list(one), after=list(other)))
        return
    found.append(Change(path=path, before=_shown(before), after=_shown(after)))


class _Merge:
    def __init__(self, own_paths: frozenset[str]) -> None:
        self.own_paths = own_paths
        self.clashes: list[Change] = []

    def of(self, base: Any, current: Any, own: Any, path: str) -> Any:
        if _same(own, current) or _same(own, base):
            return current
        if _same(current, base):
            return own
        sides = [{} if each is _ABSENT or each is UNKNOWN else _fields(each) for each in (base, current, own)]
        kinds = {type(each) for each in (base, current, own) if each is not _ABSENT and each is not UNKNOWN}
        if any(side is None for side in sides) or len(kinds) > 1 or current is _ABSENT or own is _ABSENT:
            self.clashes.append(Change(path=path, before=_shown(current), after=_shown(own)))
            return own if path in self.own_paths else current
        old, theirs, mine = (side or {} for side in sides)
        unsaid = UNKNOWN if base is UNKNOWN else _ABSENT
        result: dict[str, Any] = {}
        for key in dict.fromkeys((*theirs, *mine)):
            where = f"{path}.{key}" if path else str(key)
            value = self.of(old.get(key, unsaid), theirs.get(key, _ABSENT), mine.get(key, _ABSENT), where)
            if value is not _ABSENT:
                result[key] = value
        return list(result.values()) if isinstance(current, list) else result


def _fields(value: Any) -> Mapping[str, Any] | None:
    """An object's fields, or a list's entries by name where each has one of its own; else None."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        for name in _NAMES:
            keys = [entry.get(name) if isinstance(entry, dict) else None for entry in value]
            if all(isinstance(key, str) and key for key in keys) and len(set(keys)) == len(keys):
                return dict(zip((str(key) for key in keys), value, strict=True))
    return None


def _same(one: Any, other: Any) -> bool:
    # True equals 1 in Python and is not the same in JSON.
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _shown(value: Any) -> Any:
    return None if value is _ABSENT else value
