"""Small corpora with ledgers, and stores of them, made here so that this room's tests need no pipeline."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kiban.kit.manifest import InputRef, Party, Resources
from kiban.kit.store import Artifact, Spec, Store
from kiban.make.corpus.rights.config import RightsConfig
from kiban.make.corpus.rights.document import Rights, RightsReader
from kiban.make.corpus.rights.ledger import FILE, Ledger

Doc = tuple[str, str, str, str]  # source, id, owner, text
Put = Callable[..., Artifact]
NOTHING_USED = Resources(
    wall_s=0, cpu_s=0, peak_memory_bytes=0, gpu_s=0, energy_j=None, energy_source="unknown", energy_method=""
)


def rights_of(source: str = "docs", owner: str = "Shiomi", licence: str = "CC0-1.0", **more: Any) -> Rights:
    config = {key: value for key, value in more.items() if key in RightsConfig.model_fields}
    uses = more.get("uses", ("train", "evaluate"))
    reader = RightsReader(
        source=source,
        owner=owner,
        licence=licence,
        uses=uses,
        config=RightsConfig.model_validate(config, strict=False),
    )
    return reader.default


def sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def write_corpus(folder: Path, documents: Sequence[Doc], *, ledger: bool = True, shards: int = 2) -> Ledger:
    """Shards of documents in `folder`/train (the last one in heldout), with the ledger of their rights."""
    made = Ledger()
    rows = []
    for place, (source, identity, owner, text) in enumerate(documents):
        split = "heldout" if len(documents) > 1 and place == len(documents) - 1 else "train"
        rights = made.add(rights_of(source, owner), split, len(text), len(text.encode()))  # type: ignore[arg-type]
        row = {"id": identity, "source": source, "sha256": sha256(text), "text": text}
        rows.append((split, row | ({"rights": rights} if ledger else {})))
    fields = [("id", pa.string()), ("source", pa.string()), ("sha256", pa.binary(32)), ("text", pa.large_string())]
    schema = pa.schema([*fields, ("rights", pa.uint32())] if ledger else fields)
    for split in ("train", "heldout"):
        of_split = [row for where, row in rows if where == split]
        for shard in range(shards):
            part = of_split[shard * len(of_split) // shards : (shard + 1) * len(of_split) // shards]
            if part:
                (folder / split).mkdir(parents=True, exist_ok=True)
                pq.write_table(pa.Table.from_pylist(part, schema=schema), folder / split / f"{shard:05}.parquet")
    if ledger:
        made.write(folder / FILE)
    return made


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def put_corpus(store: Store) -> Put:
    """A corpus artifact of documents (source, id, owner, text); `owners` of the sources as the recipe has them."""

    def put(
        name: str,
        documents: Sequence[Doc],
        *,
        owners: dict[str, str] | None = None,
        ledger: bool = True,
        inputs: dict[str, InputRef] | None = None,
    ) -> Artifact:
        by_source = {source: owner for source, _, owner, _ in reversed(documents)} | (owners or {})
        roles = {f"source:{source}": InputRef(kind="external", digest="a" * 64) for source in by_source}
        spec = Spec("corpus", "corpus", "1", {"documents": repr((documents, ledger))}, roles | (inputs or {}), 1)
        parties = tuple(Party(source=source, owner=owner, licence="CC0-1.0") for source, owner in by_source.items())
        with store.making(spec, name) as draft:
            write_corpus(draft.files, documents, ledger=ledger)
            made = store.commit(draft, resources=NOTHING_USED, parties=parties, stats={})
        store.set_name(name, made.digest)
        return made

    return put
