"""The arithmetic of `benchmarks/corpus_training.py` and the raw text that it makes."""

from __future__ import annotations

import importlib
import math
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import stats

from kiban.make.corpus.normalise import normalise


def _benchmark(name: str) -> ModuleType:
    folder = str(Path(__file__).resolve().parents[3] / "benchmarks")
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(folder)


paired, raw_text = _benchmark("shared.paired_interval"), _benchmark("shared.raw_text")

CLEAN = [
    "".join(f"第{page}頁の{line}行目には、ポンプの点検について書いてある。\n" for line in range(40))
    for page in range(600)
]


@pytest.fixture(scope="module")
def pages() -> list[object]:
    made: list[object] = raw_text.make_raw(CLEAN, 3)
    return made


def test_every_clean_page_is_there_once_and_is_on_the_site_of_its_neighbours(pages):
    own = [page for page in pages if page.kind == "page"]
    assert sorted(page.origin for page in own) == list(range(len(CLEAN)))
    assert all(page.site == page.origin * raw_text.SITES // len(CLEAN) for page in own)


def test_the_shares_are_those_that_were_published(pages):
    counts = Counter(page.kind for page in pages)
    machine = sum(counts[kind] for kind in raw_text.MACHINES)
    for kind, share in (("identical", 0.222), ("similar", 0.292 - 0.222)):
        copied = {page.origin for page in pages if page.kind == kind}
        in_clusters = len(copied) + counts[kind]
        assert in_clusters / len(pages) == pytest.approx(share, rel=0.2)
    assert machine / len(pages) == pytest.approx(0.138, rel=0.1)
    damaged = Counter(page.damage for page in pages if page.damage)
    assert set(damaged) == {"decoding", "wrapped", "cut_off", "widths"}
    assert sum(damaged.values()) / len(pages) == pytest.approx(0.08, rel=0.4)


def test_what_a_site_adds_to_its_pages_is_about_a_twelfth_of_the_text(pages):
    own = [page for page in pages if page.kind == "page" and page.damage is None]
    total = sum(len(page.text.encode()) for page in own)
    clean = sum(len(CLEAN[page.origin].encode()) for page in own)
    assert 0.05 < 1 - clean / total < 0.12


def test_a_copy_holds_its_page_letter_for_letter_and_a_similar_one_does_not(pages):
    whole = [page for page in pages if page.damage is None and page.origin is not None]
    assert all(CLEAN[page.origin] in page.text for page in whole if page.kind in ("page", "identical"))
    similar = [page for page in whole if page.kind == "similar"]
    assert sum(CLEAN[page.origin] in page.text for page in similar) < len(similar) / 4


def test_the_seed_alone_decides(pages):
    assert raw_text.make_raw(CLEAN, 3) == pages
    assert raw_text.make_raw(CLEAN, 4) != pages


@pytest.mark.parametrize("seed", range(8))
def test_other_widths_are_the_same_text_in_normal_form(seed):
    text = "ポンプのガスケットを12 mmのボルトで締める(Type B)。ヴァイス、パッキン。"
    changed = raw_text._other_widths(text, np.random.default_rng(seed))
    assert changed != text
    assert normalise(changed) == normalise(text)


def test_wrapping_only_adds_line_ends_and_keeps_to_the_width():
    text = "点検は毎月行う。Check it monthly. " * 20
    wrapped = raw_text._wrapped(text, np.random.default_rng(1))
    assert wrapped.replace("\n", "") == text
    widths = [sum(2 if ord(letter) > 255 else 1 for letter in line) for line in wrapped.split("\n")]
    assert max(widths) <= 76
    assert min(widths[:-1]) >= 59


def test_with_all_documents_alike_the_interval_is_students_over_the_pairs():
    by_pair = np.array([3.0, 5.0, 4.0, 8.0, 6.0])
    low, high = paired.interval(np.repeat(by_pair[:, None], 50, 1), np.full(50, 2.0))
    half = stats.t.ppf(0.975, 4) * by_pair.std(ddof=1) / math.sqrt(5) / 2
    assert (low + high) / 2 == pytest.approx(by_pair.mean() / 2)
    assert (high - low) / 2 == pytest.approx(half, rel=0.04)


def test_with_all_pairs_alike_the_interval_is_that_of_the_documents():
    by_document = np.random.default_rng(2).normal(1.0, 3.0, 400)
    low, high = paired.interval(np.repeat(by_document[None], 4, 0), np.ones(400))
    half = stats.t.ppf(0.975, 3) * by_document.std() / math.sqrt(400)
    assert (high - low) / 2 == pytest.approx(half, rel=0.04)
    assert (low + high) / 2 == pytest.approx(by_document.mean())


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Documents and pairs both vary, and the pairs are few."""
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(60):
        differences = 1.0 + rng.normal(0, 2, 30)[None] + rng.normal(0, 1, 3)[:, None] + rng.normal(0, 1, (3, 30))
        low, high = paired.interval(differences, np.ones(30))
        covered += low <= 1.0 <= high
    assert covered >= 53


@pytest.mark.parametrize("shape", [(1, 9), (9, 1)])
def test_no_interval_without_a_spread(shape):
    with pytest.raises(ValueError, match="two"):
        paired.interval(np.ones(shape), np.ones(shape[1]))


def test_the_table_of_students_t():
    quantiles = [stats.t.ppf(0.975, freedom) for freedom in range(1, len(paired.T_975) + 1)]
    assert list(paired.T_975) == pytest.approx(quantiles, abs=5e-4)


def test_pages_are_the_text_in_parts():
    text = "".join(f"これは{number}番目の文である。" for number in range(900))
    parts = raw_text.pages_of(text)
    assert "".join(parts) == text
    assert len(parts) > 2
    assert all(len(part) <= raw_text.PAGE_CHARACTERS and part.endswith("。") for part in parts)
    assert raw_text.pages_of("") == [""]


def test_documents_to_score_are_of_other_documents_than_the_pages():
    texts = [(f"{source}:{number}", f"{source}の文書{number}。") for source in ("甲", "乙") for number in range(300)]
    clean, candidates = raw_text.split(texts, 2_000, 60, 1)
    assert len(candidates) == 60
    assert not set(clean) & set(candidates)
    assert {page[0] for page in clean} == {page[0] for page in candidates} == {"甲", "乙"}
    assert sum(len(page.encode()) for page in clean) == pytest.approx(2_000, rel=0.1)
    for source in "甲乙":
        numbers = [int(page[4:-1]) for page in clean if page[0] == source]
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        far = [int(text[4:-1]) for text in candidates if text[0] == source]
        assert min(abs(one - other) for one in far for other in (numbers[0], numbers[-1])) > 3


def test_a_cut_text_is_whole_characters():
    assert raw_text.cut("基盤a", 4) == "基"
    assert raw_text.cut("基盤a", 7) == "基盤a"


def test_documents_whose_sentences_were_read_are_not_scored() -> None:
    page = "弁を閉じてから蓋を外して調べる。\n以上。\n"
    new = "".join(f"{number}号機では圧力が下がるのを待つ。" for number in range(10, 90))
    assert raw_text.unseen([new + page, new[:300] + "。" + page, "以上。" * 9 + new], [page]) == [
        new + page,
        "以上。" * 9 + new,
    ]
