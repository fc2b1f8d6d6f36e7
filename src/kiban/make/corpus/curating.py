"""Phase 2, curate: raw shards to curated shards, each by itself."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from kiban.make.corpus.columns import batch
from kiban.make.corpus.config import CorpusConfig
from kiban.make.corpus.curator import Candidate, Curated, Curator
from kiban.make.corpus.duplicates.fingerprints import FILE as FINGERPRINTS
from kiban.make.corpus.duplicates.fingerprints import Fingerprints, exact_fingerprints, fingerprints, joined
from kiban.make.corpus.formats.events import Record
from kiban.make.corpus.gathering import raw_batch
from kiban.make.corpus.items import find, making
from kiban.make.corpus.letters import letters
from kiban.make.corpus.reader import ANCHORS
from kiban.make.corpus.rights.withdrawal import Withdrawn

# Documents that go on, those set aside to be rewritten among them.
KEPT = pa.schema(
    [
        ("id", pa.string()),
        ("sha256", pa.binary(32)),  # of the text's UTF-8
        ("text", pa.large_string()),
        ("anchors", ANCHORS),
        ("rephrase", pa.string()),  # the rule that set it aside; null for the others
        ("rights", pa.uint32()),  # row of the shard's own ledger
        ("rank", pa.int64()),  # of duplicates the one with the lowest stays
    ]
)
# Why a document is not in the corpus, or is set aside.
DROPPED = pa.schema(
    [
        ("id", pa.string()),
        ("rule", pa.string()),
        ("value", pa.float64()),
        ("limit", pa.float64()),
        ("detail", pa.string()),
        ("characters", pa.int64()),
    ]
)
# What was done about personal data and secrets, by place in the text as it was then; never the secret itself.
AUDIT = pa.schema(
    [
        ("id", pa.string()),
        ("kind", pa.string()),
        ("rule", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("action", pa.string()),
        ("keyed_hash", pa.string()),  # with a key: HMAC-SHA256 of it, by which who has the key can look for one
    ]
)
KEPT_FILE = "kept.arrow"
# Goes through every step of most recipes.
PROSE = """
春の点検では、まず入口の弁を閉じて圧力が下がるのを待ちます。次に蓋を外し、内側に傷や錆がないかを目で確かめてください。
部品の寸法は図面と比べて、許容差を超えていれば取り替えます。交換した日付と作業者は台帳に書き残し、古い部品は倉庫へ。
試運転のあいだは計器から離れず、音や振動に変わったところがあればすぐに電源を切って、責任者の指示を仰いでください。
問い合わせは保守課（電話 03-0000-0000）まで。夜間と休日は守衛室が承り、翌朝にお返事します。
"""


@dataclass(frozen=True)
class Curating:
    """The work: one raw shard."""

    config: CorpusConfig
    base_folder: Path
    withdrawn: Withdrawn | None
    source: int
    raw: Path
    raw_key: str
    shard: str
    target: Path
    key: str


@functools.lru_cache(maxsize=1)
def _curator(config: str, base_folder: Path) -> Curator:
    return Curator(CorpusConfig.model_validate_json(config), base_folder)


def load(work: tuple[CorpusConfig, Path]) -> None:
    """Load all that curating needs: word lists, dictionaries, compiled loops."""
    config, base_folder = work
    curator = _curator(config.model_dump_json(), base_folder)
    curated = Curated()
    curator.curate(raw_batch([Record("1", PROSE)]), config.sources[0], curated)
    _fingerprints(curated.candidates, config, 0)


def curate(work: Curating) -> None:
    """Make the shard's item: `kept.arrow`, `dropped.arrow`, `audit.arrow` and the tally; see the schemas.

    Raises:
        Damaged: the raw shard is not what was written.
        OSError: ENOSPC when the disk is full.
    """
    if find(work.target, work.key):
        return
    raw = find(work.raw, work.raw_key)
    assert raw is not None, "units are read before their shards are curated"
    source = work.config.sources[work.source]
    curator = _curator(work.config.model_dump_json(), work.base_folder)
    curator.withdrawn = work.withdrawn
    curated = Curated()
    marks: list[Fingerprints] = []
    characters = 0
    with making(work.target, work.key) as item:
        with (
            pa.ipc.new_file(item.folder / KEPT_FILE, KEPT) as kept,
            pa.ipc.new_file(item.folder / "dropped.arrow", DROPPED) as dropped,
            pa.ipc.new_file(item.folder / "audit.arrow", AUDIT) as audit,
        ):
            batches = pa.ipc.open_file(pa.py_buffer(raw.read(work.shard)))
            for number in range(batches.num_record_batches):
                curator.curate(batches.get_batch(number), source, curated)
                staying = [candidate for candidate in curated.candidates if not candidate.rule]
                kept.write_batch(_kept(staying))
                marks.append(_fingerprints(staying, work.config, work.source))
                characters += sum(len(one.text) for one in staying)
                dropped.write_batch(_dropped(curated.candidates))
                audit.write_batch(_audited(curated.audit))
        joined(marks, work.config.duplicates.shingle_characters).write(item.folder / FINGERPRINTS)
        item.stats |= {
            "tally": curated.tally.json(),
            "source": work.source,
            "ledger": curated.ledger.json(),
            "documents": sum(len(part.ranks) for part in marks),
            "characters": characters,
        }


def _kept(rows: Sequence[Candidate]) -> pa.RecordBatch:
    columns = {name: [getattr(row, name) for row in rows] for name in KEPT.names}
    return batch(columns | {"rephrase": [row.rephrase or None for row in rows]}, KEPT)


def _fingerprints(rows: Sequence[Candidate], config: CorpusConfig, source: int) -> Fingerprints:
    """Hashes by which duplicates are found; those for near ones only where they are looked for."""
    width = config.duplicates.shingle_characters
    about = [row.sha256 for row in rows], [row.rank for row in rows], [source] * len(rows)
    if config.duplicates.near:
        return fingerprints(letters([row.text for row in rows]), *about, width)
    return exact_fingerprints(*about, width)


def _dropped(candidates: list[Candidate]) -> pa.RecordBatch:
    rows = [candidate for candidate in candidates if candidate.rule or candidate.rephrase]
    columns = {name: [getattr(row, name) for row in rows] for name in ("id", "value", "limit", "detail")}
    rules = [row.rule or row.rephrase for row in rows]
    return batch(columns | {"rule": rules, "characters": [len(row.text) for row in rows]}, DROPPED)


def _audited(rows: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
    return batch({name: [row[place] for row in rows] for place, name in enumerate(AUDIT.names)}, AUDIT)
