"""Everything that is to be read, cut into units of work, and a digest that tells whether it changes meanwhile."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kiban.kit.files import canonical_json
from kiban.make.corpus.config import CorpusConfig, Source
from kiban.make.corpus.items import Item, making
from kiban.make.corpus.sources import Found, SourceFile, find_files

# Stored bytes that one unit reads at most, unless a single file is larger; and the files whose names it holds.
UNIT_BYTES = 16 * 2**20
UNIT_FILES = 2_000


@dataclass(frozen=True)
class Unit:
    """Files of one source that are read together.

    Attributes:
        source: its position in the recipe.
        listed: name of the file of the listing's item that holds their `Found`s.
        bytes: as stored.
    """

    source: int
    listed: str
    bytes: int


def found_files(source: Source, base_folder: Path) -> Iterator[Found]:
    """The files of a source in their order; a dataset of the Hub counts as one."""
    if source.path.startswith("hf:"):
        from kiban.make.corpus.hub import hub_dataset

        dataset = hub_dataset(source)
        return iter([SourceFile(dataset.split, "hub", None, 0, dataset.fingerprint(), None)])
    return find_files(source, base_folder)


def content_digest(config: CorpusConfig, base_folder: Path) -> str:
    """Digest of every file's name and version, as far as that can be told without reading."""
    digest = hashlib.sha256()
    for source in config.sources:
        for file in found_files(source, base_folder):
            _note(digest, source, file)
    return digest.hexdigest()


def list_units(config: CorpusConfig, base_folder: Path, folder: Path, key: str) -> str:
    """Write the listing's item to `folder`; returns what `content_digest` returned at that moment.

    Memory holds one unit, not the listing: an archive can have millions of files.

    Raises:
        BadInput: as `find_files`.
    """
    digest = hashlib.sha256()
    unit_bytes = min(UNIT_BYTES, config.shard_bytes)
    with making(folder, key) as item:
        units: list[list[int | str]] = []
        for position, source in enumerate(config.sources):
            group = _Group()
            for file in found_files(source, base_folder):
                _note(digest, source, file)
                file_bytes = file.bytes if isinstance(file, SourceFile) else 0
                if group.files and (group.bytes + file_bytes > unit_bytes or len(group.files) == UNIT_FILES):
                    units.append([position, group.write(item.folder, len(units)), group.bytes])
                    group = _Group()
                group.files.append(file)
                group.bytes += file_bytes
            if group.files:
                units.append([position, group.write(item.folder, len(units)), group.bytes])
        item.stats |= {"units": units, "digest": digest.hexdigest()}
    return digest.hexdigest()


@dataclass
class _Group:
    files: list[Found] = field(default_factory=list)
    bytes: int = 0

    def write(self, folder: Path, number: int) -> str:
        name = f"{number:06d}.pickle"
        (folder / name).write_bytes(pickle.dumps(self.files, pickle.HIGHEST_PROTOCOL))
        return name


def units_of(listing: Item) -> list[Unit]:
    return [Unit(*fields) for fields in listing.stats["units"]]


def files_of(unit: Unit, listing: Item) -> list[Found]:
    """The files of a unit.

    Raises:
        Damaged: the listing is not what was written.
    """
    found: list[Found] = pickle.loads(listing.read(unit.listed))
    return found


def _note(digest: hashlib._Hash, source: Source, file: Found) -> None:
    if isinstance(file, SourceFile):
        digest.update(canonical_json([source.name, file.name, file.version]))
