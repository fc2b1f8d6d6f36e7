"""Phase 2, curate: raw shards to curated shards, each by itself.

What happens to a document here never depends on another one; duplicates are the next phase's. So a shard can be worked
on anywhere and in any order, and `Curator.curate` is a function of its batch alone.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kiban.make.corpus.config import CorpusConfig, Source
from kiban.make.corpus.duplicates.fingerprints import FILE as FINGERPRINTS
from kiban.make.corpus.duplicates.fingerprints import Fingerprints, exact_fingerprints, fingerprints, joined
from kiban.make.corpus.edits import Anchor, Edit, apply, follow
from kiban.make.corpus.gathering import SCHEMA as RAW
from kiban.make.corpus.items import find, making
from kiban.make.corpus.letters import letters
from kiban.make.corpus.normalise import normalise_batch
from kiban.make.corpus.ranking import rank
from kiban.make.corpus.reader import ANCHORS
from kiban.make.corpus.repair.config import RepairConfig
from kiban.make.corpus.rights.document import Refusal, RightsReader
from kiban.make.corpus.rights.ledger import Ledger
from kiban.make.corpus.rights.policy import Policy
from kiban.make.corpus.rights.withdrawal import RULE as WITHDRAWN
from kiban.make.corpus.rights.withdrawal import Withdrawn
from kiban.make.corpus.tally import EXCERPT_CHARACTERS, Tally, add, excerpt

if TYPE_CHECKING:
    from kiban.make.corpus.quality_model.model import QualityModel

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
# Stands before the first letter of an anchor's text while steps move what is around it. It is one of Unicode's
# noncharacters; a text that holds it all the same gets U+FFFD for it.
MARK = "\ufdd0"
MARKS = re.compile(f"{MARK}(\\s*)")
CONTEXT_CHARACTERS = 30
KEPT_FILE = "kept.arrow"


@dataclass(slots=True)
class Candidate:
    """A document on its way, and what was found out about it.

    Attributes:
        rule: what drops it; "" while it goes on.
        value, limit: of that rule, or of the one that sets it aside, where it has figures.
        detail: what a person needs besides to see why.
        rephrase: the rule that sets it aside to be rewritten; "" for most.
        rights: row of the ledger.
        rank: see `ranking`.
        sha256: of the text at the end.
    """

    id: str
    text: str
    anchors: tuple[Anchor, ...] = ()
    fields: dict[str, str] = field(default_factory=dict)
    rule: str = ""
    value: float | None = None
    limit: float | None = None
    detail: str = ""
    rephrase: str = ""
    rights: int = 0
    rank: int = 0
    sha256: bytes = b""

    def drop(self, rule: str, value: float | None = None, limit: float | None = None, detail: str = "") -> None:
        self.rule, self.value, self.limit, self.detail = rule, value, limit, detail


@dataclass
class Curated:
    """What became of the documents of one or more batches."""

    candidates: list[Candidate]
    audit: list[tuple[Any, ...]]
    tally: Tally
    ledger: Ledger


Mend = Callable[[str, RepairConfig], tuple[str, dict[str, int]]]
Watch = Callable[[str, Sequence[Candidate]], None]


class Curator:
    """The steps of a recipe's corpus section, with what they need loaded once.

    Raises:
        BadInput: a word list, classifier, key or protected task cannot be read.
    """

    def __init__(self, config: CorpusConfig, base_folder: Path, withdrawn: Withdrawn | None = None) -> None:
        self.config, self.withdrawn = config, withdrawn
        self.steps: list[tuple[str, Callable[[list[Candidate], Source, Curated], None]]] = []
        self.policy = Policy(config.policy)
        self.rights = {source.name: rights_reader(source) for source in config.sources}
        self.steps.append(("rights", self._rights))
        if config.repair is not None:
            # What wrong decodings are known by, half-width kana and control characters, normalising takes away.
            self.steps.append(("decoding", self._decoding))
        self.steps.append(("normalise", self._normalise))
        if config.repair is not None:
            self.steps.append(("repair", self._repair))
        if config.quality is not None:
            from kiban.make.corpus.quality.profile import load_profile

            self.profile = load_profile(config.quality, base_folder)
            self.classifier: QualityModel | None = None
            if config.quality.classifier is not None:
                from kiban.make.corpus.quality_model.model import QualityModel

                self.classifier = QualityModel.load(base_folder / config.quality.classifier)
        self.steps.append(("length", self._length))
        if config.quality is not None:
            self.steps += [("quality", self._quality), ("edit", self._edit)]
        if config.protected:
            from kiban.make.corpus.protecting import load_tasks

            self.tasks = load_tasks(config.protected, base_folder)
            self.steps.append(("protected", self._protected))
        if config.privacy is not None:
            from kiban.make.corpus.privacy.act import read_key
            from kiban.make.corpus.privacy.find import Finder

            self.finder, self.key = Finder(config.privacy, base_folder), read_key(config.privacy, base_folder)
            self.steps.append(("privacy", self._privacy))
        self.steps.append(("hash", self._hash))

    def curate(self, batch: pa.RecordBatch, source: Source, watch: Watch | None = None) -> Curated:
        """Every document of a raw batch (see `gathering.SCHEMA`) through every step.

        Args:
            watch: told (step, all candidates) after each step, for `kiban corpus inspect`.
        """
        curated = Curated(_candidates(batch), [], Tally(), Ledger())
        _mark(curated.candidates)
        for name, step in self.steps:
            if alive := [candidate for candidate in curated.candidates if not candidate.rule]:
                step(alive, source, curated)
            if watch:
                watch(name, curated.candidates)
        self._count(curated)
        return curated

    def _is_withdrawn(self, source: Source, candidate: Candidate, owner: str) -> bool:
        """
        Raises:
            BadInput: it is, and the corpus's digest does not say so yet; the next attempt's will.
        """
        if self.withdrawn is None:
            return False
        sha256 = candidate.sha256 or None
        return self.withdrawn.by(source.name, candidate.id, owner, sha256) is not None

    def _hash(self, candidates: list[Candidate], source: Source, curated: Curated) -> None:
        for candidate in candidates:
            candidate.sha256 = hashlib.sha256(candidate.text.encode()).digest()
            owner = curated.ledger.rows[candidate.rights].rights.owner
            if self._is_withdrawn(source, candidate, owner):  # a copy under another name
                candidate.drop(WITHDRAWN)
                curated.ledger.refuse(source.name, WITHDRAWN)

    def _count(self, curated: Curated) -> None:
        tally = curated.tally
        for candidate in curated.candidates:
            tally.read += 1
            rule = candidate.rule or candidate.rephrase
            if not rule:
                continue
            text = candidate.text or candidate.detail
            if candidate.rule:
                tally.drop(rule, len(text.encode()))
            if tally.wants(rule):
                figures = {"value": candidate.value, "limit": candidate.limit} if candidate.value is not None else {}
                tally.example(rule, candidate.id, self._shown(text), **figures)

    def _say_change(self, tally: Tally, kind: str, count: int, candidate: Candidate, text: str) -> None:
        add(tally.changed, kind, count)
        if tally.wants_change(kind):
            before, after = _difference(candidate.text, text)
            tally.change(kind, candidate.id, self._shown(before), self._shown(after))

    def _shown(self, text: str) -> str:
        """The beginning of a text as a report may show it: what was dropped before personal data was looked for may
        hold some."""
        if self.config.privacy is None:
            return excerpt(text)
        from kiban.make.corpus.privacy.placeholders import mask

        beginning = text[: 4 * EXCERPT_CHARACTERS]
        (findings,) = self.finder.find([beginning], letters([beginning]))
        return excerpt(apply(beginning, [Edit(one.start, one.end, mask(one.kind)) for one in findings]))

    # -- steps ------------------------------------------------------------------------------------------------------

    def _rights(self, candidates: list[Candidate], source: Source, curated: Curated) -> None:
        reader = self.rights[source.name]
        prefer = self.config.duplicates.prefer
        for candidate in candidates:
            rights = reader.read(candidate.fields)
            refusal = rights if isinstance(rights, Refusal) else self.policy.judge(rights)
            if not isinstance(rights, Refusal) and self._is_withdrawn(source, candidate, rights.owner):
                candidate.drop(WITHDRAWN)
                curated.ledger.refuse(source.name, WITHDRAWN)
            elif refusal is not None:
                candidate.drop(refusal.rule, detail=refusal.value)
                curated.ledger.refuse(source.name, refusal.rule)
            elif not isinstance(rights, Refusal):
                candidate.rights = curated.ledger.row_of(rights)
                candidate.rank = rank(rights, candidate.fields.get("date"), prefer)

    def _normalise(self, candidates: list[Candidate], source: Source, curated: Curated) -> None:
        for candidate, text in zip(candidates, normalise_batch([one.text for one in candidates]), strict=True):
            curated.tally.length("read", len(text))
            candidate.text = text

    def _decoding(self, candidates: list[Candidate], source: Source, curated: Curated) -> None:
        from kiban.make.corpus.repair.repair import repair_raw

        self._mend(repair_raw, candidates, curated.tally)

    def _repair(self, candidates: list[Candidate], source: Source, curated: Curated) -> None:
        from kiban.make.corpus.repair.repair import repair

        self._mend(repair, candidates, curated.tally)

    def _mend(self, mend: Mend, candidates: list[Candidate], tally: Tally) -> None:
        assert self.config.repair is not None
        for candidate in candidates:
            text, counts = mend(candidate.text, self.config.repair)
            for kind, count in counts.items():
                self._say_change(tally, kind, count, candidate, text)
            candidate.text = text

    def _length(self, candidates: list[Candidate], source: Source, curated: Curated) -> None:
        shortest = self.config.filters.min_characters
        for candidate in candidates:
            _unmark(candidate)  # what follows looks at the letters, or says how it moves them
            if not candidate.text:
                candidate.drop("empty")
            elif len(candidate.text) < shortest:
                candidate.drop("too_short", len(candidate.text), shortest)

    def _quality(self, candidates: list[Candidate], source: Source, curated: Curated) -> None:
        assert self.config.quality is not None
        texts = [candidate.text for candidate in candidates]
        for candidate, verdict in zip(candidates, self.profile.judge(texts, letters(texts)), strict=True):
            if verdict.decision == "drop" or (
                verdict.decision == "rephrase" and self.config.quality.on_rephrase == "drop"
            ):
                candidate.drop(verdict.rule, verdict.value, verdict.limit)
            elif verdict.decision == "rephrase" and self.config.quality.on_rephrase == "aside":
                candidate.rephrase, candidate.value, candidate.limit = verdict.rule, verdict.value, verdict.limit

        if self.classifier is not None:
            candidates = [candidate for candidate in candidates if not candidate.rule]
            scores = self.classifier.score(letters([candidate.text for candidate in candidates]))
            for candidate, score in zip(candidates, scores.tolist(), strict=True):
                if score < self.classifier.threshold:
                    candidate.drop("classifier", round(score, 4), self.classifier.threshold)

    def _edit(self, candidates: list[Candidate], source: Source, curated: Curated) -> None:
        for candidate in candidates:
            text = self.profile.edit(candidate.text)
            if text != candidate.text:
                self._say_change(curated.tally, "profile", 1, candidate, text)
                if candidate.anchors:
                    _mark([candidate])
                    candidate.text = self.profile.edit(candidate.text)
                    _unmark(candidate)
                else:
                    candidate.text = text

    def _protected(self, candidates: list[Candidate], source: Source, curated: Curated) -> None:
        from kiban.make.corpus.protecting import edits_without

        for task in self.tasks:
            alive = [candidate for candidate in candidates if not candidate.rule]
            for candidate, found in zip(alive, task.contaminated(letters([one.text for one in alive])), strict=True):
                if not found:
                    continue
                worst = max(found, key=lambda each: each.share)
                if task.config.action == "drop":
                    detail = f"{task.config.name}: {worst.item}"
                    candidate.drop("protected", round(worst.share, 4), task.config.min_share, detail)
                else:
                    edits = edits_without(candidate.text, found)
                    add(curated.tally.changed, f"protected.{task.config.name}", len(edits))
                    candidate.anchors = follow(candidate.anchors, edits)
                    candidate.text = apply(candidate.text, edits)

    def _privacy(self, candidates: list[Candidate], source: Source, curated: Curated) -> None:
        from kiban.make.corpus.privacy.act import act

        assert self.config.privacy is not None
        texts = [candidate.text for candidate in candidates]
        for candidate, findings in zip(candidates, self.finder.find(texts, letters(texts)), strict=True):
            if not findings:
                continue
            acted = act(candidate.text, findings, self.config.privacy, self.key)
            for kind, count in acted.counts.items():
                # The text around it is somebody's; what stands there now is shown instead.
                add(curated.tally.changed, kind, count)
            curated.audit += [(candidate.id, *entry) for entry in acted.audit]
            if acted.drop:
                candidate.drop("personal_data_found", detail=acted.drop)
            candidate.anchors = follow(candidate.anchors, acted.edits)
            candidate.text = apply(candidate.text, acted.edits)


def rights_reader(source: Source) -> RightsReader:
    return RightsReader(
        source=source.name, owner=source.owner, licence=source.licence, uses=source.uses, config=source.rights
    )


def _candidates(batch: pa.RecordBatch) -> list[Candidate]:
    candidates = []
    for row in batch.to_pylist():
        candidate = Candidate(row["id"], row["text"] or "")
        if row["reason"] is not None:
            candidate.drop(row["reason"], detail=row["detail"])
        else:
            candidate.anchors = tuple(Anchor(**anchor) for anchor in row["anchors"])
            candidate.fields = json.loads(row["fields"]) if row["fields"] else {}
        candidates.append(candidate)
    return candidates


def _mark(candidates: list[Candidate]) -> None:
    """Put marks where anchors are, behind blanks and line ends, so that these are put in order as without marks."""
    for candidate in candidates:
        if candidate.anchors:
            text = candidate.text.replace(MARK, "\ufffd")
            places = [anchor.at for anchor in candidate.anchors]
            pieces = [text[at:end] for at, end in zip(places, [*places[1:], None], strict=True)]
            marked = text[: places[0]] + "".join(MARK + piece for piece in pieces)
            candidate.text = MARKS.sub(rf"\1{MARK}", marked)


def _unmark(candidate: Candidate) -> None:
    if candidate.anchors:
        before, *pieces = candidate.text.split(MARK)
        at, moved = len(before), []
        for anchor, piece in zip(candidate.anchors, pieces, strict=True):
            moved.append(Anchor(at, anchor.label))
            at += len(piece)
        candidate.anchors, candidate.text = tuple(moved), "".join((before, *pieces))


def _difference(before: str, after: str) -> tuple[str, str]:
    """Both texts around the first place where they differ."""
    low, high = 0, min(len(before), len(after))
    while low < high:  # the longest common beginning, by halving
        middle = (low + high + 1) // 2
        low, high = (middle, high) if before[:middle] == after[:middle] else (low, middle - 1)
    around = slice(max(0, low - CONTEXT_CHARACTERS), low + CONTEXT_CHARACTERS)
    return before[around].strip(), after[around].strip()


# -- one shard's work -------------------------------------------------------------------------------------------------


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
    row: dict[str, Any] = {
        "id": "1",
        "text": "これは点検の記録である。",
        "anchors": [],
        "fields": None,
        "reason": None,
        "detail": None,
    }
    curator = _curator(config.model_dump_json(), base_folder)
    curated = curator.curate(pa.RecordBatch.from_pylist([row], RAW), config.sources[0])
    kept = _kept(curated.candidates, np.zeros(1, np.uint32))
    _fingerprints(kept, config, 0)


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
    tally, ledger = Tally(), Ledger()
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
                curated = curator.curate(batches.get_batch(number), source)
                staying = _kept(curated.candidates, ledger.merge(curated.ledger))
                kept.write_batch(staying)
                marks.append(_fingerprints(staying, work.config, work.source))
                characters += sum(len(one.text) for one in curated.candidates if not one.rule)
                dropped.write_batch(_dropped(curated.candidates))
                audit.write_batch(
                    pa.RecordBatch.from_pylist(
                        [dict(zip(AUDIT.names, row, strict=True)) for row in curated.audit], AUDIT
                    )
                )
                tally.merge(curated.tally.json())
        joined(marks, work.config.duplicates.shingle_characters).write(item.folder / FINGERPRINTS)
        item.stats |= {
            "tally": tally.json(),
            "source": work.source,
            "ledger": ledger.json(),
            "documents": sum(len(part.ranks) for part in marks),
            "characters": characters,
        }


def _kept(candidates: list[Candidate], rights: npt.NDArray[np.uint32]) -> pa.RecordBatch:
    """
    Args:
        rights: the shard's row for each of the batch's.
    """
    rows = [candidate for candidate in candidates if not candidate.rule]
    texts = [row.text.encode() for row in rows]
    columns = [
        pa.array([row.id for row in rows], pa.string()),
        pa.array([row.sha256 for row in rows], pa.binary(32)),
        pa.array(texts, pa.large_binary()).cast(pa.large_string(), safe=False),
        pa.array([[anchor._asdict() for anchor in row.anchors] for row in rows], ANCHORS),
        pa.array([row.rephrase or None for row in rows], pa.string()),
        pa.array([rights[row.rights] for row in rows], pa.uint32()),
        pa.array([row.rank for row in rows], pa.int64()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=KEPT)


def _fingerprints(kept: pa.RecordBatch, config: CorpusConfig, source: int) -> Fingerprints:
    """Hashes by which duplicates are found; those for near ones only where they are looked for."""
    duplicates = config.duplicates
    sha256, ranks = kept["sha256"].to_pylist(), kept["rank"].to_pylist()
    sources = [source] * len(ranks)
    if duplicates.near:
        return fingerprints(letters(kept["text"].to_pylist()), sha256, ranks, sources, duplicates.shingle_characters)
    return exact_fingerprints(sha256, ranks, sources, duplicates.shingle_characters)


def _dropped(candidates: list[Candidate]) -> pa.RecordBatch:
    rows = [candidate for candidate in candidates if candidate.rule or candidate.rephrase]
    columns = [
        pa.array([row.id for row in rows], pa.string()),
        pa.array([row.rule or row.rephrase for row in rows], pa.string()),
        pa.array([row.value for row in rows], pa.float64()),
        pa.array([row.limit for row in rows], pa.float64()),
        pa.array([row.detail for row in rows], pa.string()),
        pa.array([len(row.text) for row in rows], pa.int64()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=DROPPED)


def compile_all() -> None:
    """Compile every loop that some recipe's corpus needs, where that was not done on this machine."""
    source = {"name": "-", "path": "-", "owner": "-", "licence": "MIT", "uses": ("train",)}
    every = {"repair": {"variants": "unify"}, "quality": {}, "privacy": {}, "duplicates": {}}
    load((CorpusConfig.model_validate({"sources": (source,), **every}), Path()))


if __name__ == "__main__":
    compile_all()
