"""Withdrawn documents: finding them in the corpora that a store has, and keeping them out of the next one.

A corpus that is made again must not hold what was withdrawn, and must not be made again for what was withdrawn
elsewhere. So a withdrawal enters a corpus's digest when it concerns one of the recipe's sources: it names the source
or its owner, or one of its documents was found in a corpus made from that source. Where a withdrawn document turns up
in a source that nothing had said it was in (a copy of the text, an owner named by a record), the run ends, the source
is marked, and the same command makes the corpus that its digest describes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kiban.kit.errors import BadInput
from kiban.kit.files import digest_json
from kiban.kit.manifest import InputRef, Manifest
from kiban.kit.store import Artifact, Store
from kiban.kit.withdrawals import Kind, Withdrawal, inside, mark, marked, owner_key, source_key, withdrawals
from kiban.make.corpus.rights.ledger import FILE, SPLITS, Ledger

ROLE = "withdrawals"  # of the corpus's input that stands for them
RULE = "withdrawn"


@dataclass(frozen=True)
class Held:
    """A document in a corpus. It is the one of its id in its source, which is known by its name and its owner.

    Attributes:
        owner: as the document's rights say, else its source's.
    """

    source: str
    id: str
    owner: str
    source_owner: str
    sha256: str


# -- what concerns a recipe -----------------------------------------------------------------------------------------


def concerning(store: Store, sources: Iterable[tuple[str, str]]) -> tuple[Withdrawal, ...]:
    """The withdrawals that a corpus made of `sources` (name and owner each) has to leave out."""
    known = [(name, owner_key(owner), marked(store, source_key(name, owner))) for name, owner in sources]
    return tuple(
        each
        for each in withdrawals(store)
        if any(marks.get(each.id) or _names(each, name, owner) for name, owner, marks in known)
    )


def _names(withdrawal: Withdrawal, source: str, owner: str) -> bool:
    """Whether it names a source (its own name, and the key of its owner's)."""
    if withdrawal.source is not None and withdrawal.source != source:
        return False
    named = withdrawal.value if withdrawal.kind == "owner" else withdrawal.owner
    return named is None or owner_key(named) == owner


def withdrawals_input(concern: Sequence[Withdrawal]) -> dict[str, InputRef]:
    """What stands for them among the inputs of the corpus: nothing where there are none."""
    if not concern:
        return {}
    digest = digest_json(sorted((each.matched() for each in concern), key=digest_json))
    return {ROLE: InputRef(kind="external", digest=digest)}


class Withdrawn:
    """Tells which documents of a corpus being made are withdrawn.

    Args:
        store: whose withdrawals they are.
        sources: the recipe's, name and owner each.
        concern: what entered the corpus's digest (`concerning`).
    """

    def __init__(self, store: Store, sources: Iterable[tuple[str, str]], concern: Sequence[Withdrawal]) -> None:
        self._store, self._source_owners = store, dict(sources)
        self._concern = frozenset(each.id for each in concern)
        self._finder = _Finder({each.id: each for each in (*withdrawals(store), *concern)}.values())

    def by(self, source: str, identity: str, owner: str, sha256: bytes | None = None) -> Withdrawal | None:
        """The withdrawal that a document falls under, or None.

        Args:
            owner: of the document itself.
            sha256: of its text as it would stand in the shards; copies of a withdrawn text are found by it.

        Raises:
            BadInput: it falls under one that this corpus was not known to concern. The source is marked, so that the
                same command goes on without the document.
        """
        if not self._finder:
            return None
        source_owner = self._source_owners[source]
        held = Held(source, identity, owner, source_owner, sha256.hex() if sha256 else "")
        found = self._finder.find(held)
        for each in found:
            if each.id in self._concern:
                return each
        for each in found:
            mark(self._store, source_key(source, source_owner), {each.id: 1})
            raise BadInput(
                f"{identity} is withdrawn, which was not known of this source",
                where=f"source {source!r}",
                hint="run the same command again: the corpus is made without it",
            )
        return None


class _Finder:
    """Finds the withdrawals a document falls under in constant time, however many there are."""

    def __init__(self, among: Iterable[Withdrawal]) -> None:
        self.by_id: dict[str, list[Withdrawal]] = {}
        self.by_owner: dict[str, list[Withdrawal]] = {}
        self.by_text: dict[str, list[Withdrawal]] = {}
        for each in among:
            if each.kind == "owner":
                self.by_owner.setdefault(owner_key(each.value), []).append(each)
            else:
                self.by_id.setdefault(each.value, []).append(each)
                for text in each.texts:
                    self.by_text.setdefault(text, []).append(each)
        self._keys: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self.by_id or self.by_owner)

    def find(self, held: Held) -> list[Withdrawal]:
        found = list(self.by_text.get(held.sha256, ()))
        if held.id in self.by_id:
            source_owner = self.key(held.source_owner)
            found += (each for each in self.by_id[held.id] if _names(each, held.source, source_owner))
        if self.by_owner:
            same = self.by_owner.get(self.key(held.owner), ())
            found += (each for each in same if each.source is None or each.source == held.source)
        return list({each.id: each for each in found}.values())

    def key(self, owner: str) -> str:
        if owner not in self._keys:
            if len(self._keys) > 65_536:
                self._keys.clear()
            self._keys[owner] = owner_key(owner)
        return self._keys[owner]


