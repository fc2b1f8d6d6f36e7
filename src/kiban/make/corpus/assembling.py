"""The artifact's files out of what the phases delivered, in their order."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kiban.make.corpus.config import CorpusConfig
from kiban.make.corpus.delivering import NEVER_HELD_OUT, CorpusFiles
from kiban.make.corpus.items import Item
from kiban.make.corpus.rights.ledger import Ledger
from kiban.make.corpus.tally import FATES, Split, Tally

# Tables beside the documents; parts of them without a row are left out.
BESIDE = ("dropped", "privacy")


def assemble(
    config: CorpusConfig, delivered: Sequence[Item], tallies: Mapping[str, Tally], ledger: Ledger, files: Path
) -> str | None:
    """Put the shards into the artifact; returns a remark about the split when there is one to make.

    The items keep their files (they are linked, not moved), so that a kill here costs nothing. A split that came out
    empty by chance gets the one document whose hash is nearest to it.

    Raises:
        Damaged: a file is not what was delivered.
    """
    placed: dict[tuple[Path, str], Path] = {}
    for fate in FATES:
        parts = [(item, name) for item in delivered for name in item.files if name.startswith(f"{fate}-")]
        for number, (item, name) in enumerate(parts):
            placed[item.folder, name] = _link(item, name, files / fate / f"{number:05d}.parquet")
    for what in BESIDE:
        name = f"{what}.parquet"
        parts = [(item, name) for item in delivered if pq.read_metadata(item.folder / name).num_rows]
        for number, (item, _) in enumerate(parts):
            _link(item, name, files / what / f"{number:05d}.parquet")
    kept = {split: sum(tally.kept[split]["documents"] for tally in tallies.values()) for split in ("train", "heldout")}
    if not kept["train"] and kept["heldout"]:
        _move("heldout", "train", delivered, placed, tallies, ledger)
        return "no document fell into train by its hash; the nearest one was taken"
    if kept["heldout"] or not config.heldout_fraction or not kept["train"]:
        return None
    if kept["train"] == 1:
        return "there is one document only; it is in train, and nothing is held out"
    if not _move("train", "heldout", delivered, placed, tallies, ledger):
        return "no document's source is cleared for `evaluate`; nothing is held out"
    return "no document fell into held-out by its hash; the nearest one was taken"


def _move(
    origin: Split,
    target: Split,
    delivered: Sequence[Item],
    placed: Mapping[tuple[Path, str], Path],
    tallies: Mapping[str, Tally],
    ledger: Ledger,
) -> bool:
    """Put the document nearest to `target` into a shard of its own there; whether there is one that may go."""
    found = [(*item.stats["nearest"][origin], item.folder) for item in delivered if origin in item.stats["nearest"]]
    share, sha256, name, source, folder = (min if origin == "train" else max)(found, key=lambda each: each[0])
    if share == NEVER_HELD_OUT:
        return False
    shard = placed[folder, name]
    table = pq.read_table(shard)
    is_it = pc.equal(table["sha256"], pa.scalar(bytes.fromhex(sha256), pa.binary(32)))
    alone, rest = table.filter(is_it), table.filter(pc.invert(is_it))
    shard.unlink()  # a link: the item keeps its file
    for part, path in ((rest, shard), (alone, shard.parents[1] / target / "00000.parquet")):
        if len(part):
            path.parent.mkdir(exist_ok=True)
            CorpusFiles.write_whole(part, path)
    characters, size = pc.sum(pc.utf8_length(alone["text"])).as_py(), pc.sum(pc.binary_length(alone["text"])).as_py()
    tallies[source].keep(origin, -characters, -size, documents=-len(alone))
    tallies[source].keep(target, characters, size, documents=len(alone))
    for row in alone["rights"].to_pylist():
        ledger.move(row, origin, target, characters, size)
    return True


def _link(item: Item, name: str, target: Path) -> Path:
    item.read(name)  # raises when it is damaged
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(item.folder / name, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(item.folder / name, target)
    return target
