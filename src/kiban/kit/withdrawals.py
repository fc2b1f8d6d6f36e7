"""Withdrawals: what an owner took back, which artifacts saw it, and so which are stale.

    <root>/withdrawals/<id>.json   what was withdrawn; never changed once there
    <root>/marks/<key>.json        beside an artifact (or a source): for each withdrawal that was looked for in it,
                                   how many of its documents are withdrawn

Artifacts never change, so what becomes of them later stands beside them. A withdrawal is recorded before anything is
searched, and a mark is replaced whole under a lock: a search that was killed is gone on with, and an artifact that
another process made meanwhile is one that has no mark yet. An artifact is stale when its mark says so or when it was
made from a stale one: that is read from the manifests each time, so that it holds for what is made later too.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from kiban.kit.files import canonical_json, digest_json, write_json
from kiban.kit.manifest import Manifest
from kiban.kit.store import Store, now

Kind = Literal["document", "owner"]
# Roles of inputs that an artifact was only compared with begin so: nothing of them is in it.
COMPARED = "against:"


@dataclass(frozen=True)
class Withdrawal:
    """One document, or everything of one owner, taken back.

    Attributes:
        kind: what `value` names: a document by its id, or an owner.
        source: the source it is of; None for an owner in every source.
        owner: of the source that a document is of, where it was known: sources of others may be called the same.
        texts: sha256 (hex) of the document's text in each version found: copies under other ids are withdrawn too.
    """

    id: str
    kind: Kind
    value: str
    source: str | None
    owner: str | None
    texts: tuple[str, ...]
    reason: str | None
    recorded: str

    def describe(self) -> str:
        of = f" of source {self.source!r}" if self.source is not None else ""
        return f"{self.kind} {self.value!r}{of}"

    def matched(self) -> dict[str, Any]:
        """What decides which documents it takes out of a corpus."""
        return {key: value for key, value in asdict(self).items() if key not in ("id", "reason", "recorded")}


def owner_key(owner: str) -> str:
    """The form in which owners are compared: widths, capitals and blanks make no difference."""
    return " ".join(unicodedata.normalize("NFKC", owner).casefold().split())


def record(
    store: Store,
    kind: Kind,
    value: str,
    *,
    source: str | None = None,
    owner: str | None = None,
    texts: Sequence[str] = (),
    reason: str | None = None,
) -> Withdrawal:
    """Record a withdrawal for good; the one that is there when it was recorded before."""
    named = {"kind": kind, "value": owner_key(value) if kind == "owner" else value, "source": source}
    if kind == "document":
        named["owner"] = owner_key(owner) if owner is not None else None
    identity = digest_json(named)[:16]
    with store.locked("withdrawals"):
        path = store.root / "withdrawals" / f"{identity}.json"
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            made = Withdrawal(identity, kind, value, source, owner, tuple(sorted(texts)), reason, now())
            write_json(path, asdict(made))
        return _read(path)


def withdrawals(store: Store) -> list[Withdrawal]:
    """Every withdrawal, oldest first."""
    found = [_read(path) for path in (store.root / "withdrawals").glob("*.json") if not path.name.startswith(".")]
    return sorted(found, key=lambda each: (each.recorded, each.id))


def _read(path: Path) -> Withdrawal:
    value = json.loads(path.read_bytes())
    return Withdrawal(**{**value, "texts": tuple(value["texts"])})


# -- marks --------------------------------------------------------------------------------------------------------


def source_key(name: str, owner: str) -> str:
    """The key of the mark of a source, as recipes and manifests name it."""
    return "source-" + digest_json([name, owner_key(owner)])


def mark(store: Store, key: str, found: Mapping[str, int]) -> None:
    """Note beside an artifact (`key`: its digest) or a source how many documents each withdrawal takes from it."""
    path = store.root / "marks" / f"{key}.json"
    path.parent.mkdir(exist_ok=True)
    with store.locked("marks"):
        before = marked(store, key)
        after = {**before, **found}
        if canonical_json(after) != canonical_json(before) or not path.exists():
            write_json(path, after)


def marked(store: Store, key: str) -> dict[str, int]:
    """Withdrawal -> documents, of the withdrawals that were looked for there."""
    try:
        found: dict[str, int] = json.loads((store.root / "marks" / f"{key}.json").read_bytes())
    except FileNotFoundError:
        return {}
    return found


def inside(manifest: Manifest) -> list[str]:
    """Digests of the artifacts that one was made from, without those it was only compared with."""
    inputs = manifest.inputs.items()
    return [ref.digest for role, ref in inputs if ref.kind != "external" and not role.startswith(COMPARED)]


# -- staleness ----------------------------------------------------------------------------------------------------


class Staleness:
    """Which artifacts of a store saw something that is withdrawn; reads each manifest once.

    Args:
        imagined: withdrawals that are not recorded, with artifact -> documents, to see what they would make stale.
    """

    def __init__(self, store: Store, imagined: Mapping[Withdrawal, Mapping[str, int]] | None = None) -> None:
        self.store, self._imagined = store, dict(imagined or {})
        self.withdrawals = {each.id: each for each in (*withdrawals(store), *self._imagined)}
        self._known: dict[str, frozenset[str]] = {}

    def of(self, digest: str) -> tuple[Withdrawal, ...]:
        """The withdrawals that make an artifact stale; none where it is not."""
        if not self.withdrawals:
            return ()
        ids = self._ids(digest)
        return tuple(each for key, each in self.withdrawals.items() if key in ids)

    def documents(self, withdrawal: Withdrawal, digest: str) -> int:
        """How many documents of the artifact itself (not of what it was made from) are withdrawn."""
        if withdrawal in self._imagined:
            return self._imagined[withdrawal].get(digest, 0)
        return marked(self.store, digest).get(withdrawal.id, 0)

    def seen_by(self, withdrawal: Withdrawal) -> list[Manifest]:
        """Every artifact that saw what was withdrawn, oldest first."""
        return [each.manifest for each in self.store.all() if withdrawal.id in self._ids(each.digest)]

    def _ids(self, digest: str) -> frozenset[str]:
        # Lineages are a handful of stages deep, so recursion is.
        if digest not in self._known:
            found = {key for key, documents in marked(self.store, digest).items() if documents}
            found |= {each.id for each in self._imagined if self._imagined[each].get(digest)}
            artifact = self.store.get(digest)
            for digest_inside in inside(artifact.manifest) if artifact else ():
                found |= self._ids(digest_inside)
            self._known[digest] = frozenset(found & self.withdrawals.keys())
        return self._known[digest]


def warn_if_stale(store: Store, digest: str, name: str, tell: Callable[[str], None]) -> bool:
    """Tell that an artifact about to be used saw something withdrawn, and what to do; returns whether it did."""
    found = Staleness(store).of(digest)
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        tell(
            f"{name} is stale: it was made from what is withdrawn ({found[0].describe()}{more}); "
            "`kiban make` with its recipe makes it again without, and `kiban corpus withdraw --list` says more"
        )
    return bool(found)