# -- looking into corpora -------------------------------------------------------------------------------------------


def search_corpora(store: Store) -> None:
    """Look for every withdrawal in every artifact that was not yet searched for it, and mark what is found.

    Cheap where there is nothing new: a corpus is read once for all withdrawals, and only its columns of ids.
    """
    known = {each.id: each for each in withdrawals(store)}
    if not known:
        return
    for artifact in _searchable(store):
        missing = [each for key, each in known.items() if key not in marked(store, artifact.digest)]
        if missing:
            _search(store, artifact, missing)


def count_in_corpora(store: Store, withdrawal: Withdrawal) -> dict[str, int]:
    """Artifact -> documents that `withdrawal` would take from it; nothing is marked."""
    finder = _Finder([withdrawal])
    counts = {
        artifact.digest: sum(bool(finder.find(held)) for held in _look(artifact, finder))
        for artifact in _searchable(store)
    }
    return {digest: count for digest, count in counts.items() if count}


def _searchable(store: Store) -> Iterator[Artifact]:
    """What holds documents itself, or is the work of an owner: all else is made from these."""
    return (each for each in store.all() if each.kind == "corpus" or each.manifest.stage == "base")


def _look(artifact: Artifact, finder: _Finder) -> Iterator[Held]:
    return documents(artifact, finder) if artifact.kind == "corpus" else _base(artifact)


def _search(store: Store, artifact: Artifact, missing: Sequence[Withdrawal]) -> None:
    finder = _Finder(missing)
    counts = dict.fromkeys((each.id for each in missing), 0)
    sources: dict[str, dict[str, int]] = {}
    for held in _look(artifact, finder):
        for each in finder.find(held):
            counts[each.id] += 1
            sources.setdefault(held.source, {})[each.id] = 1
    owners = {party.source: party.owner for party in artifact.manifest.parties}
    for source, found in sources.items():
        if source in owners:
            mark(store, source_key(source, owners[source]), found)
    mark(store, artifact.digest, counts)  # last: it says that all of this is done


def _base(artifact: Artifact) -> Iterator[Held]:
    """A base model as the one document of its owner: nothing smaller of it can be withdrawn."""
    for party in artifact.manifest.parties:
        yield Held(party.source, "", party.owner, party.owner, "")


def documents(artifact: Artifact, finder: _Finder | None = None) -> Iterator[Held]:
    """The documents of a corpus, or those that `finder` might find; texts are not read.

    Corpora that were made before there were ledgers have the owners of their sources.
    """
    owner_of = _owners(artifact)
    for shard in shards_of(artifact.path):
        with pq.ParquetFile(shard) as file:
            columns = [name for name in ("id", "source", "sha256", "rights") if name in file.schema_arrow.names]
            for batch in file.iter_batches(columns=columns):
                if finder is not None:
                    batch = batch.filter(_may_match(batch, owner_of, finder))
                for row in batch.to_pylist():
                    source_owner = owner_of.source.get(row["source"], "")
                    owner = owner_of.row.get(row.get("rights"), source_owner)
                    yield Held(row["source"], row["id"], owner, source_owner, row["sha256"].hex())


def shards_of(corpus: Path) -> list[Path]:
    """The Parquet files of a corpus's documents, in order."""
    return [shard for split in SPLITS for shard in sorted((corpus / split).glob("*.parquet"))]


