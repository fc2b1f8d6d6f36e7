from __future__ import annotations

import numpy as np

from kiban.office.reviews.affinity import Subject, affinities

MEDICINE = Subject(frozenset({"medicine", "医療"}), "電子カルテを要約する医療用の大規模言語モデル")
LAW = Subject(frozenset({"law", "法律"}), "判例検索のための埋め込みモデル")


def test_words_find_the_texts_that_hold_them() -> None:
    found = affinities([MEDICINE, LAW], [["電子カルテ"], ["判例検索"], ["ロボット"], []])
    assert found[0, 0] == 1
    assert found[1, 1] == 1
    assert found[0, 1] < 0.2
    assert found[1, 0] < 0.2
    assert (found[:, 2:] == 0).all()


def test_a_theme_counts_by_key_and_by_name_in_any_width_and_case() -> None:
    found = affinities([Subject(frozenset({"medicine", "ＡＩ創薬"}), "")], [["Medicine"], ["AI創薬"], ["law"]])
    assert found.tolist() == [[0.5, 0.5, 0.0]]


def test_rare_words_count_more_than_common_ones() -> None:
    texts = [Subject(frozenset(), f"言語モデル{name}") for name in ("肝臓", "判例", "気象", "農業")]
    found = affinities(texts, [["言語肝臓"]])
    assert found[0, 0] > found[1, 0] > 0
    assert found[1, 0] < 0.4


def test_more_words_do_not_drown_a_good_match() -> None:
    few = affinities([MEDICINE, LAW], [["電子カルテ", "医療", "言語モデル"]])
    many = affinities([MEDICINE, LAW], [["電子カルテ", "医療", "言語モデル", *(f"分野{n}" for n in range(20))]])
    assert np.allclose(few[0], many[0])


def test_nothing_to_compare_is_no_affinity() -> None:
    assert affinities([], [["a"]]).shape == (0, 1)
    assert affinities([Subject(frozenset(), "")], [["a"], []]).tolist() == [[0.0, 0.0]]
