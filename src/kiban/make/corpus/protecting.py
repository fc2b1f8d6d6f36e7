"""The protected tasks of a recipe: read as any source is, and kept out of the documents."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from kiban.kit.errors import BadInput
from kiban.make.corpus.config import Source
from kiban.make.corpus.duplicates.config import ProtectedConfig
from kiban.make.corpus.duplicates.passages import cuts
from kiban.make.corpus.duplicates.protected import Contamination, Protected, ProtectedItem
from kiban.make.corpus.edits import Edit
from kiban.make.corpus.extractor import Extractor
from kiban.make.corpus.formats.events import Broken, Unreadable
from kiban.make.corpus.letters import Letters
from kiban.make.corpus.reading import read_files
from kiban.make.corpus.sources import find_files

ITEM_BYTES = 2**24


@dataclass(frozen=True)
class Task:
    """One protected task, ready to be looked for."""

    config: ProtectedConfig
    items: Protected

    def contaminated(self, documents: Letters) -> list[list[Contamination]]:
        return self.items.contaminated(documents, self.config.min_share)


def load_tasks(configs: tuple[ProtectedConfig, ...], base_folder: Path) -> list[Task]:
    """
    Raises:
        BadInput: a file is not there or not readable, an item lacks a field, or there is no item that can be looked
            for.
    """
    return [Task(config, _protected(config, base_folder)) for config in configs]


def _protected(config: ProtectedConfig, base_folder: Path) -> Protected:
    where = f"corpus.protected {config.name!r}"
    first, *others = config.fields
    source = Source(
        name=config.name,
        path=config.path,
        owner="-",
        licence="-",
        uses=("evaluate",),
        text_field=first,
        fields={name: name for name in others},
    )
    items: list[ProtectedItem] = []
    with tempfile.TemporaryDirectory() as spool, Extractor(Path(spool), ITEM_BYTES) as extractor:
        for file, events, _ in read_files(find_files(source, base_folder), source, extractor, lambda _: None):
            try:
                for event in events:
                    if isinstance(event, Broken):
                        raise BadInput(f"{event.id}: {event.detail}", where=where)
                    texts = (event.text, *(event.fields.get(name, "") for name in others))
                    items.append(ProtectedItem(config.name, event.id, "\n".join(filter(None, texts))))
            except Unreadable as error:
                raise BadInput(f"{file.name} cannot be read: {error.detail}", where=where) from None
    protected = Protected(items, config.characters)
    if len(protected.unchecked) == len(items):
        raise BadInput(f"none of its {len(items)} items is long enough to be looked for", where=where)
    return protected


def edits_without(text: str, found: list[Contamination]) -> list[Edit]:
    """What takes the stretches that a document shares with items out of it."""
    return cuts(text, [(each.start, each.end) for each in found])
