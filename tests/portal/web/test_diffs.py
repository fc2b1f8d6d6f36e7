from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kiban.portal.web.diffs import MOST_PIECES, Piece, shortened, text_diff

WORDS = ("基盤", "モデル", "を", "学習", "する。", "GPU ", "1,024", "\n", "渡邉󠄂", "👩‍🔬", "é", " ")
texts = st.lists(st.sampled_from(WORDS), max_size=30).map("".join)


@given(texts, texts)
def test_both_versions_can_be_read_from_it(before: str, after: str) -> None:
    pieces = text_diff(before, after)
    assert "".join(piece.text for piece in pieces if piece.kind != "added") == before
    assert "".join(piece.text for piece in pieces if piece.kind != "removed") == after
    assert all(one.kind != other.kind for one, other in pairwise(pieces))


def test_words_are_not_torn() -> None:
    assert text_diff("10億のモデルを作る。\n変わらない。", "30億のモデルをつくる。\n変わらない。") == [
        Piece("removed", "10"),
        Piece("added", "30"),
        Piece("same", "億のモデル"),
        Piece("removed", "を作る"),
        Piece("added", "をつくる"),
        Piece("same", "。\n変わらない。"),
    ]


def test_a_letter_stays_with_its_variation() -> None:
    # 邉 with a selector is another glyph of the same letter; torn apart, the selector would stand alone.
    assert text_diff("渡邉さん", "渡邉󠄂さん") == [
        Piece("same", "渡"),
        Piece("removed", "邉"),
        Piece("added", "邉󠄂"),
        Piece("same", "さん"),
    ]


def test_what_has_nothing_in_common_is_replaced_whole() -> None:
    assert text_diff("東京都の病院と組む。", "New text, all of it.") == [
        Piece("removed", "東京都の病院と組む。"),
        Piece("added", "New text, all of it."),
    ]


def test_a_paragraph_too_long_to_match_is_replaced() -> None:
    before, after = "漢" * (MOST_PIECES + 1), "漢" * (MOST_PIECES + 2)
    assert text_diff(before, after) == [Piece("removed", before), Piece("added", after)]


def test_long_stretches_without_changes_are_left_out() -> None:
    same = Piece("same", "あ" * 500)
    pieces = [same, Piece("added", "新"), same, Piece("removed", "旧"), Piece("same", "短い")]
    assert shortened(pieces, around=80) == [
        None,
        Piece("same", "あ" * 80),
        Piece("added", "新"),
        Piece("same", "あ" * 80),
        None,
        Piece("same", "あ" * 80),
        Piece("removed", "旧"),
        Piece("same", "短い"),
    ]
