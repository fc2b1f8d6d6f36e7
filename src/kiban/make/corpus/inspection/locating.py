"""Finding one document of a recipe's sources again by its id."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory

from kiban.kit.errors import BadInput
from kiban.make.corpus.config import CorpusConfig, Source
from kiban.make.corpus.extractor import Extractor
from kiban.make.corpus.formats.events import Event, Unreadable
from kiban.make.corpus.listing import found_files
from kiban.make.corpus.normalise import SURROGATE
from kiban.make.corpus.reading import read_files
from kiban.make.corpus.sources import ARCHIVES, Found, NotRead

# Formats whose documents may have names of their own: addresses, or members of archives.
NAMED_APART = frozenset({"hub", "warc", *ARCHIVES})
NEAREST = 3
REMEMBERED = 100
LONGEST = 200  # letters of an id that are compared


@dataclass(frozen=True)
class Located:
    """A document as it was found.

    Attributes:
        file: the name of its file.
        event: the document, or what is wrong with it; None where its whole file cannot be read.
        reason, detail: why not, then.
    """

    source: Source
    file: str
    event: Event | None
    reason: str = ""
    detail: str = ""


def locate(config: CorpusConfig, base_folder: Path, identity: str, source_name: str | None) -> Located:
    """The first document called `identity`, of one source or of all in their order.

    Files whose name begins the id are read first, and others only where documents may have names of their own.

    Raises:
        BadInput: there is no such source, or no such document: names the nearest ids that were seen.
    """
    sources = _sources(config, source_name)
    near = _Nearest(identity)
    with (
        TemporaryDirectory(prefix="kiban-inspect-") as spool,
        Extractor(Path(spool), config.filters.max_document_bytes) as extractor,
    ):
        for likely in (True, False):
            for source in sources:
                files = _chosen(found_files(source, base_folder), source, identity, likely, near)
                if found := _read(files, source, identity, extractor, near):
                    return found
    seen = f"; nearest: {', '.join(nearest)}" if (nearest := near.best()) else ""
    among = f"source {source_name!r}" if source_name else f"the {len(sources)} sources of the recipe"
    raise BadInput(
        f"no document {identity!r} in {among}{seen}",
        hint="report.html and the corpus's tables name documents; a line of a file is `file.jsonl:12`",
    )


def _sources(config: CorpusConfig, name: str | None) -> Sequence[Source]:
    if name is None:
        return config.sources
    if found := [source for source in config.sources if source.name == name]:
        return found
    names = ", ".join(source.name for source in config.sources)
    raise BadInput(f"the recipe has no source {name!r}", where="--source", hint=f"its sources: {names}")


def _chosen(files: Iterable[Found], source: Source, identity: str, likely: bool, near: _Nearest) -> Iterator[Found]:
    """Files that the id names, or (not likely) others that may hold a document called so."""
    for file in files:
        if likely:
            near.see(file.name)
        named = identity == file.name or identity.startswith((f"{file.name}:", f"{file.name}/", f"{file.name}#"))
        may_hold = source.id_field is not None or (not isinstance(file, NotRead) and file.format in NAMED_APART)
        if named if likely else may_hold and not named:
            yield file


def _read(
    files: Iterable[Found], source: Source, identity: str, extractor: Extractor, near: _Nearest
) -> Located | None:
    for file, events, _ in read_files(files, source, extractor, lambda _: None):
        if isinstance(file, NotRead):
            if file.name == identity:
                return Located(source, file.name, None, file.reason, file.detail)
            continue
        near.see(file.name)
        try:
            for event in events:
                if SURROGATE.sub("\ufffd", event.id) == identity:
                    return Located(source, file.name, event)
                near.see(event.id)
        except Unreadable as error:
            if identity == file.name or identity.startswith(f"{file.name}:"):
                return Located(source, file.name, None, error.reason, error.detail)
    return None


@dataclass
class _Nearest:
    """The ids most like one that is sought, among any number."""

    sought: str
    _best: list[tuple[int, str]] = field(default_factory=list)

    def see(self, identity: str) -> None:
        """Remember an id that has a long beginning and end in common with the sought one."""
        start = _common(self.sought, identity)
        end = _common(self.sought[start:][::-1], identity[start:][::-1])
        heapq.heappush(self._best, (start + end, identity))
        if len(self._best) > REMEMBERED:
            heapq.heappop(self._best)

    def best(self) -> list[str]:
        likeness = difflib.SequenceMatcher(b=self.sought[:LONGEST], autojunk=False)

        def unlike(identity: str) -> tuple[float, str]:
            likeness.set_seq1(identity[:LONGEST])
            return -likeness.ratio(), identity

        return sorted({identity for _, identity in self._best}, key=unlike)[:NEAREST]


def _common(one: str, other: str) -> int:
    """How many letters both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
