"""The steps of curation, one batch of documents at a time.

What happens to a document here never depends on another one; duplicates are a later phase's. So batches can be worked
on anywhere and in any order.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from kiban.make.corpus.config import CorpusConfig, Source
from kiban.make.corpus.edits import Anchor, Edit, apply, follow
from kiban.make.corpus.gathering import SCHEMA as RAW
from kiban.make.corpus.letters import letters
from kiban.make.corpus.normalise import normalise_batch
from kiban.make.corpus.ranking import rank
from kiban.make.corpus.repair.config import RepairConfig
from kiban.make.corpus.rights.document import Refusal, RightsReader
from kiban.make.corpus.rights.ledger import Ledger
from kiban.make.corpus.rights.policy import Policy
from kiban.make.corpus.rights.withdrawal import RULE as WITHDRAWN
from kiban.make.corpus.rights.withdrawal import Withdrawn
from kiban.make.corpus.tally import EXCERPT_CHARACTERS, Tally, add, excerpt

if TYPE_CHECKING:
    from kiban.make.corpus.quality_model.model import QualityModel

# Stands before the first letter of an anchor's text while steps move what is around it. It is one of Unicode's
# noncharacters; a text that holds it all the same gets U+FFFD for it.
MARK = "\ufdd0"
MARKS = re.compile(f"{MARK}(\\s*)")
CONTEXT_CHARACTERS = 30


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
    """What became of documents, shard by shard.

    Attributes:
        candidates: the documents of the last batch.
        audit: rows of `curating.AUDIT` about these.
        tally, ledger: of all batches so far.
    """

    candidates: list[Candidate] = field(default_factory=list)
    audit: list[tuple[Any, ...]] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    ledger: Ledger = field(default_factory=Ledger)


Mend = Callable[[Sequence[str], RepairConfig], Sequence[tuple[str, dict[str, int]]]]
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

    def curate(self, batch: pa.RecordBatch, source: Source, curated: Curated, watch: Watch | None = None) -> None:
        """Every document of a raw batch (see `gathering.SCHEMA`) through every step.

        Args:
            curated: what became of the shard's earlier batches; the batch's candidates and audit take these' place.
            watch: told (step, all candidates) after each step, for `kiban corpus inspect`.
        """
        curated.candidates, curated.audit = _candidates(batch), []
        _mark(curated.candidates)
        for name, step in self.steps:
            if alive := [candidate for candidate in curated.candidates if not candidate.rule]:
                step(alive, source, curated)
            if watch:
                watch(name, curated.candidates)
        self._count(curated)

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
        mended = mend([candidate.text for candidate in candidates], self.config.repair)
        for candidate, (text, counts) in zip(candidates, mended, strict=True):
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
    rows = zip(*(batch[name].to_pylist() for name in RAW.names), strict=True)
    for identity, text, anchored, fields, reason, detail in rows:
        candidate = Candidate(identity, text or "")
        if reason is not None:
            candidate.drop(reason, detail=detail)
        else:
            candidate.anchors = tuple(Anchor(**anchor) for anchor in anchored)
            candidate.fields = json.loads(fields) if fields else {}
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
