from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kiban.make.model.checkpoint import load_checkpoint, save_checkpoint


def save(folder: Path, *steps: int) -> None:
    for step in steps:
        save_checkpoint(folder, step, {"weights": torch.full((100,), float(step)), "note": {"step": step}})


def loaded_step(folder: Path) -> int | None:
    found = load_checkpoint(folder)
    if found is None:
        return None
    step, state = found
    assert state["note"] == {"step": step}
    assert (state["weights"] == step).all()
    return step


def test_the_newest_is_found_and_two_are_kept(tmp_path: Path) -> None:
    assert loaded_step(tmp_path) is None
    save(tmp_path, 5, 90, 100, 1000)
    assert loaded_step(tmp_path) == 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000100", "step-00001000"]


def truncate(path: Path) -> None:
    (path / "state.pt").write_bytes((path / "state.pt").read_bytes()[:-1])


def flip(path: Path) -> None:
    data = bytearray((path / "state.pt").read_bytes())
    data[len(data) // 2] ^= 1
    (path / "state.pt").write_bytes(data)


def forget(path: Path) -> None:
    (path / "checkpoint.json").unlink()


def garble(path: Path) -> None:
    (path / "checkpoint.json").write_text('{"step": 10')


@pytest.mark.parametrize("damage", [truncate, flip, forget, garble])
def test_a_damaged_newest_falls_back_and_says_so(
    tmp_path: Path, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path, 5, 10)
    damage(tmp_path / "step-00000010")
    assert loaded_step(tmp_path) == 5
    assert "step-00000010 is damaged" in capsys.readouterr().err
    save(tmp_path, 10)  # reached again
    assert loaded_step(tmp_path) == 10


def test_all_damaged_is_as_none(tmp_path: Path) -> None:
    save(tmp_path, 5, 10)
    for path in tmp_path.iterdir():
        truncate(path)
    assert load_checkpoint(tmp_path) is None


def test_a_half_written_one_is_not_looked_at(tmp_path: Path) -> None:
    save(tmp_path, 5)
    half = tmp_path / ".step-00000010.tmp"
    half.mkdir()
    (half / "state.pt").write_bytes(b"half")
    assert loaded_step(tmp_path) == 5
    save(tmp_path, 10)
    assert loaded_step(tmp_path) == 10
