"""Secrets at rest, and the file that opens them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiban.kit.errors import BadInput, Refused
from kiban.office.guards.secret_box import SecretBox

OLD, NEW = b"o" * 32, b"n" * 32


def test_only_in_its_own_place_is_a_secret_opened() -> None:
    box = SecretBox(OLD)
    sealed = box.seal(b"JBSWY3DP", "totp:1")
    assert b"JBSWY3DP" not in sealed.encode()
    assert box.open(sealed, "totp:1") == b"JBSWY3DP"
    assert box.seal(b"JBSWY3DP", "totp:1") != sealed
    with pytest.raises(Refused):
        box.open(sealed, "totp:2")


@pytest.mark.parametrize("position", [0, 3, 15, 30, -1])
def test_a_changed_secret_is_refused(position: int) -> None:
    sealed = SecretBox(OLD).seal(b"secret", "x")
    changed = list(sealed)
    changed[position] = "A" if changed[position] != "A" else "B"
    with pytest.raises(Refused):
        SecretBox(OLD).open("".join(changed), "x")


def test_keys_are_changed_without_losing_what_is_there() -> None:
    sealed = SecretBox(OLD).seal(b"secret", "x")
    both = SecretBox(NEW, OLD)
    assert both.open(sealed, "x") == b"secret"
    assert both.outdated(sealed)
    assert not both.outdated(both.seal(b"secret", "x"))
    with pytest.raises(Refused, match="key"):
        SecretBox(NEW).open(sealed, "x")


def test_the_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / "office.key"
    sealed = SecretBox.from_file(path).seal(b"secret", "x")
    assert path.stat().st_mode & 0o777 == 0o600
    assert SecretBox.from_file(path).open(sealed, "x") == b"secret"
    assert [entry.name for entry in path.parent.iterdir()] == ["office.key"]


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "office.key"
    SecretBox.from_file(path)
    path.chmod(0o640)
    with pytest.raises(Refused, match="chmod 600"):
        SecretBox.from_file(path)


@pytest.mark.parametrize("content", ["", "short", "日本"])
def test_a_file_without_keys(tmp_path: Path, content: str) -> None:
    path = tmp_path / "office.key"
    path.write_text(content, encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(BadInput):
        SecretBox.from_file(path)
