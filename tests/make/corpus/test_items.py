from __future__ import annotations

import errno
from pathlib import Path

import pytest

from kiban.make.corpus.items import Damaged, Item, find, making


def make(folder: Path, content: bytes, key: str = "key") -> Item:
    with making(folder, key) as item:
        (item.folder / "data").write_bytes(content)
        item.stats["bytes"] = len(content)
    found = find(folder, key)
    assert found is not None
    return found


def test_an_item_is_found_by_what_it_was_made_from(tmp_path: Path) -> None:
    folder = tmp_path / "phase" / "000001"
    assert find(folder, "key") is None
    assert make(folder, b"content").read("data") == b"content"
    assert find(folder, "another") is None
    assert make(folder, b"more", "another").stats == {"bytes": 4}
    assert [path.name for path in folder.parent.iterdir()] == ["000001"]


@pytest.mark.parametrize("damage", ["flipped", "cut", "longer", "gone"])
def test_what_the_disk_changed_is_not_used(tmp_path: Path, damage: str) -> None:
    item = make(tmp_path / "item", bytes(range(256)) * 100)
    path = tmp_path / "item" / "data"
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[12_345] ^= 1
    path.write_bytes(content[:-1] if damage == "cut" else content + b"x" if damage == "longer" else content)
    if damage == "gone":
        path.unlink()
    with pytest.raises(Damaged) as caught:
        item.read("data")
    assert (caught.value.folder, caught.value.name) == (tmp_path / "item", "data")


@pytest.mark.parametrize("manifest", [b"", b"{", b"[]", b"null", b'{"key": "key"}'])
def test_a_broken_manifest_is_no_item(tmp_path: Path, manifest: bytes) -> None:
    make(tmp_path / "item", b"content")
    (tmp_path / "item" / "item.json").write_bytes(manifest)
    assert find(tmp_path / "item", "key") is None


def test_nothing_is_left_of_an_item_that_failed(tmp_path: Path) -> None:
    def fail() -> None:
        with making(tmp_path / "item", "key") as item:
            (item.folder / "data").write_bytes(b"half")
            raise OSError(errno.ENOSPC, "the disk is full")

    with pytest.raises(OSError):
        fail()
    assert list(tmp_path.iterdir()) == []
