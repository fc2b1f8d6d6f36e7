from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kiban.office.search.grams import fold, query_grams, text_grams, to_words

from .test_search import LETTERS


@given(LETTERS)
def test_folding_is_done_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(LETTERS, st.integers(0, 12), st.integers(1, 8))
def test_a_piece_of_a_text_has_only_its_grams(text: str, at: int, length: int) -> None:
    folded = fold(text)
    for of_title in (False, True):
        for word in folded[at : at + length].split():
            assert query_grams([word], of_title=of_title) <= text_grams(folded, of_title=of_title)


def test_titles_and_texts_are_told_apart() -> None:
    assert not text_grams("医療モデル") & text_grams("医療モデル", of_title=True)


def test_pairs_that_a_text_has_apart_do_not_make_it_a_candidate() -> None:
    """A sentence of common pairs would otherwise be looked for in every text."""
    text = "学習を評価し、習のある書の学。"
    assert query_grams(["学習", "習の", "の学"]) <= text_grams(text)
    assert not query_grams(["学習の学"]) <= text_grams(text)


@given(st.sets(st.integers(0, 2**24 - 1)))
def test_words_of_an_index_are_as_many_as_the_grams(grams: set[int]) -> None:
    assert [int(word, 16) for word in to_words(grams).split()] == sorted(grams)
