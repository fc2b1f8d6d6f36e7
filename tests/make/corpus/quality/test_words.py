from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.kit.errors import BadInput
from kiban.make.corpus.quality.words import Boundaries, WordCounter, WordList, longest_first, read_words


def hits(words: list[str], text: str, boundaries: Boundaries = "none") -> tuple[int, int]:
    found, letters = WordCounter([WordList("words", tuple(words), boundaries)]).count(text)
    return found[0], letters[0]


def test_katakana_words_stand_at_katakana_boundaries() -> None:
    assert hits(["インポ"], "データをインポートする。") == (1, 3)
    assert hits(["インポ"], "データをインポートする。", "katakana") == (0, 0)
    assert hits(["インポ"], "それはインポだ、インポ。エインポ", "katakana") == (2, 6)
    assert hits(["穴"], "落とし穴穴", "katakana") == (2, 2)


def test_latin_words_stand_at_latin_boundaries() -> None:
    assert hits(["sex"], "Essex sextet sex、sex2") == (4, 12)
    assert hits(["sex"], "Essex sextet sex、sex2", "script") == (1, 3)


def test_lists_are_counted_apart_and_share_words() -> None:
    counter = WordCounter([WordList("a", ("犬", "猫")), WordList("b", ("猫", "子猫")), WordList("c", ())])
    assert counter.count("子猫と犬") == ([2, 1, 0], [2, 2, 0])
    assert counter.measure(["", "猫"]).tolist() == [[[0, 0], [0, 0], [0, 0]], [[1, 1], [1, 1], [0, 0]]]


words = st.lists(st.text(st.sampled_from("アイあいー.a"), min_size=1, max_size=3), min_size=1, max_size=8)


@given(words, st.text(st.sampled_from("アイあいー.ab"), max_size=40), st.booleans())
@settings(max_examples=300, deadline=None)
def test_counts_are_those_of_a_regular_expression(words: list[str], text: str, bounded: bool) -> None:
    words = list(dict.fromkeys(words))
    inside = "(?<![ァ-ヴー])(?:%s)(?![ァ-ヴー])"
    parts = [
        inside % re.escape(word) if bounded and re.fullmatch("[ァ-ヴー]+", word) else re.escape(word) for word in words
    ]
    found = re.findall("|".join(parts), text)
    expected = len(found), sum(map(len, found))
    assert hits(words, text, "katakana" if bounded else "none") == expected
    longest = max((word for word in words if text.startswith(word)), key=len, default="")
    if longest:
        assert hits(list(longest_first(words)), text[: len(longest)]) == (1, len(longest))


def test_a_list_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\ufeff猫 \n\n犬\n猫\n", encoding="utf-8")
    assert read_words(path) == ("猫", "犬")
    path.write_bytes(b"\x83\x47")
    with pytest.raises(BadInput, match="not UTF-8"):
        read_words(path)
    path.write_text("\n \n")
    with pytest.raises(BadInput, match="empty"):
        read_words(path)
    with pytest.raises(BadInput, match="no such word list"):
        read_words(tmp_path / "other.txt")
