from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.kit.errors import BadInput
from kiban.make.corpus.letters import letters
from kiban.make.corpus.quality.words import Boundaries, WordCounter, WordList, find, longest_first, read_words


def hits(words: list[str], text: str, boundaries: Boundaries = "none") -> tuple[int, int]:
    found = measure(WordCounter([WordList("words", tuple(words), boundaries)]), [text])[0][0]
    return found[0], found[1]


def measure(counter: WordCounter, texts: list[str]) -> list[list[list[int]]]:
    """[texts, lists, 2], of the compiled loop and of the fallback alike."""
    own = letters(texts)
    arguments = (own.codes, own.starts[:-1], own.starts[1:])
    found = counter.measure(*arguments)
    assert np.array_equal(found, find.compiled(*arguments, counter._trie, found.shape[1]))
    assert np.array_equal(found, find.fallback(*arguments, counter._trie, found.shape[1]))
    told: list[list[list[int]]] = found.tolist()
    return told


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
    assert measure(counter, ["子猫と犬"]) == [[[2, 2], [1, 2], [0, 0]]]
    assert measure(counter, ["", "猫"]) == [[[0, 0], [0, 0], [0, 0]], [[1, 1], [1, 1], [0, 0]]]
    assert measure(WordCounter([WordList("c", ())]), ["猫"]) == [[[0, 0]]]


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


cased = st.text("aAsSſiIİıkK\u212aéÉσςΣ ., \n", min_size=1, max_size=3)


@given(st.lists(cased, min_size=1, max_size=5), st.text("aAsSſiIİıkK\u212aéÉσςΣ ., \n", max_size=30))
@settings(max_examples=80, deadline=None)
def test_words_between_blanks_in_any_case_are_those_of_a_regular_expression(words: list[str], text: str) -> None:
    words = list(dict.fromkeys(words))
    pattern = f"(?:^| )(?:{'|'.join(map(re.escape, words))})(?:[ ,.]|$)"
    counter = WordCounter([WordList("words", tuple(words), "blanks")], ignore_case=True)
    for whole in (text, f"{text} {words[0].swapcase()}", f"{words[-1].lower()}\n"):
        found = measure(counter, [whole])[0][0][0] > 0
        assert found == (re.search(pattern, whole, re.IGNORECASE) is not None)


def test_letters_without_case_are_found_where_case_does_not_matter() -> None:
    counter = WordCounter([WordList("words", ("𠮷a", "-]"), "blanks")], ignore_case=True)
    assert measure(counter, ["𠮷A -] 𠮷"]) == [[[2, 4]]]


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
