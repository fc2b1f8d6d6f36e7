"""Facts: values with the artifact, file and field that each was read from. A card holds nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from kiban.kit.config import StrictModel
from kiban.kit.store import Artifact

Operation = Literal["read", "sum", "difference", "max", "ratio"]
Missing = Literal["not_recorded", "not_measured", "not_priced"]


class Ref(StrictModel):
    """A field of a file of an artifact; `pointer` is a JSON Pointer (RFC 6901)."""

    artifact: str
    file: str
    pointer: str


class Fact(StrictModel):
    """A value and where it is from.

    Attributes:
        value: text or number; None when it is missing.
        unit: of a number: "tokens", "s", "bytes", …
        refs: the one field that was read, or the operands of `operation`, in order.
        missing: why there is no value: no artifact records it, or it was deliberately not measured.
        reason: what the artifact says about why it was not measured.
    """

    value: str | int | float | bool | None
    unit: str | None = None
    operation: Operation = "read"
    refs: tuple[Ref, ...] = ()
    missing: Missing | None = None
    reason: str | None = None

    @property
    def number(self) -> float | None:
        """The value where it is a number."""
        return None if isinstance(self.value, str | bool | None) else self.value

    def __bool__(self) -> bool:
        return self.missing is None


class Facts:
    """Reads facts from the artifacts of a card, by role."""

    def __init__(self, artifacts: Mapping[str, Artifact]) -> None:
        self.artifacts = artifacts
        self._files: dict[tuple[str, str], Any] = {}

    def read(self, role: str, *keys: str | int, unit: str | None = None, file: str = "manifest.json") -> Fact:
        """The fact at `keys` in a JSON file of the artifact that plays `role`."""
        if role not in self.artifacts:
            return Fact(value=None, unit=unit, missing="not_recorded")
        ref = Ref(artifact=self.artifacts[role].digest, file=file, pointer=pointer(keys))
        tree = self._json(role, file)
        value = follow(tree, keys)
        if value is not None and not isinstance(value, Mapping | list):
            return Fact(value=value, unit=unit, refs=(ref,))
        for end in range(len(keys), -1, -1):
            around = follow(tree, keys[:end])
            if isinstance(around, Mapping) and around.get("status") == "not measured":
                return Fact(value=None, unit=unit, refs=(ref,), missing="not_measured", reason=around.get("reason"))
        return Fact(value=None, unit=unit, refs=(ref,), missing="not_recorded")

    def children(
        self, role: str, *keys: str | int, unit: str | None = None, file: str = "manifest.json"
    ) -> dict[str, Fact]:
        """The plain values of the JSON object at `keys`, by key, in the order of the file."""
        found = self.tree(role, *keys, file=file)
        if not isinstance(found, Mapping):
            return {}
        return {
            key: self.read(role, *keys, key, unit=unit, file=file)
            for key, value in found.items()
            if not isinstance(value, Mapping | list)
        }

    def tree(self, role: str, *keys: str | int, file: str = "manifest.json") -> Any:
        """The JSON value at `keys`, or None; for walking, not for showing: what is shown is a Fact."""
        return follow(self._json(role, file), keys) if role in self.artifacts else None

    def _json(self, role: str, file: str) -> Any:
        key = (role, file)
        if key not in self._files:
            path = self.artifacts[role].path / file
            self._files[key] = json.loads(path.read_bytes()) if path.is_file() else None
        return self._files[key]


def total(facts: Sequence[Fact], *, operation: Literal["sum", "difference", "max"] = "sum") -> Fact:
    """The sum (or first less the others, or greatest) of numbers of one unit; missing when one of them is."""
    refs = tuple(ref for fact in facts for ref in fact.refs)
    unit = facts[0].unit if facts else None
    values = [fact.number for fact in facts]
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return Fact(value=None, unit=unit, operation=operation, refs=refs, missing="not_recorded")
    return Fact(value=OPERATIONS[operation](known), unit=unit, operation=operation, refs=refs)


def ratio(above: Fact, below: Fact, unit: str) -> Fact:
    """`above` / `below`; missing when one is, or `below` is zero."""
    refs = (*above.refs, *below.refs)
    if above.number is None or not below.number:
        return Fact(value=None, unit=unit, operation="ratio", refs=refs, missing="not_recorded")
    return Fact(value=OPERATIONS["ratio"]([above.number, below.number]), unit=unit, operation="ratio", refs=refs)


# How a computed fact follows from the values of its refs; whoever checks a card computes the same.
OPERATIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "read": lambda values: values[0],
    "sum": lambda values: round(sum(values), 6),
    "difference": lambda values: round(values[0] - sum(values[1:]), 6),
    "max": max,
    "ratio": lambda values: values[0] / values[1],
}


def follow(tree: Any, keys: Sequence[str | int]) -> Any:
    for key in keys:
        if isinstance(tree, Mapping):
            tree = tree.get(str(key))
        elif isinstance(tree, list) and isinstance(key, int) and key < len(tree):
            tree = tree[key]
        else:
            return None
    return tree


def pointer(keys: Sequence[str | int]) -> str:
    """JSON Pointer (RFC 6901) of a path of keys."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)
