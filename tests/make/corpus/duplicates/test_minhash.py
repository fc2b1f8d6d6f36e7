from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.make.corpus.duplicates import minhash
from kiban.make.corpus.duplicates.folding import fold, fold_all, table
from kiban.make.corpus.duplicates.minhash import BANDS, ROWS, band_hashes, jaccard, shingles
from kiban.make.corpus.letters import letters

TEXTS = st.lists(st.text("あいうアイ漢字AaBb09 、。\n!𠮷😀", max_size=40), max_size=5)


def of(text: str, width: int = 5) -> np.ndarray:  # type: ignore[type-arg]
    return shingles(letters([text]).codes, width)


def plain_set(text: str, width: int) -> set[str]:
    """The shingles by the words of the docstring."""
    kept = "".join(one.lower() for one in text if one.isalnum())
    return {kept[at : at + width] for at in range(len(kept) - width + 1)} or ({kept} - {""})


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.integers(2, 7))
def test_both_forms_agree(texts: list[str], width: int) -> None:
    documents = letters(texts)
    top = minhash._powers(width)[-1]
    for text in texts:
        codes = letters([text]).codes
        one, other = (
            form(codes, table(), width, top) for form in (minhash._shingles.compiled, minhash._shingles.fallback)
        )
        assert one.tolist() == other.tolist()
    arguments = (documents.codes, documents.starts, table(), width, top, *minhash._permutations())
    compiled, plain = minhash._minima.compiled(*arguments), minhash._minima.fallback(*arguments)
    assert all((one == other).all() for one, other in zip(compiled, plain, strict=True))


@pytest.mark.parametrize("width", [2, 5, 32])
def test_both_forms_agree_on_texts_of_several_blocks(width: int) -> None:
    """A shingle may begin in one block and end in the next, or the one after, where few characters count."""
    source = random.Random(width)
    borders = (minhash.BLOCK + one for one in (-1, 0, 1, width - 1, width))
    texts = ["".join(chr(source.randrange(0x4E00, 0x9F00)) for _ in range(length)) for length in borders]
    texts.append("".join(source.choices("漢字かな、。 ", k=3 * minhash.BLOCK)))
    texts.append(
        "、" * (2 * minhash.BLOCK) + "漢" + "、" * minhash.BLOCK + "字であるが長くはない" + "。" * minhash.BLOCK
    )
    texts.append("。" * minhash.BLOCK)
    documents = letters(texts)
    top = minhash._powers(width)[-1]
    arguments = (documents.codes, documents.starts, table(), width, top, *minhash._permutations())
    compiled, plain = minhash._minima.compiled(*arguments), minhash._minima.fallback(*arguments)
    assert all((one == other).all() for one, other in zip(compiled, plain, strict=True))


@settings(max_examples=200, deadline=None)
@given(st.text("あいう漢ABab1 。\n", max_size=40), st.text("あいう漢ABab1 。\n", max_size=40), st.integers(2, 6))
def test_jaccard_is_that_of_the_sets_of_strings(first: str, second: str, width: int) -> None:
    one, other = plain_set(first, width), plain_set(second, width)
    assert len(of(first, width)) == len(one)
    expected = len(one & other) / len(one | other) if one and other else 0.0
    assert jaccard(of(first, width), of(second, width)) == expected


def test_layout_punctuation_and_case_do_not_count() -> None:
    first = letters(["Kibanは、日本語の基盤モデルを作る。\n二行目です!"])
    second = letters(["KIBANは 日本語の「基盤モデル」を作る\n\n 二行目です😀\ufe0f"])
    assert (band_hashes(first, 5) == band_hashes(second, 5)).all()
    assert (
        band_hashes(letters(["日本語の基盤モデルを直す"]), 5) != band_hashes(letters(["日本語の基盤モデルを作る"]), 5)
    ).any()


def test_texts_shorter_than_a_shingle() -> None:
    hashes = band_hashes(letters(["はい。", "はい", "いいえ", "", "。。。", "は"]), 5)
    assert (hashes[0] == hashes[1]).all()
    assert (hashes[0] != hashes[2]).all()
    assert not hashes[3:5].any()
    assert hashes[5].all()
    assert jaccard(of(""), of("")) == 0


def test_a_document_does_not_depend_on_its_neighbours() -> None:
    texts = ["東京の天気は晴れです。", "", "短い", "大阪の天気は雨のち曇りです。"]
    together = band_hashes(letters(texts), 5)
    alone = np.concatenate([band_hashes(letters([text]), 5) for text in texts])
    assert (together == alone).all()


def test_folding_one_and_all_agree() -> None:
    codes = np.array([*range(0x20, 0x3100), *range(0x1F000, 0x1FB10, 7), 0x20BB7, 0xE0101], np.uint32)
    folded, places = fold_all(codes)
    expected = [int(fold(code, table())) for code in codes]
    assert folded.tolist() == [code for code in expected if code]
    assert places.tolist() == [place for place, code in enumerate(expected) if code]


@pytest.mark.parametrize("similarity", [0.8, 0.5])
def test_share_of_candidates_is_that_of_theory(similarity: float) -> None:
    """Sets of known similarity, of random ideographs: 1 - (1 - s^6)^20 of the pairs share a band."""
    source = random.Random(5)
    size, pairs = 400, 400
    common = round(2 * size * similarity / (1 + similarity))
    texts = []
    for _ in range(pairs):
        shared = "".join(chr(source.randrange(0x4E00, 0x9F00)) for _ in range(common + 4))
        for _ in range(2):
            own = "".join(chr(source.randrange(0x4E00, 0x9F00)) for _ in range(size - common - 4))
            texts.append(shared + own)
    hashes = band_hashes(letters(texts), 5)
    found = (hashes[0::2] == hashes[1::2]).any(axis=1).mean()
    true = np.mean([jaccard(of(one), of(other)) for one, other in zip(texts[::2], texts[1::2], strict=True)])
    expected = 1 - (1 - true**ROWS) ** BANDS
    assert found == pytest.approx(expected, abs=3.5 * (expected * (1 - expected) / pairs) ** 0.5 + 0.003)


def test_hashes_stay_what_finished_corpora_keep() -> None:
    """Another value here makes the fingerprints of all finished corpora useless: then SEED has to change too."""
    hashes = band_hashes(letters(["東京の天気は晴れです。"]), 5)
    assert f"{hashes[0, 0]:016x} {hashes[0, 19]:016x}" == "8c6cc4d8f092fa00 93724b82ff598820"


def test_unrelated_documents_are_no_candidates(japanese: Callable[..., list[str]]) -> None:
    hashes = band_hashes(letters(japanese(200, 60)), 5)
    assert len(np.unique(hashes)) > 0.98 * hashes.size
