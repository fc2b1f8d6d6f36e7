"""What is counted about a source while its documents go through, and a few examples of everything that happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

# Documents of a finished corpus, and those set aside to be rewritten before they can be learnt from.
Split = Literal["train", "heldout"]
Fate = Literal["train", "heldout", "rephrase"]
FATES: tuple[Fate, ...] = ("train", "heldout", "rephrase")

EXAMPLES = 5
EXCERPT_CHARACTERS = 80
# Of documents by their characters: bucket k holds those from 2^k to 2^(k+1) - 1.
LENGTH_BUCKETS = 28


def _no_documents() -> dict[str, dict[str, int]]:
    return {fate: {"documents": 0, "characters": 0, "bytes": 0} for fate in FATES}


@dataclass
class Tally:
    """Everything counted about one source. `read` = kept + set aside + dropped, always.

    Attributes:
        kept: by fate.
        dropped: by rule.
        examples: by rule, the first EXAMPLES in reading order.
        changed: documents, or places in documents, that were changed, by kind ("email.mask", "mojibake").
        changes: by kind, the first EXAMPLES: text before and after.
        lengths: documents by length, as LENGTH_BUCKETS says, read and kept.
        files, encodings, replaced_bytes, skipped_by_reason, passed_over: about files; see `formats.events`.
    """

    read: int = 0
    kept: dict[str, dict[str, int]] = field(default_factory=_no_documents)
    dropped: dict[str, int] = field(default_factory=dict)
    dropped_bytes: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    changes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    lengths: dict[str, list[int]] = field(
        default_factory=lambda: {"read": [0] * LENGTH_BUCKETS, "kept": [0] * LENGTH_BUCKETS}
    )
    files: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("read", "skipped", "repaired", "damaged"), 0))
    encodings: dict[str, int] = field(default_factory=dict)
    replaced_bytes: int = 0
    skipped_by_reason: dict[str, int] = field(default_factory=dict)
    passed_over: dict[str, int] = field(default_factory=dict)

    def keep(self, fate: Fate, characters: int, size: int, documents: int = 1) -> None:
        """Count documents into a fate, or with negative figures out of it."""
        kept = self.kept[fate]
        kept["documents"] += documents
        kept["characters"] += characters
        kept["bytes"] += size

    def drop(self, rule: str, size: int) -> None:
        """Count a document of `size` bytes that goes."""
        add(self.dropped, rule)
        add(self.dropped_bytes, rule, size)

    def wants(self, rule: str) -> bool:
        """Whether an example of the rule would be kept."""
        return len(self.examples.get(rule, ())) < EXAMPLES

    def example(self, rule: str, identity: str, text: str, **more: Any) -> None:
        """Keep an example; `text` is shown to people, `more` says why in figures, or what it is the same as."""
        if self.wants(rule):
            self.examples.setdefault(rule, []).append({"id": identity, "text": text, "reason": rule, **more})

    def wants_change(self, kind: str) -> bool:
        """Whether an example of the change would be kept."""
        return len(self.changes.get(kind, ())) < EXAMPLES

    def change(self, kind: str, identity: str, before: str, after: str) -> None:
        """Keep an example of a change: what stood around its first place, and what does now."""
        if self.wants_change(kind):
            self.changes.setdefault(kind, []).append({"id": identity, "before": before, "after": after})

    def length(self, stage: Literal["read", "kept"], characters: int) -> None:
        self.lengths[stage][min(max(characters, 1).bit_length() - 1, LENGTH_BUCKETS - 1)] += 1

    def json(self) -> dict[str, Any]:
        return asdict(self)

    def merge(self, later: Mapping[str, Any]) -> None:
        """Take in the `json` of a tally of documents that come later."""
        for name, value in later.items():
            setattr(self, name, _merged(getattr(self, name), value))


def _merged(one: Any, other: Any) -> Any:
    if isinstance(one, dict):
        return one | {key: _merged(one[key], value) if key in one else value for key, value in other.items()}
    if isinstance(one, list) and one and isinstance(one[0], int):
        return [first + second for first, second in zip(one, other, strict=True)]
    if isinstance(one, list):
        return (one + other)[:EXAMPLES]
    return one + other


def add(counts: dict[str, int], key: str, amount: int = 1) -> None:
    counts[key] = counts.get(key, 0) + amount


def excerpt(text: str, characters: int = EXCERPT_CHARACTERS) -> str:
    """The beginning of a text on one line."""
    return " ".join(text[: 2 * characters].split())[:characters]