def _may_match(batch: Any, owner_of: _Owners, finder: _Finder) -> Any:
    """A mask of the rows that a withdrawal may be about, found without leaving Arrow."""
    texts = pa.array([bytes.fromhex(each) for each in finder.by_text], pa.binary(32))
    mask = pc.or_(pc.is_in(batch["id"], pa.array(list(finder.by_id), pa.string())), pc.is_in(batch["sha256"], texts))
    if "rights" in batch.schema.names:
        rows = [number for number, owner in owner_of.row.items() if finder.key(owner) in finder.by_owner]
        return pc.or_(mask, pc.is_in(batch["rights"], pa.array(rows, pa.uint32())))
    sources = [source for source, owner in owner_of.source.items() if finder.key(owner) in finder.by_owner]
    return pc.or_(mask, pc.is_in(batch["source"], pa.array(sources, pa.string())))


@dataclass(frozen=True)
class _Owners:
    """Owners by rights row and by source."""

    row: dict[int | None, str]
    source: dict[str, str]


def _owners(artifact: Artifact) -> _Owners:
    ledger = artifact.path / FILE
    rows = Ledger.read(ledger).rows if ledger.is_file() else []
    return _Owners(
        {number: row.rights.owner for number, row in enumerate(rows)},
        {party.source: party.owner for party in artifact.manifest.parties},
    )


# -- what is meant ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Meant:
    """What someone asks to withdraw, as `kiban.kit.withdrawals.record` takes it."""

    kind: Kind
    value: str
    source: str | None
    owner: str | None
    texts: tuple[str, ...]


def resolve(
    store: Store,
    value: str,
    *,
    kind: Kind | None = None,
    source: str | None = None,
    within: Sequence[Manifest] | None = None,
) -> Meant:
    """What `value` names: a document by its id or an owner, as the corpora of the store know them.

    Args:
        kind: "document" or "owner"; then it is taken at its word even where no corpus has it (yet).
        source: only of the source called so.
        within: look only in the corpora that these artifacts were made from, or are.

    Raises:
        BadInput: nothing, or more than one thing, answers to it.
    """
    wanted = owner_key(value)
    owned = 0
    found: dict[tuple[str, str], set[str]] = {}
    names: dict[tuple[str, str], str] = {}
    for artifact in _corpora(store, within):
        for held in documents(artifact):
            if source is not None and held.source != source:
                continue
            owned += owner_key(held.owner) == wanted
            if held.id == value:
                key = (held.source, owner_key(held.source_owner))
                found.setdefault(key, set()).add(held.sha256)
                names.setdefault(key, held.source_owner)
    if kind is None:
        owned += any(
            artifact.manifest.stage == "base"
            and any(owner_key(party.owner) == wanted for party in artifact.manifest.parties)
            for artifact in store.all()
        )
        if found and owned:
            raise BadInput(f"{value!r} is a document and an owner", hint="say which: --as document or --as owner")
        if not found and not owned:
            raise BadInput(
                f"no corpus in {store.root} has a document or owner {value!r}",
                hint="--as owner, or --as document with --source, withdraws it from what is made later",
            )
        kind = "document" if found else "owner"
    if kind == "owner":
        return Meant(kind, value, source, None, ())
    if len(found) > 1:
        told = ", ".join(f"{each[0]!r} of {names[each]}" for each in sorted(found))
        raise BadInput(
            f"{len(found)} documents are called {value!r}, in {told}", hint="say which: --source, --artifact"
        )
    for document, texts in found.items():
        return Meant(kind, value, document[0], names[document], tuple(sorted(texts)))
    if source is None:
        raise BadInput(f"no corpus in {store.root} has a document {value!r}", hint="--source says where it will be")
    return Meant(kind, value, source, None, ())


def _corpora(store: Store, within: Sequence[Manifest] | None) -> Iterator[Artifact]:
    if within is None:
        yield from (each for each in store.all() if each.kind == "corpus")
        return
    seen: set[str] = set()
    waiting = [each.digest for each in within]
    while waiting:
        digest = waiting.pop()
        artifact = None if digest in seen else store.get(digest)
        seen.add(digest)
        if artifact is None:
            continue
        if artifact.kind == "corpus":
            yield artifact
        waiting += inside(artifact.manifest)
