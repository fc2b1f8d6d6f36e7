"""The compiled loops against their NumPy twins, and against regular expressions."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kiban.make.corpus.letters import letters
from kiban.make.corpus.privacy import scan

TABLE = scan.flags()
TEXTS = st.lists(st.text("09５-－() 　.．aZ:あ中𠮷/=", max_size=40), max_size=5)
SURNAMES = scan.Names(["佐藤", "藤", "森", "小野", "小野寺", "勅使河原"])
GIVEN = scan.Names(["太郎", "郎", "さくら", "花", "龍之介", "一"])
NAMED = st.lists(st.text("佐藤森小野寺勅使河原太郎さくら花龍之介一 　様氏はの。:𠮷", max_size=20), max_size=5)


def both(function: Any, texts: list[str], *more: Any) -> list[list[int]]:
    given_letters = letters(texts)
    arguments = (given_letters.codes, given_letters.starts, TABLE, *more)
    first, second = function.compiled(*arguments), function.fallback(*arguments)
    for one, other in zip(first, second, strict=True):
        assert one.dtype == other.dtype == np.int64
        assert one.tolist() == other.tolist()
    return [column.tolist() for column in first]


@given(TEXTS)
@example([])
@example(["1.2.3.4", "1234567", "123456"])
@example(["12-34（56）7", "12---34567", "1", "2345678"])
@settings(max_examples=300, deadline=None)
def test_number_groups(texts: list[str]) -> None:
    begins, ends = both(scan.number_groups, texts)
    separators = re.escape(scan.SEPARATORS)
    expected, offset = [], 0
    for text in texts:
        for match in re.finditer(f"[0-9０-９](?:[{separators}]{{0,2}}[0-9０-９])*", text):
            digits = sum(each.isdigit() for each in match[0])
            dots = sum(each in ".．" for each in match[0])
            if digits >= 7 or (digits >= 4 and dots >= 3):
                expected.append((offset + match.start(), offset + match.end()))
        offset += len(text)
    assert list(zip(begins, ends, strict=True)) == expected


@given(TEXTS)
@example(["a" * 15 + "0", "a" * 16, "0" * 16, "::1:ab"])
@settings(max_examples=300, deadline=None)
def test_tokens(texts: list[str]) -> None:
    begins, ends = both(scan.tokens, texts)
    expected, offset = [], 0
    for text in texts:
        for match in re.finditer(r"[A-Za-z0-9_./+=:~%-]+", text):
            run = match[0]
            long = len(run) >= 16 and re.search("[0-9]", run) and re.search("[A-Za-z]", run)
            if long or (run.count(":") >= 2 and len(run) >= 6 and re.search("[0-9]", run)):
                expected.append((offset + match.start(), offset + match.end()))
        offset += len(text)
    assert list(zip(begins, ends, strict=True)) == expected


def hits(texts: list[str]) -> list[list[int]]:
    return both(
        scan.name_hits, texts, SURNAMES.starts, SURNAMES.slots, SURNAMES.numbers, GIVEN.slots, GIVEN.numbers
    )  # fmt: skip


@given(NAMED)
@settings(max_examples=400, deadline=None)
def test_name_hits_are_the_same_compiled_or_not(texts: list[str]) -> None:
    hits(texts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("佐藤太郎", [(0, 2, 0, 2), (1, 1, 0, 2)]),  # the second is dropped later: it lies inside the first
        ("小野寺 さくら。", [(0, 3, 1, 3)]),
        ("小野花", [(0, 2, 0, 1)]),
        ("勅使河原龍之介様", [(0, 4, 0, 3)]),
        ("佐藤太郎丸", [(0, 2, 0, 0)]),  # 郎 is followed by another kanji: no given name
        ("森は", []),
        ("森様", [(0, 1, 0, 0)]),
        ("大森様", []),
        ("", []),
    ],
)
def test_name_hits(text: str, expected: list[tuple[int, ...]]) -> None:
    found = hits([text])
    assert list(zip(*found[:4], strict=True)) == expected


def test_a_set_of_names_knows_its_members() -> None:
    names = [f"{chr(0x4E00 + first)}{chr(0x5000 + second)}" for first in range(60) for second in range(60)]
    found = scan.Names([*names, "五文字の名", "𠮷田"])
    assert sorted(found.number(name) for name in names) == list(range(3600))
    assert found.number("𠮷田") == found.number("五文字の名") == found.number("無名") == found.number("") == -1
