"""The compiled loop against its NumPy twin, and against regular expressions."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kiban.make.corpus.letters import letters
from kiban.make.corpus.privacy.lexicon import (
    NAME,
    NUMBER,
    SEPARATORS,
    SIGN,
    SORTS,
    SURNAME,
    TOKENS,
    WORD,
    Strings,
    lexicon,
    sorted_words,
    spelt,
)
from kiban.make.corpus.privacy.scan import look

TEXTS = st.lists(st.text("09５-－() 　.．aZ:@＠あ中𠮷/=", max_size=40), max_size=5)
WORDS = sorted_words(["佐藤", "藤太", "佐藤太郎", "藤", "氏名", "氏", "小野市", "小野", "-----B", "郎さく"])
SURNAMES = Strings(spelt(["佐藤", "藤", "森", "小野", "小野寺", "勅使河原"]))
GIVEN = Strings(spelt(["太郎", "郎", "さくら", "花", "龍之介", "一"]))
LEXICON = lexicon(WORDS, SURNAMES, GIVEN)
NOTHING = lexicon([], Strings(spelt([])), Strings(spelt([])))
NAMED = st.lists(st.text("佐藤森小野寺勅使河原太郎さくら花龍之介一 　様氏名市はの。:𠮷-B", max_size=20), max_size=5)
Rows = list[tuple[int, ...]]


def both(texts: list[str]) -> dict[int, list[Rows]]:
    """What is seen in each text, by sort; equal compiled and not."""
    given_letters = letters(texts)
    seen: list[list[Rows]] = []
    for run in (look.compiled, look.fallback):
        rows = run(given_letters.codes, given_letters.starts, LEXICON)
        assert rows.dtype == np.int64
        columns: list[Rows] = [[] for _ in range(SORTS * len(texts))]
        for place, *row in rows.tolist():
            columns[place].append(tuple(row))
        seen.append(columns)
    assert seen[0] == seen[1]
    return {sort: seen[0][sort::SORTS] for sort in range(SORTS)}


def spans(texts: list[str], sort: int) -> list[list[tuple[int, ...]]]:
    return [[row[:2] for row in rows] for rows in both(texts)[sort]]


@given(TEXTS)
@example([])
@example(["1.2.3.4", "1234567", "123456"])
@example(["12-34（56）7", "12---34567", "1", "2345678"])
@settings(max_examples=300, deadline=None)
def test_numbers(texts: list[str]) -> None:
    separators = re.escape(SEPARATORS)
    for text, found in zip(texts, spans(texts, NUMBER), strict=True):
        expected = []
        for match in re.finditer(f"[0-9０-９](?:[{separators}]{{0,2}}[0-9０-９])*", text):
            digits = sum(each.isdigit() for each in match[0])
            dots = sum(each in ".．" for each in match[0])
            if digits >= 7 or (digits >= 4 and dots >= 3):
                expected.append(match.span())
        assert found == expected


@given(TEXTS)
@example(["a" * 15 + "0", "a" * 16, "0" * 16, "::1:ab"])
@example(["0" + "a" * 15, "a" * 8 + "0" + "a" * 7, "a" * 15, "0"])
@settings(max_examples=300, deadline=None)
def test_tokens(texts: list[str]) -> None:
    for text, found in zip(texts, spans(texts, TOKENS), strict=True):
        expected = []
        for match in re.finditer(r"[A-Za-z0-9_./+=:~%-]+", text):
            run = match[0]
            long = len(run) >= 16 and re.search("[0-9]", run) and re.search("[A-Za-z]", run)
            if long or (run.count(":") >= 2 and len(run) >= 6 and re.search("[0-9]", run)):
                expected.append(match.span())
        assert found == expected


@given(TEXTS)
@example(["a", "@b", "a@@b", "a＠", "＠＠", "Ａ@あ", "あ@a"])
@settings(max_examples=300, deadline=None)
def test_signs(texts: list[str]) -> None:
    for text, found in zip(texts, spans(texts, SIGN), strict=True):
        assert found == [match.span() for match in re.finditer("(?<=[!-?A-~！-？Ａ-～])[@＠]", text)]


@given(NAMED)
@example(["佐藤太郎", "佐", "藤太", "", "佐藤太", "-" * 8 + "B"])
@settings(max_examples=400, deadline=None)
def test_words_are_the_longest_from_the_left(texts: list[str]) -> None:
    longest_first = re.compile("|".join(sorted(WORDS, key=len, reverse=True)))
    for text, rows in zip(texts, both(texts)[WORD], strict=True):
        assert [(begin, end, WORDS[number]) for begin, end, number, *_ in rows] == [
            (*match.span(), match[0]) for match in longest_first.finditer(text)
        ]


def test_an_empty_lexicon_sees_numbers() -> None:
    text = letters(["佐藤太郎 1234567"])
    for run in (look.compiled, look.fallback):
        assert run(text.codes, text.starts, NOTHING).tolist() == [[NUMBER, 5, 12, 0, 0, 0]]


@given(NAMED)
@settings(max_examples=400, deadline=None)
def test_names_are_the_same_compiled_or_not(texts: list[str]) -> None:
    both(texts)


@pytest.mark.parametrize(
    ("text", "sort", "expected"),
    [
        ("佐藤太郎", NAME, [(0, 2, 0, 2), (1, 2, 0, 2)]),  # the second is dropped later: it lies inside the first
        ("小野寺 さくら。", NAME, [(0, 3, 1, 3)]),
        ("小野花", NAME, [(0, 2, 0, 1)]),
        ("勅使河原龍之介様", NAME, [(0, 4, 0, 3)]),
        ("佐藤太郎丸", NAME, [(0, 2, 0, 0)]),  # 郎 is followed by another kanji: no given name
        ("佐藤。", SURNAME, [(0, 2, 0, 0)]),
        ("佐藤", SURNAME, [(0, 2, 0, 0)]),
        ("佐藤。", NAME, []),
        ("森は", NAME, []),
        ("森は", SURNAME, []),
        ("森様", NAME, [(0, 1, 0, 0)]),
        ("大森様", NAME, []),
        ("", NAME, []),
    ],
)
def test_names(text: str, sort: int, expected: list[tuple[int, ...]]) -> None:
    assert [(begin, end, gap, more) for begin, end, _, gap, more in both([text])[sort][0]] == expected


def test_a_set_of_names_knows_its_members() -> None:
    names = [f"{chr(0x4E00 + first)}{chr(0x5000 + second)}" for first in range(60) for second in range(60)]
    found = Strings(spelt([*names, "五文字の名", "𠮷田"]))
    assert sorted(found.number(name) for name in names) == list(range(3600))
    assert found.number("𠮷田") == found.number("五文字の名") == found.number("無名") == found.number("") == -1
