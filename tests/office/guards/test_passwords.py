"""Which passwords are taken, and what checking one tells an attacker."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest
from argon2 import PasswordHasher

from kiban.kit.errors import BadInput
from kiban.office.errors import Invalid
from kiban.office.guards.passwords import PasswordHashing, check_password, read_blocklist

ABOUT = ("hanako.yamada@example.co.jp", "山田花子", "株式会社みらい計算機")


def cheap() -> PasswordHashing:
    return PasswordHashing(passes=1, memory_kib=64, lanes=1)


def test_only_the_right_password_is_right() -> None:
    hashing = cheap()
    stored = hashing.hash("馬の電池は正しいホチキス")
    assert stored.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert hashing.verify(stored, "馬の電池は正しいホチキス")
    assert not hashing.verify(stored, "馬の電池は正しいホチキズ")
    assert hashing.hash("x") != hashing.hash("x")


def test_typed_another_way_it_is_the_same_password() -> None:
    hashing = cheap()
    assert hashing.verify(hashing.hash("ガッコウ ABC"), "ｶﾞｯｺｳ ＡＢＣ")


def test_an_unknown_account_costs_one_hash_as_a_known_one_does() -> None:
    hashing = cheap()
    stored = hashing.hash("a long enough sentence")
    with patch.object(PasswordHasher, "verify", autospec=True, side_effect=PasswordHasher.verify) as verify:
        assert not hashing.verify(stored, "wrong")
        assert not hashing.verify(None, "nobody's password")
        assert not hashing.verify(stored, "x" * 5000)
    assert verify.call_count == 3


def test_a_broken_hash_is_no_password() -> None:
    assert not cheap().verify("$argon2id$nonsense", "x")


def test_other_costs_are_outdated() -> None:
    stored = cheap().hash("x")
    assert not cheap().outdated(stored)
    assert PasswordHashing(passes=2, memory_kib=64, lanes=1).outdated(stored)
    assert cheap().outdated("!")


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "password",
        "P@ssw0rd2026!",
        "1qaz2wsx3edc",
        "qwertyuiop123",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "13131313",
        "abcdefghijkl",
        "9876543210",
        "Sakura-2026",
        "ｐａｓｓｗｏｒｄ",
        "hanako.yamada1",
        "yamada2026",
        "山田花子12345",
        "株式会社みらい計算機",
        "x" * 1025,
        "tro\x00ubador and horse",
    ],
)
def test_what_would_be_guessed_is_refused(password: str) -> None:
    with pytest.raises(Invalid):
        check_password(password, second_factor=True, about=ABOUT)


@pytest.mark.parametrize(
    "password", ["Tr0ub4dor&3", "窓辺の猫は七時に起きる", "plover kettle", "k7#Vq2mZ", "plover kettle moss " * 50]
)
def test_what_would_not_is_taken(password: str) -> None:
    check_password(password, second_factor=True, about=ABOUT)


def test_without_a_second_factor_fifteen_characters_are_needed() -> None:
    check_password("plover kettle moss", second_factor=False)
    with pytest.raises(Invalid, match="15"):
        check_password("plover kettle", second_factor=False)


def test_the_operators_own_list(tmp_path: Path) -> None:
    path = tmp_path / "leaked.txt"
    path.write_text("Plover Kettle\n", encoding="utf-8")
    with pytest.raises(Invalid, match="first that are tried"):
        check_password("plover kettle", second_factor=True, blocklist=read_blocklist(path))
    with pytest.raises(BadInput):
        read_blocklist(tmp_path / "none")
