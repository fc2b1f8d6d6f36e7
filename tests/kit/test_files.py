"""Whole files: what takes the place of what."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kiban.kit.errors import BadInput
from kiban.kit.files import write_atomically


def test_a_file_is_replaced_whole_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    write_atomically(path, "old")
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_regular_file_is_never_replaced(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path, says in ((pipe, "no regular file"), (link, "no regular file"), (tmp_path, "is a folder")):
        with pytest.raises(BadInput, match=says):
            write_atomically(path, "x")
    assert pipe.is_fifo()
    assert link.is_symlink()
    with pytest.raises(BadInput, match="names no file"):
        write_atomically(Path(), "x")
